/**
 * Tries a libtorch in a process of its own: one that crashes while it loads is then an error and not the end of this
 * process. What loaded once is remembered in the user's cache folder, until one of the files changes.
 */
import { spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { cacheDirectory } from './libtorch';

/** What is tried. */
export interface ProbeRequest {
  /** JavaScript that does it: prints `{ problem: string | null }` as JSON. */
  script: string;
  /** Arguments of the script. */
  arguments: string[];
  /** Files that the answer depends on. */
  files: string[];
}

const MAX_REMEMBERED = 32;
/** Cold CUDA libraries on a network disk take long; a process that hangs must end all the same. */
const TIMEOUT_MS = 180_000;
/** Tells a child that runs this same program (a single executable application) not to try in its turn. */
const PROBING = 'SAM3_TRACKER_PROBING';

function fingerprint({ script, files }: ProbeRequest): string {
  const { LD_LIBRARY_PATH, LD_PRELOAD } = process.env;
  const stamps = files.map((file) => {
    const { size, mtimeMs } = statSync(file);
    return [realpathSync(file), size, mtimeMs];
  });
  return JSON.stringify([process.version, process.arch, LD_LIBRARY_PATH, LD_PRELOAD, script.length, stamps]);
}

function readRemembered(file: string): string[] {
  try {
    const value = JSON.parse(readFileSync(file, 'utf8')) as unknown;
    return Array.isArray(value) ? value.filter((entry) => typeof entry === 'string') : [];
  } catch {
    // Not there, not readable or damaged: tried anew.
    return [];
  }
}

function remember(file: string, entries: string[]): void {
  const temporary = `${file}.${process.pid}`;
  try {
    const folder = path.dirname(file);
    // One by one: Node's recursive way never ends below /proc.
    for (const one of [path.dirname(folder), folder]) if (!existsSync(one)) mkdirSync(one);
    writeFileSync(temporary, `${JSON.stringify(entries, null, 1)}\n`);
    renameSync(temporary, file);
  } catch {
    // A home that cannot be written to costs the next start a moment, nothing else.
  }
}

function tryInChild({ script, arguments: args }: ProbeRequest): string | null {
  // NODE_OPTIONS may hold a debugger's port or a loader that costs seconds.
  const environment: NodeJS.ProcessEnv = { ...process.env, [PROBING]: '1', ELECTRON_RUN_AS_NODE: '1' };
  delete environment.NODE_OPTIONS;
  const { error, status, signal, stdout, stderr } = spawnSync(process.execPath, ['-e', script, ...args], {
    encoding: 'utf8',
    env: environment,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    windowsHide: true,
  });
  const said = stderr?.trim() ? `: ${stderr.trim().split('\n').slice(-3).join(' ')}` : '';
  if (error && 'code' in error && error.code === 'ETIMEDOUT')
    return `loading it did not end within ${TIMEOUT_MS / 1000} seconds`;
  // No processes may be started here (Node's permission model, a seccomp filter): loading it must do without.
  if (error) return null;
  if (signal) return `loading it ended a process with ${signal}${said}`;
  if (status !== 0) return `loading it ended a process with exit code ${status}${said}`;
  try {
    return (JSON.parse(stdout) as { problem: string | null }).problem;
  } catch {
    // A program that is its own Node ran itself instead of the script.
    return null;
  }
}

/** Why it does not load, found out in a child process unless it is known; null where it loads. */
export function probe(request: ProbeRequest): string | null {
  if (process.env[PROBING]) return null;
  const file = path.join(cacheDirectory(), 'probe.json');
  const key = fingerprint(request);
  const remembered = readRemembered(file);
  if (remembered.includes(key)) return null;
  const problem = tryInChild(request);
  if (problem === null) remember(file, [key, ...remembered].slice(0, MAX_REMEMBERED));
  return problem;
}
