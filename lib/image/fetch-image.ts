/** The encoded bytes of an image: from a file, a URL or base64 text, within limits. */
import { constants } from 'node:fs';
import { open, type FileHandle } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { Sam3TrackerError, shorten, withoutSecrets } from '../core/errors';
import { fileError, hasCode, refuseLfsPointer } from '../core/files';
import { checkPublic, httpLibrary, openDispatcher } from '../core/http';
import { isError } from '../core/kinds';
import { formatOf } from './formats';

/** Where images may come from, and how long and large they may be; documented at RawImage.read. */
export interface FetchOptions {
  signal?: AbortSignal;
  /** Seconds, or false. */
  timeout: number | false;
  limitInputBytes: number | false;
  allowedHosts: readonly string[] | null;
  allowPrivateAddresses: boolean;
  allowLocalFiles: boolean;
}

/** Encoded bytes, and what errors call them. */
export interface EncodedImage {
  bytes: Uint8Array;
  name: string;
}

const MAX_REDIRECTS = 20;
const MAX_NAME = 100;

function invalid(name: string, reason: string, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError('IMAGE_INVALID', `The image ${name} ${reason}.`, { cause });
}

/** The error for more bytes than the limit. */
function tooLarge(name: string, limit: number): Sam3TrackerError {
  return new Sam3TrackerError(
    'IMAGE_TOO_LARGE',
    `The image ${name} has more bytes than limitInputBytes (${limit}). Raise it, or set it to false, to read it.`,
  );
}

function checkSize(bytes: Uint8Array, name: string, limit: number | false): Uint8Array {
  if (limit !== false && bytes.byteLength > limit) throw tooLarge(name, limit);
  return bytes;
}

/** The content of a regular file, null where there is none. Not left to libvips, which caches files by path. */
async function readImageFile(path: string, name: string, limit: number | false): Promise<Uint8Array | null> {
  let handle: FileHandle;
  try {
    // A pipe without a writer would block a thread of libuv.
    handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  } catch (cause) {
    // Base64 text is too long for a name, or holds what no name may.
    if (hasCode(cause, 'ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE')) return null;
    throw fileError(cause, name, 'FILE_NOT_READ');
  }
  try {
    const stats = await handle.stat();
    if (!stats.isFile())
      throw invalid(name, stats.isDirectory() ? 'is a directory, not a file' : 'is no regular file');
    if (limit !== false && stats.size > limit) throw tooLarge(name, limit);
    const bytes = Buffer.alloc(stats.size);
    let length = 0;
    // A file that grows meanwhile is read as long as it was, one that shrinks to its end.
    for (let read = -1; read !== 0 && length < bytes.length; length += read)
      ({ bytesRead: read } = await handle.read(bytes, length, bytes.length - length, length));
    refuseLfsPointer(bytes, name);
    return bytes.subarray(0, length);
  } catch (cause) {
    throw fileError(cause, name, 'FILE_NOT_READ');
  } finally {
    await handle.close();
  }
}

/** The bytes behind a data: URL; as load_image, the payload of an image is taken for base64 where it holds one. */
function readDataUrl(url: string, name: string): Uint8Array {
  const comma = url.indexOf(',');
  if (comma < 0) throw invalid(name, 'is a data: URL without data');
  let payload = url.slice(comma + 1);
  try {
    payload = payload.includes('%') ? decodeURIComponent(payload) : payload;
  } catch (cause) {
    throw invalid(name, 'is a data: URL with a malformed escape', cause);
  }
  const bytes = Buffer.from(payload, 'base64');
  return /;\s*base64\s*$/i.test(url.slice(0, comma)) || formatOf(bytes) ? bytes : Buffer.from(payload);
}

function checkHost(url: URL, options: FetchOptions): void {
  const { allowedHosts, allowPrivateAddresses } = options;
  const isAllowed = (pattern: string): boolean =>
    pattern.startsWith('*.') ? url.hostname.endsWith(pattern.slice(1)) : url.hostname === pattern;
  if (allowedHosts && !allowedHosts.some((pattern) => isAllowed(pattern.toLowerCase())))
    throw new Sam3TrackerError('ACCESS_DENIED', `allowedHosts does not name ${shorten(url.host, MAX_NAME)}`);
  if (!allowPrivateAddresses) checkPublic(url);
}

/** The answer to a request, redirects followed and each checked. */
async function request(source: string, options: FetchOptions, init: object): Promise<Response> {
  const { fetch } = httpLibrary();
  let url = new URL(source);
  const { origin, username, password } = url;
  const login = Buffer.from(`${decodeURIComponent(username)}:${decodeURIComponent(password)}`).toString(
    'base64',
  );
  for (let hop = 0; hop <= MAX_REDIRECTS; hop++) {
    if (!/^https?:$/.test(url.protocol)) throw new Error(`it leads to a ${url.protocol} URL`);
    checkHost(url, options);
    // fetch refuses a login in a URL, in words that show it.
    const headers =
      (username || password) && url.origin === origin ? { authorization: `Basic ${login}` } : {};
    url.username = url.password = '';
    const response = (await fetch(url.href, { ...init, headers, redirect: 'manual' })) as unknown as Response;
    const location = response.headers.get('location');
    if (response.status < 301 || response.status > 308 || location === null) return response;
    await response.body?.cancel();
    if (!URL.canParse(location, url.href)) throw new Error('it leads to what is no URL');
    url = new URL(location, url);
  }
  throw new Error(`it leads on more than ${MAX_REDIRECTS} times`);
}

async function readBody(response: Response, name: string, limit: number | false): Promise<Uint8Array> {
  if (!response.ok)
    throw new Error(`the server answered ${response.status} ${shorten(response.statusText, 60)}`);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
    length += chunk.length;
    if (limit !== false && length > limit) throw tooLarge(name, limit);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function innermost(error: unknown): unknown {
  let reason = error;
  while (isError(reason) && reason.cause !== undefined) reason = reason.cause;
  return reason;
}

async function download(url: string, name: string, options: FetchOptions): Promise<Uint8Array> {
  const { signal, timeout, limitInputBytes, allowPrivateAddresses } = options;
  const late = timeout === false ? undefined : AbortSignal.timeout(timeout * 1000);
  const ends = [signal, late].filter((end) => end !== undefined);
  const failed = (
    code: 'ACCESS_DENIED' | 'DOWNLOAD_FAILED',
    reason: string,
    cause?: unknown,
  ): Sam3TrackerError =>
    new Sam3TrackerError(code, `The image ${name} could not be fetched: ${reason}.`, { cause });
  if (!URL.canParse(url)) throw failed('DOWNLOAD_FAILED', 'this is no URL');
  let dispatcher: ReturnType<typeof openDispatcher> | null = null;
  try {
    // A proxy of the environment that is no URL is refused here.
    dispatcher = openDispatcher({ publicOnly: !allowPrivateAddresses });
    const response = await request(url, options, { dispatcher, signal: AbortSignal.any(ends) });
    return await readBody(response, name, limitInputBytes);
  } catch (cause) {
    // The caller knows its own reason, and compares it.
    if (signal?.aborted) throw signal.reason;
    if (late?.aborted)
      throw new Sam3TrackerError(
        'DOWNLOAD_FAILED',
        `The image ${name} could not be fetched within the timeout of ${timeout} seconds.`,
      );
    const reason = innermost(cause);
    if (reason instanceof Sam3TrackerError) {
      if (reason.code !== 'ACCESS_DENIED') throw reason;
      throw failed(reason.code, reason.message);
    }
    const { message, code } = reason as NodeJS.ErrnoException;
    throw failed('DOWNLOAD_FAILED', shorten(message || code || String(reason), 300), cause);
  } finally {
    await dispatcher?.destroy();
  }
}

function localPath(url: string, name: string): string {
  try {
    return fileURLToPath(url);
  } catch (cause) {
    throw invalid(name, 'is a file: URL that names no local path', cause);
  }
}

/**
 * The encoded bytes behind a path, a URL (http, https, file, data) or base64 text, in the order of transformers'
 * load_image.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_NOT_READ, FILE_INVALID for a pointer of Git LFS, DOWNLOAD_FAILED,
 *   ACCESS_DENIED, IMAGE_TOO_LARGE, or IMAGE_INVALID for what is no regular file; the signal's reason.
 */
export async function fetchImage(source: string | URL, options: FetchOptions): Promise<EncodedImage> {
  const text = String(source);
  const name = shorten(withoutSecrets(text), MAX_NAME);
  const { limitInputBytes: limit, allowLocalFiles, signal } = options;
  signal?.throwIfAborted();
  const scheme = /^(https?|data|file):/i.exec(text)?.[1].toLowerCase();
  if (scheme === 'data') return { bytes: checkSize(readDataUrl(text, name), name, limit), name };
  if (scheme?.startsWith('http')) return { bytes: await download(text, name, options), name };
  if (scheme === 'file' && !allowLocalFiles)
    throw new Sam3TrackerError(
      'ACCESS_DENIED',
      `The image ${name} is a local file, and allowLocalFiles is false.`,
    );
  const file = allowLocalFiles
    ? await readImageFile(scheme === 'file' ? localPath(text, name) : text, name, limit)
    : null;
  if (file) return { bytes: file, name };
  const bytes = Buffer.from(text, 'base64');
  if (scheme === undefined && formatOf(bytes))
    return { bytes: checkSize(bytes, 'in base64', limit), name: 'in base64' };
  if (!allowLocalFiles)
    throw new Sam3TrackerError('ACCESS_DENIED', `The image ${name} is no URL, and allowLocalFiles is false.`);
  const further = text.length > MAX_NAME ? ' It is no base64 of an image either.' : '';
  throw new Sam3TrackerError('FILE_NOT_FOUND', `There is no image file at ${name}.${further}`);
}
