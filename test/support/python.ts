/**
 * The reference: one Python process that imports transformers once and answers calls, one JSON line each. Its script
 * includes `reference.py` from this directory and registers functions there.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** The root of the repository. */
export const ROOT = path.join(__dirname, '..', '..');

/** What a call to the reference gave: a result, or the Python exception. */
export type Answer =
  { result: unknown; error?: undefined } | { result?: undefined; error: { type: string; message: string } };

/** A running reference process. */
export interface Reference {
  /** Calls a function that the script registered; a Python exception is an answer, not a rejection. */
  call(method: string, args?: Record<string, unknown>): Promise<Answer>;
  /** As `call`, and rejects where Python raised. */
  result(method: string, args?: Record<string, unknown>): Promise<unknown>;
  /** Ends the process; resolves when it is gone. */
  close(): Promise<void>;
}

/** The Python that has transformers (SAM3_TRACKER_PYTHON, or the checkout's own environment), or null with the reason. */
export function findPython(): { python: string | null; reason: string } {
  const python = process.env.SAM3_TRACKER_PYTHON ?? path.join(ROOT, '.venv', 'bin', 'python');
  if (!process.env.SAM3_TRACKER_PYTHON && !existsSync(python))
    return { python: null, reason: `there is no ${path.relative(ROOT, python)} ("npm run setup" makes it)` };
  const check = [
    '-c',
    'import importlib.util, sys; sys.exit(importlib.util.find_spec("transformers") is None)',
  ];
  if (spawnSync(python, check).status !== 0)
    return { python: null, reason: `${python} does not run or has no transformers` };
  return { python, reason: '' };
}

function answersOf(child: ChildProcessWithoutNullStreams): (line: string) => Promise<Answer> {
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4000)));
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line) as Answer);
  });
  const fail = (reason: string): void => {
    const error = new Error(`The reference process ${reason}:\n${complaints}`);
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  child.on('error', (error) => fail(`did not start (${error.message})`));
  child.on('close', (code) => fail(`ended with code ${code}`));
  child.stdin.on('error', () => undefined); // a process that died says so in 'close'
  return (line) =>
    new Promise((resolve, reject) => {
      if (child.exitCode !== null) return reject(new Error(`The reference process is gone:\n${complaints}`));
      waiting.push({ resolve, reject });
      child.stdin.write(`${line}\n`);
    });
}

/**
 * Starts a script under the reference's Python, or skips the suite, with the reason on screen, where there is none.
 * Use it in `before(async function () { ... })` and `close()` it in `after`.
 */
export function reference(script: string, suite: Mocha.Context): Reference {
  const { python, reason } = findPython();
  if (python === null) {
    // Where the set-up has just made it, its absence is a fault.
    if (process.env.CI) throw new Error(`The tests beside transformers did not run: ${reason}`);
    process.stdout.write(`    (skipped: ${reason})\n`);
    return suite.skip();
  }
  const child = spawn(python, [script], {
    cwd: ROOT,
    env: { ...process.env, PYTHONPATH: path.join(ROOT, 'test', 'support'), PYTHONDONTWRITEBYTECODE: '1' },
  });
  const gone = new Promise<void>((resolve) => {
    child.once('close', () => resolve());
    child.once('error', () => resolve());
  });
  const ask = answersOf(child);
  const call: Reference['call'] = (method, args = {}) => ask(JSON.stringify({ method, args }));
  return {
    call,
    async result(method, args) {
      const answer = await call(method, args);
      if (answer.error) throw new Error(`${method}: ${answer.error.type}: ${answer.error.message}`);
      return answer.result;
    },
    async close() {
      child.stdin.end();
      await gone;
    },
  };
}
