/**
 * One repository in the hub's cache, in huggingface_hub's layout: blobs/ under their hash, snapshots/<commit>/ with
 * links to them, refs/ with the commit of each branch.
 */
import { copyFile, readFile, realpath, symlink } from 'node:fs/promises';
import path from 'node:path';
import { Sam3TrackerError } from '../core/errors';
import { isFile, orElse, readingOrNull, saveFiles } from '../core/files';

/** A full commit hash. */
export const COMMIT = /^[0-9a-f]{40}$/;

/** The folder of one model repository, read and added to. */
export class RepositoryCache {
  /** The repository's folder. */
  readonly folder: string;
  readonly #cacheDir: string;

  constructor(cacheDir: string, repository: string) {
    this.#cacheDir = cacheDir;
    this.folder = path.join(cacheDir, `models--${repository.replaceAll('/', '--')}`);
  }

  /** Where the content with this hash lies, or will lie. */
  blob(etag: string): string {
    return path.join(this.folder, 'blobs', etag);
  }

  /** The folder of a commit's files. */
  snapshot(commit: string): string {
    return path.join(this.folder, 'snapshots', commit);
  }

  /** The commit that a revision was when it was last downloaded, or null. */
  async commitOf(revision: string): Promise<string | null> {
    if (COMMIT.test(revision)) return revision;
    const file = path.join(this.folder, 'refs', revision);
    // A branch of this name may be a folder of others.
    const commit = await readingOrNull(file, orElse(readFile(file, 'utf8'), null, 'EISDIR'));
    return COMMIT.test(commit?.trim() ?? '') ? commit!.trim() : null;
  }

  /**
   * A file of a commit, or null where it is not here.
   *
   * @throws Sam3TrackerError FILE_INVALID for a link that leads out of the cache.
   */
  async find(commit: string, file: string): Promise<string | null> {
    const pointer = path.join(this.snapshot(commit), file);
    // A link whose content is gone counts as absent: the content is downloaded again.
    const target = await readingOrNull(pointer, realpath(pointer));
    if (target === null) return null;
    // The cache, and folders of it that a user has moved to another disk and linked. Links of single files go nowhere else.
    const folders = [this.#cacheDir, this.folder, path.join(this.folder, 'blobs'), this.snapshot(commit)];
    const roots = await Promise.all(folders.map((folder) => readingOrNull(folder, realpath(folder))));
    if (!roots.some((root) => root !== null && target.startsWith(root + path.sep)))
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `${pointer} in the hub's cache leads out of it, to ${target}: something other than a download put it there. ` +
          'Remove it, or give the directory that it leads to.',
      );
    return (await isFile(target)) ? pointer : null;
  }

  /** Makes a blob a file of a commit: by a link, or a copy where the file system has none. */
  async link(commit: string, file: string, etag: string): Promise<void> {
    const blob = this.blob(etag);
    const content = async (pointer: string): Promise<void> => {
      const linked = symlink(path.relative(path.dirname(pointer), blob), pointer).then(() => true);
      if (!(await orElse(linked, false, 'EPERM', 'ENOTSUP', 'ENOSYS', 'EINVAL')))
        await copyFile(blob, pointer);
    };
    await saveFiles(this.snapshot(commit), [{ name: file, content }]);
  }

  /** Remembers the commit that a branch or a tag is now. */
  async writeRef(revision: string, commit: string): Promise<void> {
    if (revision === commit || (await this.commitOf(revision)) === commit) return;
    await saveFiles(path.join(this.folder, 'refs'), [{ name: revision, content: commit }]);
  }
}
