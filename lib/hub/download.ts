/** One file from the hub into the cache: continued where an earlier attempt ended, checked, and only then in its place. */
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { mkdir, open, statfs } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Sam3TrackerError } from '../core/errors';
import { TransientError } from './client';
import type { RemoteFile } from './client';
import { PartialFile } from './partial';

/** Attempts in a row that bring not one byte before a download is given up. */
const FRUITLESS_ATTEMPTS = 5;
const FIRST_WAIT = 100;
const LONGEST_WAIT = 60_000;
const PIECE = 2 ** 20;

/** What is downloaded, and where to. */
export interface Download extends RemoteFile {
  /** For errors: which file of which repository. */
  name: string;
  /** Where the checked content goes. */
  destination: string;
  /** How long it may stand still, in milliseconds. */
  stallTimeout: number;
  /** Asks the server for the content from a byte on. */
  open(start: number, signal: AbortSignal): Promise<Response>;
  /** Told how many bytes are there. */
  report(loaded: number): void;
}

/**
 * Downloads the content to `destination`. What has arrived stays beside it as `<etag>.sam3-tracker.incomplete` until it
 * is whole, and an attempt that ends early is continued from there, in this process or in a later one. The hash is
 * checked before the content gets its name; content that was continued and is wrong is fetched once more as a whole.
 * Two that download the same at once each write to a file of their own.
 *
 * @returns false where another process took this one for dead and has taken its file over.
 * @throws Sam3TrackerError DOWNLOAD_FAILED where the network or the disk gives out (what has arrived stays),
 *   HASH_MISMATCH where the server sends something else; and what `open` throws.
 */
export async function downloadFile(download: Download): Promise<boolean> {
  const { destination, size } = download;
  await mkdir(path.dirname(destination), { recursive: true });
  for (;;) {
    const partial = await PartialFile.take(destination, size);
    const result = await fill(partial, download).catch(async (error: unknown) => {
      await partial.leave();
      throw error;
    });
    if (result === null) return false;
    const { found, continued } = result;
    if (found === download.etag) return partial.publish();
    await partial.remove();
    if (!continued)
      throw new Sam3TrackerError(
        'HASH_MISMATCH',
        `${download.name} arrived with the hash ${found}, and the hub says ${download.etag}. Nothing was kept; try again.`,
      );
  }
}

/** Completes the file; null where another process has taken it over already. */
async function fill(
  partial: PartialFile,
  download: Download,
): Promise<{ found: string; continued: boolean } | null> {
  let handle: FileHandle;
  try {
    handle = await open(partial.path, 'r+');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
  try {
    const kept = (await handle.stat()).size;
    await checkSpace(download, kept);
    const found = await diskErrors(download, () => receive(handle, download, kept));
    await diskErrors(download, () => handle.sync());
    return { found, continued: kept > 0 };
  } finally {
    await handle.close();
  }
}

async function checkSpace(download: Download, kept: number): Promise<void> {
  const { bavail, bsize } = await statfs(path.dirname(download.destination));
  if (bavail * bsize < download.size - kept) throw noSpace(download);
}

function noSpace(download: Download, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError(
    'DOWNLOAD_FAILED',
    `There is not enough space for ${download.name} (${download.size} bytes) in ${path.dirname(download.destination)}. ` +
      'Make room, or choose another cache_dir; what has arrived is kept.',
    { cause },
  );
}

async function diskErrors<T>(download: Download, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw code === 'ENOSPC' || code === 'EDQUOT' ? noSpace(download, error) : error;
  }
}

/** Fills the file from `kept` bytes on, over as many connections as it takes; returns the hash of all of it. */
async function receive(handle: FileHandle, download: Download, kept: number): Promise<string> {
  let hash = newHash(download);
  await hashStart(handle, hash, kept);
  let position = kept;
  let fruitless = 0;
  download.report(position);
  while (position < download.size) {
    const before = position;
    try {
      for await (const [start, piece] of pieces(download, position)) {
        if (start !== position) {
          // A server that knows no ranges begins again.
          hash = newHash(download);
          position = 0;
        }
        await writeAll(handle, piece, position);
        hash.update(piece);
        position += piece.length;
        download.report(position);
      }
      if (position < download.size) throw new TransientError('the connection ended early');
    } catch (error) {
      if (!(error instanceof TransientError)) throw error;
      fruitless = position > before ? 0 : fruitless + 1;
      if (fruitless >= FRUITLESS_ATTEMPTS)
        throw new Sam3TrackerError(
          'DOWNLOAD_FAILED',
          `${download.name} could not be downloaded (${position} of ${download.size} bytes are here, and the next ` +
            `attempt continues there): ${error.message}.`,
          { cause: error },
        );
      await sleep(Math.min(error.retryAfter ?? FIRST_WAIT * 2 ** fruitless, LONGEST_WAIT));
    }
  }
  return hash.digest('hex');
}

/** The hash whose digest is the etag: sha256 of a large file, git's own for a small one. */
function newHash({ etag, size }: RemoteFile): Hash {
  return etag.length === 64 ? createHash('sha256') : createHash('sha1').update(`blob ${size}\0`);
}

async function hashStart(handle: FileHandle, hash: Hash, length: number): Promise<void> {
  const buffer = Buffer.alloc(Math.min(PIECE, length));
  for (let position = 0; position < length;) {
    const { bytesRead } = await handle.read(buffer, 0, Math.min(PIECE, length - position), position);
    if (bytesRead === 0) throw new Error('The file became shorter while it was read.');
    hash.update(buffer.subarray(0, bytesRead));
    position += bytesRead;
  }
}

async function writeAll(handle: FileHandle, piece: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < piece.length;) {
    const { bytesWritten } = await handle.write(piece, done, piece.length - done, position + done);
    done += bytesWritten;
  }
}

/** The pieces of one response with their positions; TransientError where it breaks off or stands still. */
async function* pieces(download: Download, start: number): AsyncGenerator<[number, Uint8Array]> {
  const stalled = new AbortController();
  const timer = setTimeout(
    () => stalled.abort(new Error(`no byte came for ${download.stallTimeout / 1000} s`)),
    download.stallTimeout,
  );
  try {
    const response = await download.open(start, stalled.signal);
    let position = startOf(response, start);
    for await (const piece of body(response)) {
      timer.refresh();
      const useful = piece.subarray(0, download.size - position);
      yield [position, useful];
      timer.refresh();
      position += useful.length;
      if (useful.length < piece.length)
        throw new TransientError(`the server sent more than the ${download.size} bytes of the file`);
    }
  } finally {
    clearTimeout(timer);
    // Lets go of a connection that was not read to its end.
    stalled.abort();
  }
}

async function* body(response: Response): AsyncGenerator<Uint8Array> {
  const reader = (response.body as ReadableStream<Uint8Array>).getReader();
  for (;;) {
    let next;
    try {
      next = await reader.read();
    } catch (cause) {
      const { message } = cause as Error;
      throw new TransientError(`the connection broke: ${message}`, { cause });
    }
    if (next.done) return;
    yield next.value;
  }
}

function startOf(response: Response, wanted: number): number {
  if (response.status !== 206) return 0;
  const start = /^bytes (\d+)-/.exec(response.headers.get('content-range') ?? '')?.[1];
  if (Number(start) !== wanted)
    throw new TransientError(`the server sent another range than bytes ${wanted} and on`);
  return wanted;
}
