/** Runs attacks in processes that are started again when one of them dies. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { ROOT } from '../../support/python';
import type { Outcome } from './attack';

/** The kinds of attacks. */
export const KINDS = ['buffers', 'dims', 'configs', 'images', 'directories'] as const;

/** Longest that one attack may take, in milliseconds. */
const LIMIT = 60_000;
/** Attacks on one process: one's harm cannot hide in another's. */
const ATTACKS = 250;

function start(kind: string): ChildProcessWithoutNullStreams {
  return spawn(
    process.execPath,
    ['--expose-gc', '--require', 'tsx/cjs', path.join(__dirname, 'worker.ts'), kind],
    {
      cwd: ROOT,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { ...process.env, OMP_NUM_THREADS: '1' },
    },
  );
}

/** What became of each seed in [first, first + count): a process that dies or hangs is the outcome of its seed. */
export async function runAttacks(
  kind: (typeof KINDS)[number],
  first: number,
  count: number,
): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  let seed = first;
  while (seed < first + count) {
    const child = start(kind);
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr = (stderr + text).slice(-500)));
    // A pipe that breaks is seen as the end of the process.
    child.stdin.on('error', () => undefined);
    const ended = new Promise<string>((resolve) =>
      child.once('close', (code, signal) => resolve(String(signal ?? code))),
    );
    let hasHung = false;
    let timer: NodeJS.Timeout | undefined;
    const ask = (): void => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        hasHung = true;
        child.kill('SIGKILL');
      }, LIMIT);
      child.stdin.write(`${seed}\n`);
    };
    ask();
    const last = Math.min(seed + ATTACKS, first + count);
    for await (const line of createInterface({ input: child.stdout })) {
      outcomes.push(JSON.parse(line) as Outcome);
      if (++seed === last) break;
      ask();
    }
    clearTimeout(timer);
    child.stdin.end();
    // One that has answered everything has to end by itself, too.
    timer = setTimeout(() => {
      hasHung = true;
      child.kill('SIGKILL');
    }, LIMIT);
    const end = await ended;
    clearTimeout(timer);
    if (seed === last && end === '0') continue;
    const result = hasHung ? 'hung' : `died: ${end}`;
    outcomes.push({
      seed,
      description: seed === last ? 'the end of its process' : '',
      bytes: 0,
      result,
      message: stderr,
      blocked: 0,
    });
    if (seed < last) seed++;
  }
  return outcomes;
}
