/** A side of the benchmark in a process of its own, which answers calls, one JSON object a line. */
import { spawn, type ChildProcessWithoutNullStreams } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { findPython } from '../test/support/python';
import type { ArrayFile } from './arrays';

/** The repository's root. */
export const ROOT = path.join(__dirname, '..');

/** The sides that a case can have; a further one is a worker with the methods of ours_worker.ts and a line in `start`. */
export type Side = 'ours' | 'transformers' | 'onnxruntime';

/** What a side says of itself. */
export interface Description {
  versions: Record<string, string>;
  /** Threads of one operation, as the library says; null where it does not tell and has to be believed. */
  threads: number | null;
}

/** What one timed call gave. */
export interface Timed {
  seconds: number;
  /** By name; empty unless they were asked for. */
  outputs: Record<string, ArrayFile>;
}

type Answer = { result: unknown; error?: undefined } | { error: { type: string; message: string } };
type Waiting = { resolve: (answer: Answer) => void; reject: (error: Error) => void };

/** A running side. */
export class Peer {
  readonly side: Side;
  /** The Python script whose functions are called; null for a worker of TypeScript. */
  readonly #script: string | null;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #gone: Promise<void>;
  readonly #waiting: Waiting[] = [];
  #complaints = '';
  #ended: string | null = null;
  #failed = false;

  private constructor(
    side: Side,
    command: string,
    args: readonly string[],
    env: NodeJS.ProcessEnv,
    script: string | null = null,
  ) {
    this.side = side;
    this.#script = script;
    this.#child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env } });
    this.#child.stderr.on('data', (chunk: Buffer) => {
      this.#complaints = (this.#complaints + chunk.toString()).slice(-4000);
    });
    // A process that died says so in 'close'.
    this.#child.stdin.on('error', () => undefined);
    createInterface({ input: this.#child.stdout }).on('line', (line) =>
      this.#waiting.shift()?.resolve(JSON.parse(line) as Answer),
    );
    this.#gone = new Promise((resolve) => {
      const end = (reason: string): void => {
        this.#ended ??= `The process of ${side} ${reason}:\n${this.#complaints}`;
        for (const { reject } of this.#waiting.splice(0)) reject(new Error(this.#ended));
        resolve();
      };
      this.#child.once('error', (error) => end(`did not start (${error.message})`));
      this.#child.once('close', (code, signal) => {
        this.#failed = code !== 0;
        end(`ended with ${signal ?? `code ${code}`}`);
      });
    });
  }

  /** Starts a side with `threads` threads. @throws Error where transformers' has no Python. */
  static start(side: Side, threads: number): Peer {
    const env = { OMP_NUM_THREADS: String(threads) };
    if (side !== 'transformers') return Peer.startNode(`${side}_worker.ts`, env, side);
    return Peer.startPython('transformers_worker.py', env);
  }

  /** Starts a worker of this directory in transformers' Python. @throws Error where there is none. */
  static startPython(script: string, env: NodeJS.ProcessEnv = {}, side: Side = 'transformers'): Peer {
    const { python, reason } = findPython();
    if (python === null) throw new Error(`${side} cannot be run: ${reason}`);
    const server = path.join(ROOT, 'test', 'support', 'reference.py');
    const quiet = { PYTHONDONTWRITEBYTECODE: '1', HF_HUB_OFFLINE: '1' };
    return new Peer(side, python, [server], { ...env, ...quiet }, path.join(__dirname, script));
  }

  /** Starts a TypeScript worker of this directory, with `gc()` at hand. */
  static startNode(script: string, env: NodeJS.ProcessEnv = {}, side: Side = 'ours'): Peer {
    const args = ['--expose-gc', '--import', 'tsx', path.join(__dirname, script)];
    return new Peer(side, process.execPath, args, env);
  }

  /** @throws Error where the worker raised, or is gone. */
  async call<T>(method: string, args: Record<string, unknown> = {}): Promise<T> {
    if (this.#ended !== null) throw new Error(this.#ended);
    const answer = await new Promise<Answer>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#child.stdin.write(`${JSON.stringify({ script: this.#script, method, args })}\n`);
    });
    if (answer.error)
      throw new Error(`${this.side}, ${method}: ${answer.error.type}: ${answer.error.message}`);
    return answer.result as T;
  }

  /** The largest resident set so far in bytes (VmHWM: with mapped files), or null where the system does not tell. */
  peakMemory(): number | null {
    return this.#memory('VmHWM');
  }

  /** Lets `peakMemory` begin anew; returns the resident set in bytes, or null where the system does not tell. */
  resetPeakMemory(): number | null {
    if (this.#memory('VmRSS') === null) return null;
    writeFileSync(`/proc/${this.#child.pid}/clear_refs`, '5');
    return this.#memory('VmRSS');
  }

  /** Memory in bytes that no other process has mapped too, or null where the system does not tell. */
  privateMemory(): number | null {
    const rollup = `/proc/${this.#child.pid}/smaps_rollup`;
    if (!existsSync(rollup)) return null;
    const lines = readFileSync(rollup, 'utf8').matchAll(/^Private_\w+:\s+(\d+) kB$/gm);
    return [...lines].reduce((sum, [, kilobytes]) => sum + Number(kilobytes) * 1024, 0);
  }

  #memory(field: 'VmHWM' | 'VmRSS'): number | null {
    const status = `/proc/${this.#child.pid}/status`;
    if (!existsSync(status)) return null;
    const found = new RegExp(`^${field}:\\s+(\\d+) kB$`, 'm').exec(readFileSync(status, 'utf8'));
    return found && Number(found[1]) * 1024;
  }

  /** Ends the process; resolves when it is gone. @throws Error where it crashed on its way out, or had before. */
  async close(): Promise<void> {
    this.#child.stdin.end();
    await this.#gone;
    if (this.#failed) throw new Error(this.#ended ?? `The process of ${this.side} failed`);
  }
}
