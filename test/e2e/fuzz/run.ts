/** Runs damaged model directories through processes that are started again when one of them dies. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../support/python';
import type { Outcome } from './worker';

/** Longest that one directory may take, in milliseconds. */
const LIMIT = 60_000;

function start(): ChildProcessWithoutNullStreams {
  return spawn(process.execPath, ['--require', 'tsx/cjs', path.join(__dirname, 'worker.ts')], {
    cwd: ROOT,
    stdio: ['pipe', 'pipe', 'pipe'],
    env: { ...process.env, OMP_NUM_THREADS: '1' },
  });
}

/** What became of each seed in [first, first + count): a process that dies or hangs is the outcome of its seed. */
export async function runMutations(first: number, count: number): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let seed = first;
  while (seed < first + count) {
    const child = start();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-2000)));
    // A pipe that breaks is seen as the end of the process.
    child.stdin.on('error', () => undefined);
    let timer: NodeJS.Timeout | undefined;
    const ask = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => child.kill('SIGKILL'), LIMIT);
      child.stdin.write(`${seed}\n`);
    };
    ask();
    for await (const line of createInterface({ input: child.stdout })) {
      outcomes.push(JSON.parse(line) as Outcome);
      seed++;
      // A fresh process now and then, so that one directory's harm cannot hide in another's.
      if (seed % 250 === 0 || seed === first + count) break;
      ask();
    }
    clearTimeout(timer);
    const isDone =
      outcomes.length > 0 &&
      outcomes.at(-1)!.seed === seed - 1 &&
      (seed % 250 === 0 || seed === first + count);
    child.stdin.end();
    const signal = await new Promise<string>((resolve) =>
      child.exitCode !== null || child.signalCode !== null
        ? resolve(String(child.signalCode ?? child.exitCode))
        : child.once('close', (code, name) => resolve(String(name ?? code))),
    );
    if (isDone) continue;
    outcomes.push({
      seed,
      description: '',
      altersGraph: false,
      result: `died: ${signal}`,
      message: stderr,
    });
    seed++;
  }
  return outcomes;
}

/** Outcomes that must not be: a process that died, an error without a code, an altered graph that its manifest did not tell. */
export function faults(outcomes: readonly Outcome[]): Outcome[] {
  return outcomes.filter(({ result, altersGraph, message }) => {
    if (altersGraph && !/HASH_MISMATCH|FILE_NOT_FOUND/.test(result)) return true;
    const isKnown = result === 'loaded' || /^(?:Sam3TrackerError \w+|RangeError|TypeError)$/.test(result);
    return !isKnown || (result !== 'loaded' && message === '') || result.endsWith('NATIVE_ERROR');
  });
}
