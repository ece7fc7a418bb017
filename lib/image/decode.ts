/** Encoded images to 8-bit pixels, with the bytes that Pillow decodes; sharp does the work. */
import sharp from 'sharp';
import type { Metadata, Sharp } from 'sharp';
import { abortable } from '../core/async';
import { Sam3TrackerError, shorten } from '../core/errors';
import { isError } from '../core/kinds';
import { keepKnown, readPixels, refusalOf, tiffRefusalOf, type Pixels } from './colour';
import { DECODED_FORMATS, formatOf, type ImageFormat } from './formats';
import { orientationOf, turn, withKnownOrientation } from './orientation';

/** How to decode; documented at RawImage.read. */
export interface DecodeOptions {
  autoOrient: boolean;
  limitInputPixels: number | false;
  svg: boolean;
  /** Seconds, or false. */
  timeout: number | false;
}

// Bands, which Pillow bounds too; sharp's own limit is five.
const MAX_CHANNELS = 64;
// sharp's own bound of a time limit, in seconds.
const MAX_TIMEOUT = 3600;

function invalid(name: string, reason: string, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError('IMAGE_INVALID', `The image ${name} ${reason}.`, { cause });
}

/** What libvips says of a failure, without its own preface: several lines, of which any may hold the reason. */
function reasonOf(error: unknown): string {
  const lines = (isError(error) ? error.message : String(error)).split('\n').map((line) => line.trim());
  const said = [...new Set(lines)].filter((line) => line !== '').join('; ');
  return shorten(said.replace(/^Input (?:buffer|file) has corrupt header: /, ''), 300);
}

/** The format of an image that may be decoded. @throws Sam3TrackerError IMAGE_INVALID for any other. */
function checkFormat(bytes: Uint8Array, svg: boolean, name: string): ImageFormat {
  if (bytes.byteLength === 0) throw invalid(name, 'is empty');
  const format = formatOf(bytes);
  if (format === null)
    throw invalid(name, `is corrupt or of a format that is not supported: ${DECODED_FORMATS} are`);
  if (format.decoded === 'never')
    throw invalid(name, `is ${format.name}, which is not supported: convert it to PNG or JPEG`);
  if (format.decoded === 'if asked for' && !svg)
    throw invalid(
      name,
      `is ${format.name}, a program that draws: pass { svg: true } for one that you trust, or convert it to PNG`,
    );
  const refusal = format.name === 'TIFF' ? tiffRefusalOf(bytes) : null;
  if (refusal !== null) throw invalid(name, refusal);
  return format;
}

/** The error for what libvips did not decode. */
function failureOf(format: ImageFormat, name: string, timeout: number | false, cause: unknown): Error {
  const reason = reasonOf(cause);
  if (/^timeout: /.test(reason) || (cause as Error).name === 'TimeoutError')
    return invalid(name, `was not decoded within ${timeout} seconds`, cause);
  if (format.decoded === 'where built in')
    return invalid(
      name,
      `is ${format.name}, which this build of sharp does not decode: convert it to JPEG or PNG (${reason})`,
      cause,
    );
  return invalid(
    name,
    `is a ${format.name} that is corrupt, truncated or of an unknown kind: ${reason}`,
    cause,
  );
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
 * @throws Sam3TrackerError IMAGE_INVALID for what is empty, truncated, corrupt, of another format or no image, or takes
 *   too long; IMAGE_TOO_LARGE above `limitInputPixels`.
 */
export async function decodeImage(bytes: Uint8Array, options: DecodeOptions, name: string): Promise<Pixels> {
  const { autoOrient, limitInputPixels, svg, timeout } = options;
  const format = checkFormat(bytes, svg, name);
  const readable = format.name === 'TIFF' ? withKnownOrientation(bytes) : bytes;
  const open = (): Sharp =>
    sharp(readable, {
      ignoreIcc: true,
      failOn: 'error',
      limitInputPixels: false,
      limitInputChannels: MAX_CHANNELS,
    });
  let metadata: Metadata;
  try {
    metadata = await open().metadata();
  } catch (cause) {
    throw failureOf(format, name, timeout, cause);
  }
  const { width, height } = metadata;
  if (limitInputPixels !== false && width * height > limitInputPixels)
    throw new Sam3TrackerError(
      'IMAGE_TOO_LARGE',
      `The image ${name} has ${width} x ${height} pixels, more than limitInputPixels (${limitInputPixels}). ` +
        'Raise limitInputPixels, or set it to false, to read it.',
    );
  const refusal = refusalOf(metadata);
  if (refusal !== null) throw invalid(name, refusal);
  const { upright, opened } = orientationOf(bytes, format.name, metadata);
  try {
    const image = turn(open(), autoOrient ? upright : opened);
    if (timeout === false) return await readPixels(image, metadata);
    image.timeout({ seconds: Math.min(Math.max(1, Math.ceil(timeout)), MAX_TIMEOUT) });
    const pixels = readPixels(image, metadata);
    // sharp looks at its clock between tiles, and one tile of an SVG may take minutes: its thread goes on alone.
    return format.name === 'SVG'
      ? await abortable(pixels, AbortSignal.timeout(timeout * 1000))
      : await pixels;
  } catch (cause) {
    throw failureOf(format, name, timeout, cause);
  }
}

/** Spaces whose pixels are converted as those of a file are; in all others but grey a sharp instance is asked for RGB. */
const READ_AS_FILE = ['cmyk', 'grey16'];

/**
 * Renders a sharp instance as it is set up, in RGB of 8 bits or grey.
 *
 * @throws Sam3TrackerError IMAGE_INVALID where it gives no image.
 */
export async function renderSharp(image: Sharp): Promise<Pixels> {
  // sharp has no public way to ask for the space that toColourspace has set, and raw pixels do not tell.
  const { colourspace } = (image as { options?: { colourspace?: string } }).options ?? {};
  try {
    if (READ_AS_FILE.includes(colourspace ?? '')) {
      const file = await image.clone().tiff({ compression: 'none', bigtiff: true }).toBuffer();
      const opened = sharp(file, {
        ignoreIcc: true,
        limitInputPixels: false,
        limitInputChannels: MAX_CHANNELS,
      });
      return await readPixels(opened, await opened.metadata());
    }
    const { data, info } = await image
      .clone()
      .toColourspace(colourspace === 'b-w' ? 'b-w' : 'srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    return await keepKnown(data, info.width, info.height, info.channels);
  } catch (cause) {
    throw new Sam3TrackerError('IMAGE_INVALID', `The sharp instance gave no image: ${reasonOf(cause)}.`, {
      cause,
    });
  }
}
