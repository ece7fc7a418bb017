/**
 * `npm run fuzz -- [count] [first seed] [kind]`: attacks of every kind, or of one, and 30 times as many safetensors headers,
 * counted by what became of them.
 */
import { faults, LARGE, type Outcome } from './attack';
import { runHeaders } from './headers';
import { KINDS, runAttacks } from './run';

/** How often each value occurs, most often first. */
function countsOf(values: readonly string[]): [string, number][] {
  const counts = new Map<string, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]);
}

function report(kind: string, outcomes: readonly Outcome[]): number {
  const wrong = faults(outcomes);
  const longest = Math.max(0, ...outcomes.filter(({ bytes }) => bytes < LARGE).map(({ blocked }) => blocked));
  process.stdout.write(
    `${kind}: ${outcomes.length} attacks, ${wrong.length} faults, longest block ${longest} ms\n`,
  );
  for (const [result, number] of countsOf(outcomes.map(({ result }) => result)))
    process.stdout.write(`${String(number).padStart(8)}  ${result}\n`);
  for (const outcome of wrong) process.stdout.write(`${JSON.stringify(outcome)}\n`);
  return wrong.length;
}

async function main(): Promise<number> {
  const [count = 2000, first = 1] = process.argv.slice(2, 4).map(Number);
  const only = process.argv[4];
  let wrong = 0;
  if (only === undefined) {
    const { read, refused } = await runHeaders(30 * count, first);
    process.stdout.write(`${30 * count} safetensors files: ${read} read, ${refused} refused\n`);
  }
  for (const kind of KINDS) {
    if (only === undefined || only === kind) wrong += report(kind, await runAttacks(kind, first, count));
  }
  return wrong === 0 ? 0 : 1;
}

void main().then((code) => {
  process.exitCode = code;
});
