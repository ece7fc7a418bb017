/**
 * One set-up at a time in a checkout: a file that names its holder. A holder that no longer runs loses it, so that a
 * crash never blocks the next run.
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { SetupError } from './process.mjs';

/** When a process started, as the kernel counts it: tells a process from a later one with the same number. */
function startTime(pid) {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The name in parentheses may hold spaces; the start time is the 20th field behind it.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  } catch {
    return null; // Not Linux, or no such process.
  }
}

function isRunning(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error.code === 'EPERM';
  }
}

/** Whether the process that a lock names still runs; one on another host counts as running. */
export function isHeld({ pid, host, started }) {
  if (host !== os.hostname()) return true;
  if (!isRunning(pid)) return false;
  const now = startTime(pid);
  return now === null || started === null || now === started;
}

function readHolder(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return null;
    if (error instanceof SyntaxError)
      throw new SetupError(`${file} is not a lock of this set-up: remove it.`);
    throw error;
  }
}

/** Moves a lost lock aside, and back again if another process has taken it in between. */
function breakLock(file, lost) {
  const aside = `${file}.${process.pid}.stale`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const taken = readHolder(aside);
  if (taken && (taken.pid !== lost.pid || taken.started !== lost.started)) linkSync(aside, file);
  rmSync(aside);
}

/**
 * Takes the lock, waiting while another process holds it, and returns the function that gives it back (calling that
 * twice is fine), or null where this user may not write. `onWait(holder)` is called once before waiting.
 */
export async function takeLock(file, { onWait = () => {}, pollMilliseconds = 500 } = {}) {
  const holder = { pid: process.pid, host: os.hostname(), started: startTime(process.pid) };
  const draft = `${file}.${process.pid}`;
  let told = false;
  for (;;) {
    try {
      mkdirSync(path.dirname(file), { recursive: true });
      writeFileSync(draft, JSON.stringify(holder));
    } catch (error) {
      if (['EACCES', 'EPERM', 'EROFS'].includes(error.code)) return null;
      throw error;
    }
    try {
      // A link appears complete or not at all: no reader ever sees an empty lock.
      linkSync(draft, file);
      return () => {
        if (readHolder(file)?.pid === holder.pid) rmSync(file, { force: true });
      };
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    const other = readHolder(file);
    if (!other) continue;
    if (!isHeld(other)) {
      breakLock(file, other);
      continue;
    }
    if (!told) onWait(other);
    told = true;
    await sleep(pollMilliseconds);
  }
}
