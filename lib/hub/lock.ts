/** A lock between processes: one file, kept fresh by its owner, taken over from an owner that is gone. */
import { createHash } from 'node:crypto';
import { mkdir, open, readFile, rm, stat, utimes } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { isGone, ownerName } from './owner';

/** An owner that has not touched its lock for so long is taken for dead, in milliseconds. */
const STALE = 20_000;
const POLL = 100;

/** The result of `work`, or null where the file is not there. */
async function ifThere<T>(work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

const ownerOf = (file: string): Promise<string | null> => ifThere(readFile(file, 'utf8'));

async function isSilent(file: string): Promise<boolean> {
  const found = await ifThere(stat(file));
  return found !== null && Date.now() - found.mtimeMs > STALE;
}

/** The owner of a lock that has ended, or that has given no sign for long; null for a lock in use, or none. */
async function abandonedBy(file: string): Promise<string | null> {
  const owner = await ownerOf(file);
  return owner !== null && (isGone(owner) || (await isSilent(file))) ? owner : null;
}

async function tryCreate(file: string, owner: string): Promise<boolean> {
  try {
    const handle = await open(file, 'wx');
    try {
      await handle.writeFile(owner);
    } finally {
      await handle.close();
    }
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

/**
 * Removes an abandoned lock. Of several that found it abandoned one is let in here, and it looks again: the lock that it
 * removes is not one that another has made since.
 */
async function takeAway(file: string, abandoned: string): Promise<void> {
  const guard = `${file}.${createHash('sha256').update(abandoned).digest('hex').slice(0, 12)}`;
  if (!(await tryCreate(guard, ownerName()))) {
    // Whoever made it may have ended right here.
    if ((await abandonedBy(guard)) !== null) await rm(guard, { force: true });
    else await sleep(POLL);
    return;
  }
  try {
    if ((await abandonedBy(file)) === abandoned) await rm(file, { force: true });
  } finally {
    await rm(guard, { force: true });
  }
}

/**
 * Runs `work` while no other process that asks for the same lock does. An owner that was silent for long (a machine that
 * slept) may find that another has taken over: the lock saves work done twice, and what is done must be right without it.
 */
export async function withLock<T>(file: string, work: () => Promise<T>): Promise<T> {
  await mkdir(path.dirname(file), { recursive: true });
  const owner = ownerName();
  while (!(await tryCreate(file, owner))) {
    const abandoned = await abandonedBy(file);
    if (abandoned === null) await sleep(POLL);
    else await takeAway(file, abandoned);
  }
  const isOurs = async (): Promise<boolean> => (await ownerOf(file)) === owner;
  const touch = async (): Promise<void> => {
    const now = new Date();
    if (await isOurs()) await utimes(file, now, now);
  };
  // One that cannot be touched is taken over in the end, as above.
  const timer = setInterval(() => void touch().catch(() => undefined), STALE / 5);
  timer.unref();
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (await isOurs()) await rm(file, { force: true });
  }
}
