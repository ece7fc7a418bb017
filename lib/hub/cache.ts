/**
 * One repository in the hub's cache, in huggingface_hub's layout: blobs/ under their hash, snapshots/<commit>/ with
 * links to them, refs/ with the commit of each branch.
 */
import { randomUUID } from 'node:crypto';
import {
  copyFile,
  mkdir,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import path from 'node:path';
import { Sam3TrackerError } from '../core/errors';
import { isFile } from '../core/files';

/** A full commit hash. */
export const COMMIT = /^[0-9a-f]{40}$/;

function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** The folder of one model repository, read and added to. */
export class RepositoryCache {
  /** The repository's folder. */
  readonly folder: string;
  readonly #cacheDir: string;

  constructor(cacheDir: string, repository: string) {
    this.#cacheDir = cacheDir;
    this.folder = path.join(cacheDir, folderName(repository));
  }

  /** Where the content with this hash lies, or will lie. */
  blob(etag: string): string {
    return path.join(this.folder, 'blobs', etag);
  }

  /** The file whose owner is downloading the content with this hash. */
  lockFile(etag: string): string {
    return path.join(this.#cacheDir, '.locks', path.basename(this.folder), `${etag}.sam3-tracker.lock`);
  }

  /** The folder of a commit's files. */
  snapshot(commit: string): string {
    return path.join(this.folder, 'snapshots', commit);
  }

  /** The commit that a revision was when it was last downloaded, or null. */
  async commitOf(revision: string): Promise<string | null> {
    if (COMMIT.test(revision)) return revision;
    try {
      const commit = (await readFile(path.join(this.folder, 'refs', revision), 'utf8')).trim();
      return COMMIT.test(commit) ? commit : null;
    } catch (error) {
      if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EISDIR')) return null;
      throw error;
    }
  }

  /**
   * A file of a commit, or null where it is not here.
   *
   * @throws Sam3TrackerError FILE_INVALID for a link that leads out of the cache.
   */
  async find(commit: string, file: string): Promise<string | null> {
    const pointer = path.join(this.snapshot(commit), file);
    let target: string;
    try {
      target = await realpath(pointer);
    } catch (error) {
      // A link whose content is gone counts as absent: the content is downloaded again.
      if (hasCode(error, 'ENOENT', 'ENOTDIR')) return null;
      throw error;
    }
    const cache = await realpath(this.#cacheDir);
    if (!target.startsWith(cache + path.sep))
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `${pointer} in the hub's cache leads out of it, to ${target}: something other than a download put it there. ` +
          'Remove it, or give the directory that it leads to.',
      );
    return (await isFile(target)) ? pointer : null;
  }

  /** Makes a blob a file of a commit: by a link, or a copy where the file system has none. */
  async link(commit: string, file: string, etag: string): Promise<string> {
    const pointer = path.join(this.snapshot(commit), file);
    const target = path.relative(path.dirname(pointer), this.blob(etag));
    if (await linksTo(pointer, target)) return pointer;
    await mkdir(path.dirname(pointer), { recursive: true });
    // A rename replaces whatever is there at once, so that nobody ever finds half of it.
    const temporary = `${pointer}.${randomUUID()}`;
    try {
      try {
        await symlink(target, temporary);
      } catch (error) {
        if (!hasCode(error, 'EPERM', 'ENOTSUP', 'ENOSYS', 'EINVAL')) throw error;
        await copyFile(this.blob(etag), temporary);
      }
      await rename(temporary, pointer);
    } finally {
      await rm(temporary, { force: true });
    }
    return pointer;
  }

  /** Remembers the commit that a branch or a tag is now. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    const file = path.join(this.folder, 'refs', revision);
    await mkdir(path.dirname(file), { recursive: true });
    const temporary = `${file}.${randomUUID()}`;
    await writeFile(temporary, commit);
    await rename(temporary, file);
  }
}

function folderName(repository: string): string {
  return `models--${repository.replaceAll('/', '--')}`;
}

async function linksTo(pointer: string, target: string): Promise<boolean> {
  try {
    return (await readlink(pointer)) === target;
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ENOTDIR', 'EINVAL')) return false;
    throw error;
  }
}
