/** Makes attacks, one after the other, in a process that may die of them; one JSON line for each. */
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { type Attack, LARGE, LONGEST_BLOCK, nameOf, type Outcome } from './attack';
import { buffers } from './buffers';
import { configs } from './configs';
import { dims } from './dims';
import { directories } from './directories';
import { environment } from './environment';
import { images } from './images';

const KINDS: Record<string, (seed: number) => Promise<Attack>> = {
  buffers,
  dims,
  configs,
  images,
  directories,
};

/** Milliseconds between two looks at the clock. */
const INTERVAL = 5;

/** Milliseconds that the main thread was on a processor, where the system tells it. */
function processorTime(): number {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[0]) / 1e6;
  } catch {
    return performance.now();
  }
}

/** Longest that the loop was held up by this thread's own work: other processes may hold it up, too. */
class LoopWatch {
  #longest = 0;
  #wall = performance.now();
  #processor = processorTime();
  readonly #timer = setInterval(() => this.#look(), INTERVAL);

  #look(): void {
    const [wall, processor] = [performance.now(), processorTime()];
    this.#longest = Math.max(this.#longest, Math.min(wall - this.#wall, processor - this.#processor));
    [this.#wall, this.#processor] = [wall, processor];
  }

  stop(): number {
    this.#look();
    clearInterval(this.#timer);
    return this.#longest;
  }
}

async function attempt(kind: string, seed: number): Promise<Outcome> {
  const { description, bytes, run, dispose } = await KINDS[kind](seed);
  // The last words of a process that dies.
  process.stderr.write(`${description}\n`);
  // What prepared it is no part of it, nor what that left to be collected.
  (globalThis as { gc?: () => void }).gc?.();
  const watch = new LoopWatch();
  let [result, message] = ['done', ''];
  try {
    await run();
  } catch (error) {
    [result, message] = [nameOf(error), String((error as Error).message)];
  }
  const blocked = Math.round(watch.stop());
  dispose?.();
  return { seed, description, bytes, result, message: message.slice(0, 3000), blocked };
}

async function main(): Promise<void> {
  const kind = process.argv[2];
  // Modules and graphs are loaded at their first use, which is no input's doing.
  await environment();
  if (kind in KINDS) for (const seed of [1, 2, 3]) await attempt(kind, seed);
  for await (const line of createInterface({ input: process.stdin })) {
    let outcome = await attempt(kind, Number(line));
    for (let again = 0; again < 2 && outcome.blocked > LONGEST_BLOCK && outcome.bytes < LARGE; again++)
      outcome = {
        ...outcome,
        blocked: Math.min(outcome.blocked, (await attempt(kind, Number(line))).blocked),
      };
    process.stdout.write(`${JSON.stringify(outcome)}\n`);
  }
}

void main();
