/** One file from the hub into the cache: continued where an earlier attempt ended, checked, and only then in its place. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { open, rename, rm, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sam3TrackerError } from '../core/errors';
import { fileError, hasCode, orElse, sizeOf } from '../core/files';
import { TransientError } from './client';
import type { RemoteFile } from './client';
import { withLock } from './lock';

/** Attempts in a row that get no further than those before until a download is given up. */
const FRUITLESS_ATTEMPTS = 5;
/** Of those, how many ask for the rest, where the answer is an error of the server: it may be one of ranges alone. */
const ATTEMPTS_AT_RANGE = 3;
const FIRST_WAIT = 100;
const LONGEST_WAIT = 60_000;

/** What is downloaded, and where to. */
export interface Download extends RemoteFile {
  /** For errors: which file of which repository. */
  name: string;
  /** Where the checked content goes. */
  destination: string;
  /** Whether the content is fetched as a whole, whatever is there of it. */
  force: boolean;
  /** How long an answer may stall, in milliseconds. */
  stallTimeout: number;
  /** Asks the server for the content from a byte on. */
  open: (start: number, signal: AbortSignal) => Promise<Response>;
  /** Told how many bytes are there. */
  report: (loaded: number) => void;
}

/**
 * Downloads a file to `destination`, unless one of its size is there. What has arrived stays in the same folder as
 * `<etag>.sam3-tracker.incomplete`; the next attempt, of this process or a later one, continues there. The hash is
 * checked before the file gets its name. A file that came in parts and is wrong is fetched once more as a whole.
 *
 * @returns false where another process took this one for dead and has taken its file away.
 * @throws Sam3TrackerError DOWNLOAD_FAILED where the network or the disk gives out (what has arrived stays),
 *   FILE_NOT_WRITTEN where the folder cannot be written to, HASH_MISMATCH where the server sends something else (nothing stays); and what `open` and `report` throw.
 */
export async function downloadFile(download: Download): Promise<boolean> {
  const { destination, report } = download;
  const lock = `${destination}.sam3-tracker.incomplete`;
  try {
    return await withLock(lock, (partial) => publish(partial, download), report);
  } catch (error) {
    throw fileError(error, destination, 'FILE_NOT_WRITTEN');
  }
}

async function publish(partial: string, download: Download): Promise<boolean> {
  const { destination, size, force } = download;
  try {
    if (!force && (await sizeOf(destination)) === size) {
      await rm(partial, { force: true });
      return true;
    }
    await fill(partial, download);
    const moved = rename(partial, destination).then(() => true);
    return await orElse(moved, false, 'ENOENT');
  } catch (error) {
    if (error instanceof Sam3TrackerError && error.code === 'HASH_MISMATCH')
      await rm(partial, { force: true });
    throw hasCode(error, 'ENOSPC', 'EDQUOT') ? noSpace(download, error) : error;
  }
}

function noSpace({ name, size, destination }: Download, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError(
    'DOWNLOAD_FAILED',
    `There is not enough space for ${name} (${size} bytes) in ${path.dirname(destination)}. ` +
      'Make room, or choose another cache_dir; what has arrived is kept.',
    { cause },
  );
}

async function fill(partial: string, download: Download): Promise<void> {
  const { size, destination, force } = download;
  const handle = await open(partial, 'a+');
  try {
    const transfer = new Transfer(handle, download);
    // What is larger than the content is none of it.
    if (force || (await handle.stat()).size > size) await transfer.clear();
    else await transfer.readFile();
    const { bavail, bsize } = await statfs(path.dirname(destination));
    if (bavail * bsize < size - transfer.length) throw noSpace(download);
    await transfer.run();
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** A file that grows, and the hash of what is in it. */
class Transfer {
  /** Bytes that are here. */
  length = 0;
  readonly #handle: FileHandle;
  readonly #download: Download;
  #hash: Hash;
  /** Whether they are of several answers, and so perhaps of several contents. */
  #inParts = false;
  #asksRanges = true;

  constructor(handle: FileHandle, download: Download) {
    this.#handle = handle;
    this.#download = download;
    this.#hash = this.#newHash();
  }

  /** The hash whose digest is the etag: sha256 of a large file, git's own for a small one. */
  #newHash(): Hash {
    const { etag, size } = this.#download;
    return etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
  }

  /** Goes on with what is in the file. */
  async readFile(): Promise<void> {
    for await (const piece of this.#handle.createReadStream({ start: 0, autoClose: false }))
      this.#count(piece as Buffer);
    this.#inParts = this.length > 0;
  }

  /** Throws away what is in the file. */
  async clear(): Promise<void> {
    await this.#handle.truncate();
    this.#hash = this.#newHash();
    this.length = 0;
    this.#inParts = false;
  }

  /** Receives until the file is whole and its hash is the etag. */
  async run(): Promise<void> {
    const { name, size, etag, report } = this.#download;
    report(this.length);
    for (;;) {
      if (this.length < size) await this.#receiveAll();
      const found = this.#hash.digest('hex');
      if (found === etag) return;
      if (!this.#inParts)
        throw new Sam3TrackerError(
          'HASH_MISMATCH',
          `${name} arrived with the hash ${found}, and the hub says ${etag}. Nothing was kept; try again.`,
        );
      this.#asksRanges = false;
      await this.clear();
    }
  }

  /** Receives until the file is whole, over as many connections as it takes. */
  async #receiveAll(): Promise<void> {
    const { name, size } = this.#download;
    let best = this.length;
    let fruitless = 0;
    let refusals = 0;
    while (this.length < size) {
      try {
        const wanted = this.#asksRanges && refusals < ATTEMPTS_AT_RANGE ? this.length : 0;
        const isWanted = await this.#receive(wanted);
        if (wanted > 0 && !(isWanted && this.length > best)) {
          // The server does not understand the question: from here on it is asked for everything.
          this.#asksRanges = false;
          best = 0;
        } else if (this.length < size) {
          throw new TransientError('the connection ended early');
        }
      } catch (error) {
        if (!(error instanceof TransientError)) throw error;
        // A server that begins anew each time has to get further each time.
        fruitless = this.length > best ? 0 : fruitless + 1;
        refusals = error.isServerError && fruitless > 0 ? refusals + 1 : 0;
        best = Math.max(best, this.length);
        if (fruitless >= FRUITLESS_ATTEMPTS)
          throw new Sam3TrackerError(
            'DOWNLOAD_FAILED',
            `${name} could not be downloaded (${this.length} of ${size} bytes are here, and the next attempt ` +
              `continues there): ${error.message}.`,
            { cause: error },
          );
        await sleep(Math.min(error.retryAfter ?? FIRST_WAIT * 2 ** fruitless, LONGEST_WAIT));
      }
    }
  }

  /**
   * Receives one answer.
   *
   * @returns false where it is not the range from `wanted` on, nor everything.
   * @throws TransientError where the answer breaks off or stalls.
   */
  async #receive(wanted: number): Promise<boolean> {
    const { size, stallTimeout } = this.#download;
    const stalled = new AbortController();
    const stop = (): void => stalled.abort(new Error(`no byte came for ${stallTimeout / 1000} s`));
    const timer = setTimeout(stop, stallTimeout);
    try {
      const response = await this.#ask(wanted, stalled.signal);
      if (response === null) return false;
      const reader = (response.body as ReadableStream<Uint8Array>).getReader();
      const broken = (cause: Error): never => {
        throw new TransientError(`the connection broke: ${cause.message}`, { cause });
      };
      for (;;) {
        const { done, value } = await reader.read().catch(broken);
        if (done) return true;
        timer.refresh();
        // More than the content is none of it; whether the rest is right the hash tells.
        await this.#add(value.subarray(0, size - this.length));
        timer.refresh();
      }
    } finally {
      clearTimeout(timer);
      // Lets go of a connection that was not read to its end.
      stalled.abort();
    }
  }

  /** An answer whose bytes come after those that are here; null for one of no use to a request for a range. */
  async #ask(wanted: number, signal: AbortSignal): Promise<Response | null> {
    const response = await this.#download.open(wanted, signal).catch((error: unknown) => {
      // Status 416, or whatever else is said to requests for ranges alone.
      if (wanted > 0 && error instanceof Sam3TrackerError) return null;
      throw error;
    });
    if (response === null) return null;
    const range = response.headers.get('content-range');
    if (response.status === 200 && range === null) {
      await this.clear();
      return response;
    }
    if (Number(/^bytes (\d+)-/.exec(range ?? '')?.[1]) === wanted) {
      if (wanted > 0) this.#inParts = true;
      else await this.clear();
      return response;
    }
    if (wanted > 0) return null;
    throw new TransientError(`the server answered with status ${response.status} instead of the whole file`);
  }

  async #add(piece: Uint8Array): Promise<void> {
    await this.#handle.appendFile(piece);
    this.#count(piece);
    this.#download.report(this.length);
  }

  #count(piece: Uint8Array): void {
    this.#hash.update(piece);
    this.length += piece.length;
  }
}
