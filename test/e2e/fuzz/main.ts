/** `npm run fuzz -- [count] [first seed]`: damaged model directories and 30 times as many headers, counted by what became of them. */
import { runHeaders } from './headers';
import { faults, runMutations } from './run';

async function main(): Promise<number> {
  const [count = 5000, first = 1] = process.argv.slice(2).map(Number);
  const { read, refused } = await runHeaders(30 * count, first);
  process.stdout.write(`${30 * count} safetensors files: ${read} read, ${refused} refused\n`);
  const outcomes = await runMutations(first, count);
  const counts = new Map<string, number>();
  for (const { result } of outcomes) counts.set(result, (counts.get(result) ?? 0) + 1);
  for (const [result, number] of [...counts].sort((a, b) => b[1] - a[1]))
    process.stdout.write(`${String(number).padStart(7)}  ${result}\n`);
  const wrong = faults(outcomes);
  for (const outcome of wrong) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  process.stdout.write(`${outcomes.length} directories, ${wrong.length} faults\n`);
  return wrong.length === 0 ? 0 : 1;
}

void main().then((code) => {
  process.exitCode = code;
});
