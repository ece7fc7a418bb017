/** Child processes of the set-up: their errors name the command, and none of them outlives the set-up. */
import { spawn, spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** An expected failure: its message says what to do, so it is shown without a stack. */
export class SetupError extends Error {
  name = 'SetupError';
}

// A group of its own for each child: a signal to cmake-js alone would leave cmake, ninja and the compilers running.
// Windows has no such groups (there, detached would open a console window), and its Ctrl-C reaches every process.
const inGroups = process.platform !== 'win32';
const running = new Set();
let ending = false;

/** Sends a signal to every group (0 only asks), and returns whether any process took it. */
function signalGroups(signal) {
  let taken = false;
  for (const child of running) {
    try {
      process.kill(inGroups ? -child.pid : child.pid, signal);
      taken = true;
    } catch {
      // Ended already.
    }
  }
  return taken;
}

/**
 * On SIGHUP, SIGINT and SIGTERM: passes the signal to the children that `run` has started and to all of theirs, waits
 * until they have ended (killing them after `graceMilliseconds`, or at once on a second signal), and ends this process
 * with 128 + n.
 */
export function endChildrenOnSignals({ graceMilliseconds = 5000 } = {}) {
  for (const [signal, number] of Object.entries({ SIGHUP: 1, SIGINT: 2, SIGTERM: 15 })) {
    process.on(signal, async () => {
      const again = ending;
      ending = true;
      if (!again) {
        const deadline = performance.now() + graceMilliseconds;
        signalGroups(signal);
        while (signalGroups(0) && performance.now() < deadline) await sleep(20);
      }
      signalGroups('SIGKILL');
      process.exit(128 + number);
    });
  }
}

/**
 * Runs a command with the terminal's output. `errorOutput` of the result holds what it wrote to stderr (also shown).
 * Never rejects for an exit code: a missing program rejects with SetupError. Never settles once a signal is ending the
 * set-up.
 */
export function run(command, args, { cwd, env } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, {
      cwd,
      env: { ...process.env, ...env },
      stdio: ['ignore', 'inherit', 'pipe'],
      detached: inGroups,
    });
    const pieces = [];
    if (child.pid !== undefined) running.add(child);
    child.stderr.on('data', (piece) => {
      pieces.push(piece);
      process.stderr.write(piece);
    });
    child.on('error', (cause) => {
      reject(new SetupError(`${command} could not be started: ${cause.message}`, { cause }));
    });
    child.on('close', (code, signal) => {
      // The group may outlive its leader: it stays in the list, and the set-up does not go on.
      if (ending) return;
      running.delete(child);
      resolve({ code, signal, errorOutput: Buffer.concat(pieces).toString() });
    });
  });
}

/** Like `run`, and throws SetupError with `remedy` unless the command exits with 0. */
export async function runOrFail(command, args, { remedy, ...options } = {}) {
  const { code, signal } = await run(command, args, options);
  if (code === 0) return;
  const how = signal ? `was ended by ${signal}` : `failed with exit code ${code}`;
  throw new SetupError(`${[path.basename(command), ...args].join(' ')} ${how}.${remedy ? ` ${remedy}` : ''}`);
}

/** The standard output of a quick command, or null when it is missing or fails. */
export function outputOf(command, args) {
  const result = spawnSync(command, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  return result.status === 0 ? result.stdout.trim() : null;
}

/** The absolute path of a program on PATH, or null. */
export function findProgram(name) {
  const suffixes = process.platform === 'win32' ? (process.env.PATHEXT ?? '.EXE').split(';') : [''];
  for (const directory of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const suffix of suffixes) {
      const candidate = path.join(directory, name + suffix);
      try {
        accessSync(candidate, constants.X_OK);
        if (statSync(candidate).isFile()) return candidate;
      } catch {
        // Not here: PATH names directories that need not exist.
      }
    }
  }
  return null;
}
