/** Decoded images: transformers.js' RawImage, read as transformers' load_image reads. */
import { basename, dirname, extname } from 'node:path';
import { types } from 'node:util';
import sharp from 'sharp';
import type { Sharp } from 'sharp';
import type { DType } from '../core/dtype';
import { Sam3TrackerError, wrongType, wrongValue } from '../core/errors';
import { saveFiles } from '../core/files';
import { decodeImage, fetchImageBytes, type DecodeOptions, type DownloadOptions } from './decode';
import { checkBoolean, checkInteger, checkOneOf, checkOptions, checkString } from '../core/options';
import { acceptCopies, isAbortSignal, isArrayOf, isBlob, isURL } from '../core/kinds';
import { guardMethods } from '../core/receivers';

/** Bytes of pixels. */
export type RawImageData = Uint8Array | Uint8ClampedArray;

/**
 * What RawImage.read takes: a path; a URL (http, https, file or data) as string or URL; the bytes of an encoded
 * image (Buffer, Uint8Array, ArrayBuffer, Blob); a sharp instance; or a RawImage.
 */
export type RawImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | Sharp | RawImage;

/** Options of RawImage.read. */
export interface RawImageReadOptions {
  /** Turn the image upright by its EXIF orientation, as transformers' load_image does. Default true. */
  autoOrient?: boolean;
  /** Most pixels (width times height) to decode; false for no limit. Default 268402689, as in sharp. */
  limitInputPixels?: number | false;
  /** Most bytes to take from a URL; false for no limit. Default 268435456. */
  limitDownloadBytes?: number | false;
  /** Ends a download: `AbortSignal.timeout(5000)`, say. The promise rejects with the signal's reason. */
  signal?: AbortSignal;
}

const DEFAULT_LIMIT_INPUT_PIXELS = 0x3fff * 0x3fff;
const DEFAULT_LIMIT_DOWNLOAD_BYTES = 1 << 28;

function checkReadOptions(options: RawImageReadOptions | undefined): DecodeOptions & DownloadOptions {
  const {
    autoOrient = true,
    limitInputPixels = DEFAULT_LIMIT_INPUT_PIXELS,
    limitDownloadBytes = DEFAULT_LIMIT_DOWNLOAD_BYTES,
    signal,
  } = checkOptions(
    options,
    ['autoOrient', 'limitInputPixels', 'limitDownloadBytes', 'signal'],
    'RawImage.read',
  );
  if (signal !== undefined && !isAbortSignal(signal)) throw wrongType('an AbortSignal', 'signal', signal);
  return {
    signal,
    limitDownloadBytes:
      limitDownloadBytes === false
        ? false
        : checkInteger(limitDownloadBytes, 'limitDownloadBytes', { min: 1 }),
    autoOrient: checkBoolean(autoOrient, 'autoOrient'),
    limitInputPixels:
      limitInputPixels === false ? false : checkInteger(limitInputPixels, 'limitInputPixels', { min: 1 }),
  };
}

// A project may have two copies of sharp, so `instanceof` would not do.
function isSharp(value: unknown): value is Sharp {
  const candidate = value as Partial<Sharp> | null;
  return (
    typeof candidate === 'object' &&
    candidate !== null &&
    typeof candidate.clone === 'function' &&
    typeof candidate.raw === 'function' &&
    typeof candidate.toBuffer === 'function'
  );
}

/** Whether RawImage.read takes a value. */
export function isImageSource(value: unknown): value is RawImageInput {
  return (
    typeof value === 'string' ||
    value instanceof RawImage ||
    isURL(value) ||
    isArrayOf(value, Uint8Array) ||
    types.isArrayBuffer(value) ||
    isBlob(value) ||
    isSharp(value)
  );
}

async function renderSharp(image: Sharp): Promise<RawImage> {
  try {
    const { data, info } = await image.clone().raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    return new RawImage(data, info.width, info.height, info.channels);
  } catch (cause) {
    const reason = (cause as Error).message.split('\n')[0];
    throw new Sam3TrackerError('IMAGE_INVALID', `The sharp instance gave no image: ${reason}.`, { cause });
  }
}

/** A decoded image: 8 bits a channel, row-major, channels last (height, width, channels). */
export class RawImage {
  /** Width times height times channels bytes; shared with the constructor's caller, not copied. */
  readonly data: RawImageData;
  /** In pixels. */
  readonly width: number;
  /** In pixels. */
  readonly height: number;
  /** 1 grey, 2 grey and alpha, 3 RGB, 4 RGB and alpha (not premultiplied). */
  readonly channels: 1 | 2 | 3 | 4;

  /**
   * Wraps pixels.
   *
   * @param data width * height * channels bytes in (height, width, channels) order; kept, not copied.
   * @param width in pixels, at least 1.
   * @param height in pixels, at least 1.
   * @param channels 1, 2, 3 or 4.
   * @throws TypeError for arguments of another type; RangeError for sizes out of range or data of another length.
   */
  constructor(data: RawImageData, width: number, height: number, channels: 1 | 2 | 3 | 4) {
    if (!isArrayOf(data, Uint8Array, Uint8ClampedArray))
      throw wrongType('a Uint8Array or Uint8ClampedArray', 'data', data);
    checkInteger(width, 'width', { min: 1 });
    checkInteger(height, 'height', { min: 1 });
    checkInteger(channels, 'channels', { min: 1, max: 4 });
    const length = width * height * channels;
    if (data.length !== length)
      throw wrongValue(
        `${length} bytes (${width} x ${height} x ${channels})`,
        'data',
        data,
        `It has ${data.length}.`,
      );
    this.data = data;
    this.width = width;
    this.height = height;
    this.channels = channels;
  }

  /**
   * Decodes an image. The result has the file's own channels; colour profiles are ignored, palettes and CMYK become
   * RGB, grey with alpha RGBA, and `rgb()` of the result has the bytes of Pillow's `Image.open(...).convert('RGB')`.
   * 16-bit images are scaled to 8 bits, grey ones as RGB. Of animations and multi-page files the first is read. A sharp instance is
   * rendered as it is set up: the options do not reach it. A RawImage is returned itself. Mirrors transformers'
   * `load_image`.
   *
   * @throws TypeError for an input of another type or an unknown option; RangeError for a limit that is no positive
   *   integer; Sam3TrackerError FILE_NOT_FOUND, DOWNLOAD_FAILED, IMAGE_INVALID (empty, truncated, corrupt, a directory
   *   or no image at all; the decoder's error in `cause`) or IMAGE_TOO_LARGE (pixels, or bytes
   *   of a download); the reason of an aborted `signal`.
   */
  static async read(input: RawImageInput, options?: RawImageReadOptions): Promise<RawImage> {
    const checked = checkReadOptions(options);
    if (!isImageSource(input))
      throw wrongType(
        'a path, a URL, a Buffer, Uint8Array, ArrayBuffer or Blob, a sharp instance or a RawImage',
        'input',
        input,
      );
    if ((input instanceof RawImage || isSharp(input)) && Object.keys(options ?? {}).length > 0)
      throw new TypeError(
        'RawImage.read takes options for what it decodes itself: not for a RawImage or a sharp instance.',
      );
    if (input instanceof RawImage) return input;
    if (isSharp(input)) return renderSharp(input);
    let name = 'in memory';
    let bytes: Uint8Array;
    if (typeof input === 'string' || isURL(input)) {
      ({ bytes, name } = await fetchImageBytes(checkString(String(input), 'input'), checked));
    } else if (isArrayOf(input, Uint8Array)) {
      bytes = Buffer.from(input.buffer, input.byteOffset, input.byteLength); // sharp knows its own realm's arrays only
    } else if (types.isArrayBuffer(input)) {
      bytes = Buffer.from(input);
    } else {
      bytes = Buffer.from(await (input as Blob).arrayBuffer());
    }
    const { data, width, height, channels } = await decodeImage(bytes, checked, name);
    return new RawImage(data, width, height, channels);
  }

  /**
   * An image from a uint8 tensor on the CPU (or from anything with `type`, `dims` and `data`).
   *
   * @param tensor of three dimensions.
   * @param tensor.type must be uint8.
   * @param tensor.dims as channelFormat says.
   * @param tensor.data elements, row-major.
   * @param channelFormat 'CHW' for (channels, height, width), the default; 'HWC' for (height, width, channels).
   * @throws TypeError for another type of elements; RangeError for other dims.
   */
  static fromTensor(
    tensor: { type: DType; dims: readonly number[]; data: ArrayLike<number | bigint> },
    channelFormat: 'CHW' | 'HWC' = 'CHW',
  ): RawImage {
    checkOneOf(channelFormat, ['CHW', 'HWC'], 'channelFormat');
    if (!Array.isArray(tensor?.dims)) throw wrongType('a Tensor', 'tensor', tensor);
    const dims = tensor.dims as number[];
    if (dims.length !== 3)
      throw wrongValue('three dimensions', 'tensor.dims', dims, 'Take one image of a batch with select.');
    if (tensor.type !== 'uint8') throw wrongType('uint8', 'tensor.type', tensor.type);
    const source = tensor.data as RawImageData;
    if (channelFormat === 'HWC') {
      const [height, width, channels] = dims;
      return new RawImage(source, width, height, channels as 1);
    }
    const [channels, height, width] = dims;
    const plane = width * height;
    const data = new Uint8Array(source.length);
    for (let channel = 0; channel < channels; channel++)
      for (let pixel = 0; pixel < plane; pixel++)
        data[pixel * channels + channel] = source[channel * plane + pixel];
    return new RawImage(data, width, height, channels as 1);
  }

  /** [width, height] in pixels, as in transformers.js: the other way round than transformers' sizes. */
  get size(): [width: number, height: number] {
    return [this.width, this.height];
  }

  /**
   * The image in three channels, as Pillow's `convert('RGB')`: alpha is dropped, not blended, and grey is repeated.
   *
   * @returns a new RawImage, or this one where it has three channels.
   */
  rgb(): RawImage {
    const { channels, width, height } = this;
    if (channels === 3) return this;
    const data = new Uint8Array(width * height * 3);
    const [green, blue] = channels === 4 ? [1, 2] : [0, 0];
    for (let from = 0, to = 0; to < data.length; from += channels, to += 3) {
      data[to] = this.data[from];
      data[to + 1] = this.data[from + green];
      data[to + 2] = this.data[from + blue];
    }
    return new RawImage(data, width, height, 3);
  }

  /**
   * The image in one channel, as Pillow's `convert('L')`: luma by ITU-R 601-2 of the RGB channels, alpha dropped.
   *
   * @returns a new RawImage, or this one where it has one channel.
   */
  grayscale(): RawImage {
    const { channels, width, height } = this;
    if (channels === 1) return this;
    const data = new Uint8Array(width * height);
    for (let from = 0, to = 0; to < data.length; from += channels, to++) {
      if (channels === 2) data[to] = this.data[from];
      else
        // Pillow's fixed-point weights, 16 fractional bits, rounded.
        data[to] =
          (this.data[from] * 19595 + this.data[from + 1] * 38470 + this.data[from + 2] * 7471 + 0x8000) >> 16;
    }
    return new RawImage(data, width, height, 1);
  }

  /** A sharp instance over the same bytes, for cropping, drawing, encoding. */
  toSharp(): Sharp {
    const { width, height, channels } = this;
    const bytes = Buffer.from(this.data.buffer, this.data.byteOffset, this.data.byteLength);
    return sharp(bytes, { raw: { width, height, channels }, limitInputPixels: false });
  }

  /**
   * Writes the image to a file, in the format of its extension (png, jpg, webp, tiff, avif, gif).
   *
   * The folder is made where it is missing; a file that was there stays until the new one is whole.
   *
   * @throws TypeError for a path that is no string; Sam3TrackerError FILE_INVALID for an unknown extension,
   *   FILE_NOT_WRITTEN.
   */
  async save(path: string): Promise<void> {
    checkString(path, 'path');
    const image = this.toSharp();
    // sharp writes grey as RGB unless told.
    if (this.channels <= 2) image.toColourspace('b-w');
    let content: Buffer;
    try {
      // Not left to libvips, to which a path ends at a NUL character.
      content = await image
        .toFormat(extname(path).slice(1).toLowerCase() as keyof sharp.FormatEnum)
        .toBuffer();
    } catch (cause) {
      const reason = (cause as Error).message.split('\n')[0];
      throw new Sam3TrackerError('FILE_INVALID', `The image could not be written to ${path}: ${reason}.`, {
        cause,
      });
    }
    await saveFiles(dirname(path), [{ name: basename(path), content }]);
  }
}

acceptCopies(RawImage, 'RawImage');
guardMethods(RawImage);
