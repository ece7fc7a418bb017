/** Encoded images (files, URLs, bytes) to 8-bit pixels, with the bytes that Pillow decodes; sharp does the work. */
import { readFile } from 'node:fs/promises';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { Sam3TrackerError } from '../core/errors';
import { isError } from '../core/kinds';

/** How to decode: both fields are documented at RawImage.read. */
export interface DecodeOptions {
  autoOrient: boolean;
  limitInputPixels: number | false;
}

/** How to download: both fields are documented at RawImage.read. */
export interface DownloadOptions {
  signal?: AbortSignal;
  limitDownloadBytes: number | false;
}

/** Pixels, row-major, channels last: (height, width, channels). */
export interface DecodedImage {
  data: Uint8Array;
  width: number;
  height: number;
  /** 1 grey, 3 RGB, 4 RGB and alpha. */
  channels: 1 | 3 | 4;
}

function invalid(name: string, reason: string, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError('IMAGE_INVALID', `The image ${name} ${reason}`, { cause });
}

// libvips reports one failure on several lines; a caller wants one.
function firstLine(error: unknown): string {
  return (isError(error) ? error.message : String(error)).split('\n')[0];
}

async function readImageFile(path: string): Promise<Buffer> {
  try {
    // Not left to libvips: it caches files by path and would give the old pixels of a file that was replaced.
    return await readFile(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR')
      throw new Sam3TrackerError('FILE_NOT_FOUND', `There is no image file at ${path}.`, { cause });
    if (code === 'EISDIR') throw invalid(path, 'is a directory, not a file.', cause);
    throw invalid(path, `could not be read: ${firstLine(cause)}.`, cause);
  }
}

async function download(url: string, name: string, options: DownloadOptions): Promise<Buffer> {
  const { signal, limitDownloadBytes: limit } = options;
  const failed = (reason: string, cause?: unknown): Sam3TrackerError =>
    new Sam3TrackerError('DOWNLOAD_FAILED', `The image ${name} could not be fetched: ${reason}.`, { cause });
  const chunks: Uint8Array[] = [];
  try {
    const response = await fetch(url, { signal });
    if (!response.ok) throw failed(`the server answered ${response.status} ${response.statusText}`);
    let length = 0;
    for await (const chunk of (response.body ?? []) as AsyncIterable<Uint8Array>) {
      length += chunk.length;
      if (limit !== false && length > limit)
        throw new Sam3TrackerError(
          'IMAGE_TOO_LARGE',
          `The image ${name} has more bytes than limitDownloadBytes (${limit}). Raise it, or set it to false, to read it.`,
        );
      chunks.push(chunk);
    }
  } catch (cause) {
    if (cause instanceof Sam3TrackerError) throw cause;
    // The caller knows its own reason, and compares it.
    if (signal?.aborted) throw signal.reason;
    throw failed(firstLine((cause as Error).cause ?? cause), cause);
  }
  return Buffer.concat(chunks);
}

/**
 * The encoded bytes behind a path or a URL (http, https, file, data), with a short name for messages.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, DOWNLOAD_FAILED, IMAGE_TOO_LARGE for a download above its limit, or IMAGE_INVALID
 *   for a directory or an unreadable file.
 */
export async function fetchImageBytes(
  source: string | URL,
  options: DownloadOptions,
): Promise<{ bytes: Buffer; name: string }> {
  const text = String(source);
  const name = text.length > 100 ? `${text.slice(0, 97)}...` : text;
  const scheme = /^(https?|data|file):/i.exec(text)?.[1].toLowerCase();
  if (scheme === 'file') return { bytes: await readImageFile(fileURLToPath(text)), name };
  if (scheme !== undefined) return { bytes: await download(text, name, options), name };
  return { bytes: await readImageFile(text), name };
}

// Pixels between two turns of the event loop: about two milliseconds.
const CMYK_CHUNK = 1 << 18;

// Pillow's cmyk2rgb: libvips would go through a colour profile. In place, and in pieces so that the loop stays free.
async function cmykToRgb(data: Uint8Array, pixels: number): Promise<Uint8Array> {
  for (let start = 0; start < pixels; start += CMYK_CHUNK) {
    const end = Math.min(start + CMYK_CHUNK, pixels);
    for (let pixel = start; pixel < end; pixel++) {
      const white = 255 - data[pixel * 4 + 3];
      for (let channel = 0; channel < 3; channel++) {
        const product = data[pixel * 4 + channel] * white + 128;
        // Rounded division by 255, as Pillow's MULDIV255; never above `white`. Pixels before this one are done with.
        data[pixel * 3 + channel] = white - (((product >> 8) + product) >> 8);
      }
    }
    if (end < pixels) await nextTurn();
  }
  return data.subarray(0, pixels * 3);
}

/**
 * Decodes the first page or frame of an encoded image.
 *
 * Colour profiles are ignored and alpha is kept unblended, as Pillow does; palettes become RGB, CMYK becomes RGB by
 * Pillow's formula, 1-bit images become 0 and 255, and 16 bits are scaled to 8 (Pillow clips 16-bit grey instead).
 *
 * @param bytes of the file.
 * @param options see RawImage.read.
 * @param name how errors call the image.
 * @throws Sam3TrackerError IMAGE_INVALID for what is empty, truncated, corrupt or no image; IMAGE_TOO_LARGE above
 *   `limitInputPixels`.
 */
export async function decodeImage(
  bytes: Uint8Array,
  options: DecodeOptions,
  name: string,
): Promise<DecodedImage> {
  if (bytes.byteLength === 0) throw invalid(name, 'is empty.');
  const open = (): sharp.Sharp => sharp(bytes, { ignoreIcc: true, failOn: 'error', limitInputPixels: false });
  let metadata: sharp.Metadata;
  try {
    metadata = await open().metadata();
  } catch (cause) {
    throw invalid(name, `is corrupt or of a format that is not supported: ${firstLine(cause)}.`, cause);
  }
  const { width, height, space } = metadata;
  if (options.limitInputPixels !== false && width * height > options.limitInputPixels)
    throw new Sam3TrackerError(
      'IMAGE_TOO_LARGE',
      `The image ${name} has ${width} x ${height} pixels, more than limitInputPixels (${options.limitInputPixels}). ` +
        'Raise limitInputPixels, or set it to false, to read it.',
    );
  const image = options.autoOrient ? open().autoOrient() : open();
  const cmyk = space === 'cmyk';
  if (cmyk) image.pipelineColourspace('cmyk').toColourspace('cmyk');
  // Other grey becomes RGB: sharp's raw grey output has no alpha, and rounds 16 bits otherwise than Pillow.
  else image.toColourspace(space === 'b-w' && !metadata.hasAlpha ? 'b-w' : 'srgb');
  try {
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const size = { width: info.width, height: info.height };
    if (!cmyk) return { data, ...size, channels: info.channels as DecodedImage['channels'] };
    return { data: await cmykToRgb(data, info.width * info.height), ...size, channels: 3 };
  } catch (cause) {
    throw invalid(name, `is corrupt or truncated: ${firstLine(cause)}.`, cause);
  }
}
