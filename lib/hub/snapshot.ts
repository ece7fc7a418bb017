/** One revision of a repository on the hub: its files from the cache, or downloaded into it first. */
import { Sam3TrackerError } from '../core/errors';
import { hasCode, pathText, sizeOf } from '../core/files';
import { COMMIT, RepositoryCache } from './cache';
import { HubClient, TransientError } from './client';
import type { RemoteFile } from './client';
import { downloadFile } from './download';
import type { Download } from './download';
import type { DownloadProgress, HubSettings } from './settings';

const REPORT_INTERVAL = 100;

/**
 * Why a name cannot be a repository's id, `owner/name`, in huggingface_hub's rules (`validate_repo_id`) and words; null
 * where it can. The few old ids without an owner are left out.
 */
export function repositoryIdProblem(name: string): string | null {
  const parts = name.split('/');
  if (parts.length !== 2) return 'it has the form owner/name';
  if (name.length > 96 || !parts.every((part) => /^[A-Za-z0-9_](?:[\w.-]*[A-Za-z0-9_])?$/.test(part)))
    return "it has alphanumeric characters, '-', '_' or '.' only, '-' and '.' not at the ends, and at most 96 of them";
  if (/--|\.\./.test(name)) return "it has no '--' or '..'";
  return name.endsWith('.git') ? "it does not end with '.git'" : null;
}

/** The files of one commit. */
export class RepositorySnapshot {
  /** The repository's id. */
  readonly name: string;
  /** The commit that the revision stands for. */
  readonly commit: string;
  readonly #settings: HubSettings;
  readonly #cache: RepositoryCache;
  /** null where the network is not to be used. */
  readonly #client: HubClient | null;
  /** Why the network is not used, for errors. */
  readonly #offline: string | null;
  readonly #found = new Map<string, Promise<string | null>>();
  #listing: Promise<Map<string, RemoteFile>> | null = null;

  private constructor(
    name: string,
    commit: string,
    settings: HubSettings,
    cache: RepositoryCache,
    online: HubClient | string,
  ) {
    this.name = name;
    this.commit = commit;
    this.#settings = settings;
    this.#cache = cache;
    this.#client = typeof online === 'string' ? null : online;
    this.#offline = typeof online === 'string' ? online : null;
  }

  /**
   * Asks the hub which commit the revision is, or takes the cache's where the network is not to be used or does not
   * answer.
   *
   * @throws Sam3TrackerError FILE_NOT_FOUND where the network is not to be used and the cache has nothing;
   *   DOWNLOAD_FAILED where it does not answer; ACCESS_DENIED, REPOSITORY_NOT_FOUND, REVISION_NOT_FOUND.
   */
  static async open(name: string, settings: HubSettings): Promise<RepositorySnapshot> {
    const cache = new RepositoryCache(settings.cacheDir, name);
    const { revision, offline } = settings;
    const cached = await cache.commitOf(revision);
    const client = new HubClient(settings, name);
    if (offline === null) {
      if (COMMIT.test(revision)) return new RepositorySnapshot(name, revision, settings, cache, client);
      try {
        const commit = await client.resolveCommit(revision);
        return new RepositorySnapshot(name, commit, settings, cache, client);
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        if (cached !== null && !settings.forceDownload)
          return new RepositorySnapshot(name, cached, settings, cache, error.message);
        throw new Sam3TrackerError(
          'DOWNLOAD_FAILED',
          `${name} is not in the cache (${pathText(settings.cacheDir)}), and ${error.message}.`,
          { cause: error },
        );
      }
    }
    if (cached === null)
      throw new Sam3TrackerError(
        'FILE_NOT_FOUND',
        `Revision ${revision} of ${name} is not in the cache (${pathText(cache.folder)}), and nothing is downloaded since ` +
          `${offline}.`,
      );
    return new RepositorySnapshot(name, cached, settings, cache, offline);
  }

  /** The folder of this commit in the cache, which may hold a part of its files only. */
  get folder(): string {
    return this.#cache.snapshot(this.commit);
  }

  /** Why nothing is downloaded; null where it is. */
  get offline(): string | null {
    return this.#offline;
  }

  /**
   * The path of a file at the top of the repository, downloaded first where the cache does not have it, or has it in
   * another size than the hub names.
   *
   * @returns null where the repository has no such file, or the cache while nothing is downloaded.
   * @throws Sam3TrackerError FILE_INVALID for a link that leads out of the cache; as `downloadFile`, and as `open`.
   */
  find(file: string): Promise<string | null> {
    const known = this.#found.get(file);
    if (known !== undefined) return known;
    const found = this.#find(file);
    this.#found.set(file, found);
    return found;
  }

  async #find(file: string): Promise<string | null> {
    const { forceDownload, revision } = this.#settings;
    // A file that is downloaded anew may be what is wrong with the cache.
    const isReplaced = forceDownload && this.#client !== null;
    const cached = isReplaced ? null : await this.#cache.find(this.commit, file);
    if (this.#client === null) return cached;
    if (cached !== null && (await this.#isWhole(this.#client, file, cached))) {
      // A cache that others filled may be one that cannot be written.
      await this.#cache.writeRef(revision, this.commit).catch(unlessReadOnly);
      return cached;
    }
    const remote = (await this.#files(this.#client)).get(file);
    if (remote === undefined) return null;
    await this.#download(this.#client, file, remote);
    await this.#cache.writeRef(revision, this.commit);
    return this.#cache.find(this.commit, file);
  }

  /** Whether a file of the cache has the size that the hub names, as far as the hub says. */
  async #isWhole(client: HubClient, file: string, cached: string): Promise<boolean> {
    // Whoever names a commit asks the hub for nothing that the cache has, as in Python.
    if (this.#settings.revision === this.commit) return true;
    try {
      const remote = (await this.#files(client)).get(file);
      return remote === undefined || remote.size === (await sizeOf(cached));
    } catch (error) {
      // What is here was whole when it came: a hub that gives no list is no reason to fail.
      if (error instanceof Sam3TrackerError) return true;
      throw error;
    }
  }

  #files(client: HubClient): Promise<Map<string, RemoteFile>> {
    this.#listing ??= client.listFiles(this.commit).catch((error: unknown) => {
      throw error instanceof TransientError
        ? new Sam3TrackerError(
            'DOWNLOAD_FAILED',
            `The files of ${this.name} cannot be listed: ${error.message}.`,
            {
              cause: error,
            },
          )
        : error;
    });
    return this.#listing;
  }

  async #download(client: HubClient, file: string, { etag, size }: RemoteFile): Promise<void> {
    const { forceDownload: force, stallTimeout } = this.#settings;
    const name = `${file} of ${this.name}`;
    const destination = this.#cache.blob(etag);
    const progress = this.#reporter(file, size);
    const open: Download['open'] = (start, signal) => client.open(this.commit, file, start, signal);
    const report = (loaded: number): void => progress('progress', loaded);
    const download = { etag, size, name, destination, force, stallTimeout, open, report };
    // One that lost its file to another process waits for that one.
    while (!(await downloadFile(download)));
    await this.#cache.link(this.commit, file, etag);
    progress('done', size);
  }

  /** Passes progress on, seldom enough; says 'initiate' first, and nothing at all where only 'done' would be said. */
  #reporter(file: string, total: number): (status: 'progress' | 'done', loaded: number) => void {
    const send = (status: DownloadProgress['status'], loaded: number): void => {
      const progress = total === 0 ? 100 : (100 * loaded) / total;
      this.#settings.progress({ status, name: this.name, file, loaded, total, progress });
    };
    let last: number | null = null;
    return (status, loaded) => {
      const now = performance.now();
      if (last === null) {
        if (status === 'done') return;
        send('initiate', 0);
      } else if (status === 'progress' && loaded < total && now - last < REPORT_INTERVAL) {
        return;
      }
      last = now;
      send(status, loaded);
    };
  }
}

function unlessReadOnly(error: unknown): void {
  if (!hasCode((error as Error).cause ?? error, 'EROFS', 'EACCES', 'EPERM')) throw error;
}
