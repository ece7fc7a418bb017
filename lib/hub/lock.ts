/** A lock between processes: one file, kept fresh by its owner, taken over from an owner that is gone. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm, stat, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** An owner that has not touched its lock for so long is taken for dead, in milliseconds. */
const STALE = 20_000;
const POLL = 100;

function hasCode(error: unknown, code: string): boolean {
  return (error as NodeJS.ErrnoException).code === code;
}

/** What a lock file says of its owner. */
function ownName(): string {
  return `${process.pid} ${os.hostname()}`;
}

/** Whether a lock's owner is gone: a process of this machine that has ended, or one that gave no sign for long. */
async function isAbandoned(file: string): Promise<boolean> {
  try {
    const { mtimeMs } = await stat(file);
    if (Date.now() - mtimeMs > STALE) return true;
    const [pid, host] = (await readFile(file, 'utf8')).split(' ');
    return host === os.hostname() && Number(pid) > 0 && !isRunning(Number(pid));
  } catch (error) {
    // It was let go of meanwhile.
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return !hasCode(error, 'ESRCH');
  }
}

async function tryCreate(file: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    try {
      await handle.writeFile(ownName());
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
}

async function takeAway(file: string): Promise<void> {
  // Renamed first: of two processes that find it abandoned, one gets it.
  const away = `${file}.${randomUUID()}`;
  try {
    await rename(file, away);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  await rm(away, { force: true });
}

/**
 * Runs `work` while no other process that asks for the same lock does. Should two ever get in (a machine that slept
 * for longer than an owner may be silent), both write the same bytes to the same places: nothing wrong comes of it.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  while (!(await tryCreate(file))) {
    if (await isAbandoned(file)) await takeAway(file);
    else await sleep(POLL);
  }
  const timer = setInterval(() => {
    const now = new Date();
    // A lock that was taken away is not there to be touched; see above why that does no harm.
    utimes(file, now, now).catch(() => {});
  }, STALE / 5);
  timer.unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(file, { force: true });
  }
}
