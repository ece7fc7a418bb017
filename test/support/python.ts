/**
 * The reference: one Python process for all test files of this process. It runs reference.py of this directory, imports
 * transformers once, and answers calls of the functions of scripts, one JSON line each.
 */
import { spawn, spawnSync, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync } from 'node:fs';
import type { Socket } from 'node:net';
import path from 'node:path';
import { createInterface } from 'node:readline';

/** The root of the repository. */
export const ROOT = path.join(__dirname, '..', '..');

/** Set by `npm run test:unit`. */
const withoutPython = process.env.SAM3_TRACKER_TEST_WITHOUT_PYTHON === '1';

/** What a call to the reference gave: a result, or the Python exception. */
export type Answer =
  { result: unknown; error?: undefined } | { result?: undefined; error: { type: string; message: string } };

/** The functions of a script. */
export interface Reference {
  /** Calls a function of the script; a Python exception is an answer, not a rejection. */
  call(method: string, args?: Record<string, unknown>): Promise<Answer>;
  /** As `call`, and rejects where Python raised. */
  result(method: string, args?: Record<string, unknown>): Promise<unknown>;
}

/** The Python that has transformers (SAM3_TRACKER_PYTHON, or the checkout's own environment), or null with the reason. */
export function findPython(): { python: string | null; reason: string } {
  if (withoutPython) return { python: null, reason: '"npm run test:unit" does without Python' };
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

/** Sends a line to the reference process; resolves to its answer. */
type Ask = (line: string) => Promise<Answer>;

/** Starts the reference process. It ends with this one, which it keeps alive only while an answer is due. */
function startReference(python: string): { child: ChildProcessWithoutNullStreams; ask: Ask } {
  const child = spawn(python, [path.join(__dirname, 'reference.py')], {
    cwd: ROOT,
    env: { ...process.env, PYTHONDONTWRITEBYTECODE: '1' },
  });
  for (const handle of [child, child.stdin, child.stdout, child.stderr])
    (handle as Socket | typeof child).unref();
  const waiting: { resolve: (answer: Answer) => void; reject: (error: Error) => void }[] = [];
  let complaints = '';
  child.stderr.on('data', (chunk: Buffer) => (complaints = (complaints + chunk.toString()).slice(-4000)));
  createInterface({ input: child.stdout }).on('line', (line) => {
    waiting.shift()?.resolve(JSON.parse(line) as Answer);
    if (waiting.length === 0) child.unref();
  });
  const fail = (reason: string): void => {
    const error = new Error(`The reference process ${reason}:\n${complaints}`);
    for (const { reject } of waiting.splice(0)) reject(error);
  };
  child.on('error', (error) => fail(`did not start (${error.message})`));
  child.on('close', (code) => fail(`ended with code ${code}`));
  child.stdin.on('error', () => undefined); // a process that died says so in 'close'
  const ask: Ask = (line) =>
    new Promise((resolve, reject) => {
      if (hasEnded(child)) return reject(new Error(`The reference process is gone:\n${complaints}`));
      child.ref();
      waiting.push({ resolve, reject });
      child.stdin.write(`${line}\n`);
    });
  return { child, ask };
}

const hasEnded = ({ exitCode, signalCode }: ChildProcessWithoutNullStreams): boolean =>
  exitCode !== null || signalCode !== null;

let running: ReturnType<typeof startReference> | undefined;

/** The Python of `findPython`; skips the suite or the test, with the reason on screen, where there is none. */
export function requirePython(context: Mocha.Context): string {
  const { python, reason } = findPython();
  if (python !== null) return python;
  // Where the set-up has just made it, its absence is a fault.
  if (process.env.CI && !withoutPython) throw new Error(`A test with Python did not run: ${reason}`);
  process.stdout.write(`    (skipped: ${reason})\n`);
  return context.skip();
}

/** The functions of a script under the Python of `requirePython`. Use it in `before(function () { ... })`. */
export function reference(script: string, suite: Mocha.Context): Reference {
  const python = requirePython(suite);
  if (!running || hasEnded(running.child)) running = startReference(python);
  const { ask } = running;
  const call: Reference['call'] = (method, args = {}) => ask(JSON.stringify({ script, method, args }));
  return {
    call,
    async result(method, args) {
      const answer = await call(method, args);
      if (answer.error) throw new Error(`${method}: ${answer.error.type}: ${answer.error.message}`);
      return answer.result;
    },
  };
}
