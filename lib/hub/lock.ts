/**
 * A lock between processes. It is a file that is passed on with its content: while it is held, its name contains its
 * owner, and others wait as long as that process lives. An owner that was silent for long (a machine that slept) may
 * find that another has taken over. So the lock only saves double work: what is done under it must be right without it.
 * No two processes ever write to one file.
 */
import { createHash, randomUUID } from 'node:crypto';
import { constants, existsSync, readlinkSync } from 'node:fs';
import { copyFile, open, readdir, rename, rm, utimes } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { hasCode, makeFolder, orElse, sizeOf, statOrNull } from '../core/files';

/** An owner that has not touched its file for so long is taken for dead, in milliseconds. */
const STALE = 20_000;
const POLL = 100;

/** Where a process id means the same process: one machine, and on Linux one of its process namespaces (containers). */
function realm(): string {
  const link = '/proc/self/ns/pid';
  const text = `${os.hostname()} ${existsSync(link) ? readlinkSync(link) : ''}`;
  return createHash('sha256').update(text).digest('hex').slice(0, 12);
}

/** A name that no other owner has; of this process, or of another one of this machine. */
export function ownerName(pid = process.pid): string {
  return `${pid}-${realm()}-${randomUUID().slice(0, 8)}`;
}

/** Whether the process of a name has certainly ended; false where that cannot be told from here. */
export function isGone(owner: string): boolean {
  const [, pid, where] = /^(\d+)-([0-9a-f]{12})-[0-9a-f]{8}$/.exec(owner) ?? [];
  if (where !== realm()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return hasCode(error, 'ESRCH');
  }
}

/** A file of the lock: at rest, or with its owner's name. */
interface Holding {
  path: string;
  bytes: number;
  /** Whether nobody writes to it any more for certain. */
  isAtRest: boolean;
  /** Whether its owner gave a sign of life lately. */
  isHeld: boolean;
}

/** The files of a lock, most bytes first. */
async function holdingsOf(file: string): Promise<Holding[]> {
  const { dir, base } = path.parse(file);
  const names = (await readdir(dir)).filter((name) => name === base || name.startsWith(`${base}.`));
  const found = await Promise.all(
    names.map(async (name): Promise<Holding[]> => {
      const stats = await statOrNull(path.join(dir, name));
      if (stats === null) return [];
      const isAtRest = name === base || isGone(name.slice(base.length + 1));
      const isHeld = !isAtRest && Date.now() - stats.mtimeMs <= STALE;
      return [{ path: path.join(dir, name), bytes: stats.size, isAtRest, isHeld }];
    }),
  );
  return found.flat().sort((a, b) => b.bytes - a.bytes);
}

/** Makes a file of one's own with the content of one that nobody holds. */
async function takeOver(from: Holding | undefined, mine: string): Promise<void> {
  if (from?.isAtRest) {
    // Fresh before it bears a name, so that nobody takes its new owner for dead.
    await utimes(from.path, new Date(), new Date());
    await rename(from.path, mine);
  } else if (from) {
    // Its owner may wake up and go on writing, which is not to end up here.
    await copyFile(from.path, mine, constants.COPYFILE_FICLONE);
  }
}

/** Takes the lock if nobody has it; returns whether it did. */
async function tryTake(file: string, mine: string): Promise<boolean> {
  const left = await holdingsOf(file);
  if (left.some(({ isHeld }) => isHeld)) return false;
  // Another process may be faster.
  await orElse(takeOver(left[0], mine), undefined, 'ENOENT');
  await (await open(mine, 'a')).close();
  // Of two that came at once, at least one sees the other here.
  const others = (await holdingsOf(file)).filter((other) => other.path !== mine);
  if (others.some(({ isHeld }) => isHeld)) {
    await leave(file, mine);
    return false;
  }
  for (const other of others) await rm(other.path, { force: true });
  return true;
}

/** Leaves what is in one's file to the next owner. */
async function leave(file: string, mine: string): Promise<void> {
  if (await sizeOf(mine)) await orElse(rename(mine, file), undefined, 'ENOENT');
  else await rm(mine, { force: true });
}

/**
 * Runs `work` while no other process that asks for the same lock does.
 *
 * @param file the lock, in a folder that is made where it is missing.
 * @param work gets the path of its own file, with what the last owner left in it; what it leaves in it is the next one's,
 *   and it may as well move it away.
 * @param waiting told several times a second how many bytes the owner has; an error that it throws ends the waiting.
 */
export async function withLock<T>(
  file: string,
  work: (mine: string) => Promise<T>,
  waiting: (bytes: number) => void = () => {},
): Promise<T> {
  const mine = `${file}.${ownerName()}`;
  await makeFolder(path.dirname(file));
  // One that cannot be touched is taken over in the end.
  const touch = (): void => void utimes(mine, new Date(), new Date()).catch(() => undefined);
  const timer = setInterval(touch, STALE / 5).unref();
  try {
    while (!(await tryTake(file, mine))) {
      waiting((await holdingsOf(file))[0]?.bytes ?? 0);
      await sleep(POLL * (0.5 + Math.random()));
    }
    return await work(mine);
  } finally {
    clearInterval(timer);
    await leave(file, mine);
  }
}
