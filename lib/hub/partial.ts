/**
 * What has arrived of a download, in a file that one process writes to. While it does, the file bears its name; one that
 * ends early leaves it as `<etag>.sam3-tracker.incomplete`, which the next one goes on with.
 */
import { constants } from 'node:fs';
import { copyFile, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { isGone, ownerName } from './owner';

const SUFFIX = '.sam3-tracker.incomplete';

function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

async function sizeOf(file: string): Promise<number> {
  try {
    return (await stat(file)).size;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return -1;
    throw error;
  }
}

/** Renames; false where the file is not there any more. */
async function tryRename(from: string, to: string): Promise<boolean> {
  try {
    await rename(from, to);
    return true;
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** A file of this process alone: whoever else downloads the same content writes to another. */
export class PartialFile {
  /** Where it lies. */
  readonly path: string;
  readonly #destination: string;

  private constructor(destination: string) {
    this.#destination = destination;
    this.path = `${destination}.${ownerName()}${SUFFIX}`;
  }

  /**
   * Takes over the most that earlier attempts left of a content of `size` bytes, and removes the rest of theirs; an empty
   * file where there is none.
   */
  static async take(destination: string, size: number): Promise<PartialFile> {
    const mine = new PartialFile(destination);
    const folder = path.dirname(destination);
    const start = `${path.basename(destination)}.`;
    const left = (await readdir(folder)).filter((name) => name.startsWith(start) && name.endsWith(SUFFIX));
    const sized = await Promise.all(
      left.map(async (name) => ({ name, bytes: await sizeOf(path.join(folder, name)) })),
    );
    // What is larger than the content is none of it.
    const usable = sized.filter(({ bytes }) => bytes <= size).sort((a, b) => b.bytes - a.bytes);
    if (usable.length > 0 && usable[0].bytes > 0) {
      const { name } = usable[0];
      // '' for one that nobody writes to.
      const writer = name.slice(start.length - 1, -SUFFIX.length).slice(1);
      await mine.#takeFrom(path.join(folder, name), writer === '' || isGone(writer));
    }
    for (const name of left) await rm(path.join(folder, name), { force: true });
    // Made where nothing was taken over, and never cut short.
    await (await open(mine.path, 'a')).close();
    return mine;
  }

  async #takeFrom(file: string, isAtRest: boolean): Promise<void> {
    if (isAtRest) return void (await tryRename(file, this.path));
    // Its writer may wake up and go on writing: not to the file that is published from here.
    try {
      await copyFile(file, this.path, constants.COPYFILE_FICLONE);
    } catch (error) {
      if (!hasCode(error, 'ENOENT', 'ENOSPC', 'EDQUOT')) throw error;
      await rm(this.path, { force: true });
    }
  }

  /** Gives the content its place; false where another process has taken this file over. */
  publish(): Promise<boolean> {
    return tryRename(this.path, this.#destination);
  }

  /** Leaves what has arrived to a later attempt. */
  async leave(): Promise<void> {
    await tryRename(this.path, this.#destination + SUFFIX);
  }

  /** Throws away what has arrived. */
  async remove(): Promise<void> {
    await rm(this.path, { force: true });
  }
}
