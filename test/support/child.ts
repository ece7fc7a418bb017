/** Runs a piece of TypeScript in a Node process of its own, for what ends a process. */
import { spawn } from 'node:child_process';
import path from 'node:path';

export interface ChildResult {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** The library's entry file, for imports in the child. */
export const LIBRARY = path.join(__dirname, '..', '..', 'lib', 'index');

/**
 * Runs `source` (an ES module body; top-level await is fine) and waits for its end, at most `seconds`; `env` is added to the
 * environment.
 */
export function runChild(source: string, seconds = 150, env: NodeJS.ProcessEnv = {}): Promise<ChildResult> {
  const code = `(async () => { ${source} })();`;
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--require', 'tsx/cjs', '--expose-gc', '-e', code], {
      cwd: path.join(__dirname, '..', '..'),
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    const result = { stdout: '', stderr: '' };
    child.stdout.setEncoding('utf8').on('data', (text: string) => (result.stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (result.stderr += text));
    const timer = setTimeout(() => child.kill('SIGKILL'), seconds * 1000);
    child.on('error', reject);
    child.on('close', (exitCode, signal) => {
      clearTimeout(timer);
      resolve({ code: exitCode, signal, ...result });
    });
  });
}
