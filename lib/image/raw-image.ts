/** Decoded images: transformers.js' RawImage, read as transformers' load_image reads. */
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { types } from 'node:util';
import sharp from 'sharp';
import type { FormatEnum, Sharp } from 'sharp';
import { abortable } from '../core/async';
import type { DType } from '../core/dtype';
import { Sam3TrackerError, wrongType, wrongValue } from '../core/errors';
import { saveFiles } from '../core/files';
import {
  checkInteger,
  checkIntact,
  checkNumber,
  checkOneOf,
  checkOptions,
  checkString,
} from '../core/options';
import { Tensor } from '../tensor';
import { decodeImage, renderSharp } from './decode';
import { fetchImage, type EncodedImage, type FetchOptions } from './fetch-image';
import { checkMostPixels } from './sizes';
import { checkReadOptions, type RawImageReadOptions } from './read-options';
import { acceptCopies, isArrayOf, isBlob, isURL } from '../core/kinds';
import { guardMethods } from '../core/receivers';

/** Bytes of pixels. */
export type RawImageData = Uint8Array | Uint8ClampedArray;

/**
 * What RawImage.read takes: a path; a URL (http, https, file or data) as string or URL; base64 text; the bytes of an
 * encoded image (Buffer, Uint8Array, ArrayBuffer, Blob); a sharp instance; or a RawImage.
 */
export type RawImageInput = string | URL | Uint8Array | ArrayBuffer | Blob | Sharp | RawImage;

/** How RawImage.resize samples, by transformers.js' names or Pillow's numbers; box and hamming are taken for bilinear. */
export type Resample =
  'nearest' | 'lanczos' | 'bilinear' | 'bicubic' | 'box' | 'hamming' | 0 | 1 | 2 | 3 | 4 | 5;

/** The names in the order of Pillow's numbers, and sharp's for them. */
const KERNELS = {
  nearest: 'nearest',
  lanczos: 'lanczos3',
  bilinear: 'linear',
  bicubic: 'cubic',
  box: 'linear',
  hamming: 'linear',
} as const;
const RESAMPLES = Object.keys(KERNELS) as (keyof typeof KERNELS)[];

/** What RawImage.toBlob and save encode: sharp's names by media type and by extension. */
const MEDIA_TYPES = { 'image/png': 'png', 'image/jpeg': 'jpeg', 'image/webp': 'webp' } as const;
const EXTENSIONS: Record<string, keyof FormatEnum> = {
  ...{ png: 'png', jpg: 'jpeg', jpeg: 'jpeg', webp: 'webp', gif: 'gif' },
  // sharp knows 'avif', which its types leave out.
  ...{ tif: 'tiff', tiff: 'tiff', avif: 'avif' as 'heif' },
};

// Rows copied, and pixels written one by one, between two turns of the event loop.
const ROWS_PER_TURN = 1024;
const PIXELS_PER_TURN = 2 ** 20;

async function forPixels(count: number, write: (pixel: number) => void): Promise<void> {
  for (let start = 0; start < count; start += PIXELS_PER_TURN) {
    if (start > 0) await nextTurn();
    const end = Math.min(start + PIXELS_PER_TURN, count);
    for (let pixel = start; pixel < end; pixel++) write(pixel);
  }
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

/** What RawImage.read takes. @throws TypeError for anything else. */
export function checkImageSource(value: unknown, name: string): RawImageInput {
  if (isImageSource(value)) return value;
  throw wrongType(
    'a path, a URL, base64 text, a Buffer, Uint8Array, ArrayBuffer or Blob, a sharp instance or a RawImage',
    name,
    value,
  );
}

async function encodedImage(input: RawImageInput, options: FetchOptions): Promise<EncodedImage> {
  if (typeof input === 'string') return fetchImage(checkString(input, 'input'), options);
  if (isURL(input)) return fetchImage(input, options);
  const name = 'in memory';
  // Copies: what becomes of a buffer meanwhile is not to reach sharp's threads. sharp knows its own realm's arrays only.
  if (isArrayOf(input, Uint8Array)) return { bytes: Buffer.from(input), name };
  if (types.isArrayBuffer(input)) return { bytes: Buffer.from(new Uint8Array(input)), name };
  return { bytes: Buffer.from(await (input as Blob).arrayBuffer()), name };
}

/** Four integers in a list. */
function checkFour(values: unknown, what: string, name: string): number[] {
  if (!Array.isArray(values) || values.length !== 4) throw wrongType(`a list ${what}`, name, values);
  return values.map((value, index) => checkInteger(value, `${name}[${index}]`));
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
    // Of a Buffer a plain view: its own `slice` does not copy, and its JSON is another.
    this.data = Buffer.isBuffer(data) ? new Uint8Array(data.buffer, data.byteOffset, data.length) : data;
    this.width = width;
    this.height = height;
    this.channels = channels;
  }

  /**
   * Decodes an image: JPEG, PNG, WebP, GIF, TIFF and AVIF. The result has the file's own channels; colour profiles are
   * ignored, palettes and CMYK become RGB, grey with alpha RGBA, and `rgb()` of the result has the bytes of Pillow's
   * `Image.open(...).convert('RGB')`. 16-bit images are scaled to 8 bits, grey ones as RGB. Of animations and multi-page
   * files the first is read. A sharp instance is rendered as it is set up: it takes no options. A RawImage is returned
   * itself. Mirrors transformers' `load_image`, transformers.js' `RawImage.read` and both their `load_image`.
   *
   * @throws TypeError for an input of another type or an unknown option; RangeError for an option out of range;
   *   Sam3TrackerError FILE_NOT_FOUND, FILE_NOT_READ, DOWNLOAD_FAILED, ACCESS_DENIED (a host, an address or a file that the options
   *   exclude), IMAGE_INVALID (empty, truncated, corrupt, no regular file, another format, or too slow to decode; the
   *   decoder's error in `cause`) or IMAGE_TOO_LARGE (pixels or bytes); the reason of an aborted `signal`.
   */
  static async read(input: RawImageInput, options?: RawImageReadOptions): Promise<RawImage> {
    const checked = checkReadOptions(options);
    checkImageSource(input, 'input');
    if ((input instanceof RawImage || isSharp(input)) && Object.keys(options ?? {}).length > 0)
      throw new TypeError(
        'RawImage.read takes options for what it decodes itself: not for a RawImage or a sharp instance.',
      );
    if (input instanceof RawImage) return input;
    if (isSharp(input)) {
      const { data, width, height, channels } = await renderSharp(input);
      return new RawImage(data, width, height, channels);
    }
    const { bytes, name } = await encodedImage(input, checked);
    const decoding = decodeImage(bytes, checked, name);
    const { data, width, height, channels } = await abortable(decoding, checked.signal ?? null);
    return new RawImage(data, width, height, channels);
  }

  /** `read` of a URL or a path: transformers.js' `RawImage.fromURL`. @throws as `read`. */
  static async fromURL(url: string | URL, options?: RawImageReadOptions): Promise<RawImage> {
    if (typeof url !== 'string' && !isURL(url)) throw wrongType('a string or a URL', 'url', url);
    return RawImage.read(url, options);
  }

  /** `read` of a Blob: transformers.js' `RawImage.fromBlob`. @throws as `read`. */
  static async fromBlob(blob: Blob, options?: RawImageReadOptions): Promise<RawImage> {
    if (!isBlob(blob)) throw wrongType('a Blob', 'blob', blob);
    return RawImage.read(blob, options);
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
    const pixels = this.#pixels();
    if (channels === 3) return this;
    const data = new Uint8Array(width * height * 3);
    const [green, blue] = channels === 4 ? [1, 2] : [0, 0];
    for (let from = 0, to = 0; to < data.length; from += channels, to += 3) {
      data[to] = pixels[from];
      data[to + 1] = pixels[from + green];
      data[to + 2] = pixels[from + blue];
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
    const pixels = this.#pixels();
    if (channels === 1) return this;
    const data = new Uint8Array(width * height);
    for (let from = 0, to = 0; to < data.length; from += channels, to++) {
      if (channels === 2) data[to] = pixels[from];
      else
        // Pillow's fixed-point weights, 16 fractional bits, rounded.
        data[to] = (pixels[from] * 19595 + pixels[from + 1] * 38470 + pixels[from + 2] * 7471 + 0x8000) >> 16;
    }
    return new RawImage(data, width, height, 1);
  }

  /**
   * The image in four channels, alpha 255 where it has none: transformers.js' `RawImage.rgba`, Pillow's `convert('RGBA')`.
   *
   * @returns a new RawImage, or this one where it has four channels.
   */
  rgba(): RawImage {
    const { channels, width, height } = this;
    const pixels = this.#pixels();
    if (channels === 4) return this;
    const data = new Uint8Array(width * height * 4).fill(255);
    for (let from = 0, to = 0; to < data.length; from += channels, to += 4) {
      for (let colour = 0; colour < 3; colour++)
        data[to + colour] = pixels[from + (channels === 3 ? colour : 0)];
      if (channels === 2) data[to + 3] = pixels[from + 1];
    }
    return new RawImage(data, width, height, 4);
  }

  /**
   * The image in 1 (`grayscale`), 3 (`rgb`) or 4 channels (`rgba`): transformers.js' `RawImage.convert`.
   *
   * @throws TypeError for another type; RangeError for another number.
   */
  convert(numChannels: 1 | 3 | 4): RawImage {
    checkInteger(numChannels, 'numChannels', { min: 1, max: 4 });
    if (numChannels === 1) return this.grayscale();
    if (numChannels === 3) return this.rgb();
    if (numChannels === 4) return this.rgba();
    throw wrongValue('1, 3 or 4', 'numChannels', numChannels);
  }

  /**
   * The image with a mask as its alpha: transformers.js' `RawImage.putAlpha`, Pillow's `putalpha`.
   *
   * @param mask of one channel and this image's size.
   * @returns a new RawImage of four channels.
   * @throws TypeError for a mask that is no RawImage; RangeError for one of another size or several channels.
   */
  putAlpha(mask: RawImage): RawImage {
    const { width, height } = this;
    if (!(mask instanceof RawImage)) throw wrongType('a RawImage', 'mask', mask);
    if (mask.width !== width || mask.height !== height)
      throw new RangeError(
        `Expected mask size to be ${width}x${height}, but got ${mask.width}x${mask.height}`,
      );
    if (mask.channels !== 1)
      throw new RangeError(`Expected mask to have 1 channel, but got ${mask.channels}`);
    const data = Uint8Array.from(this.rgba().data);
    mask.#pixels().forEach((alpha, pixel) => (data[pixel * 4 + 3] = alpha));
    return new RawImage(data, width, height, 4);
  }

  /** The channels as images of one channel each: transformers.js' `RawImage.split`. */
  split(): RawImage[] {
    const { channels, width, height } = this;
    const data = this.#pixels();
    return Array.from({ length: channels }, (_, channel) => {
      const band = Uint8Array.from(
        { length: width * height },
        (_, pixel) => data[pixel * channels + channel],
      );
      return new RawImage(band, width, height, 1);
    });
  }

  /** A copy with pixels of its own: transformers.js' `RawImage.clone`. */
  clone(): RawImage {
    return new RawImage(this.#pixels().slice(), this.width, this.height, this.channels);
  }

  /**
   * A part of the image: transformers.js' `RawImage.crop`. Pillow's `crop` takes the column and row after the last.
   *
   * @param box [x_min, y_min, x_max, y_max] in pixels, the last column and row included; cut to the image.
   * @returns a new RawImage, or this one where the box is the whole image.
   * @throws TypeError for anything but four integers; RangeError for a box without pixels of the image.
   */
  async crop(box: readonly [x_min: number, y_min: number, x_max: number, y_max: number]): Promise<RawImage> {
    const [x_min, y_min, x_max, y_max] = checkFour(box, '[x_min, y_min, x_max, y_max]', 'box');
    const [left, top] = [Math.max(x_min, 0), Math.max(y_min, 0)];
    const [right, bottom] = [Math.min(x_max, this.width - 1), Math.min(y_max, this.height - 1)];
    if (right < left || bottom < top)
      throw wrongValue(`a box with pixels of ${this.width} x ${this.height}`, 'box', box);
    return await this.#window(left, top, right - left + 1, bottom - top + 1);
  }

  /**
   * The middle of the image, with black around it where the image is smaller: transformers.js' `RawImage.center_crop`.
   *
   * @param crop_width in pixels, at least 1.
   * @param crop_height in pixels, at least 1.
   * @returns a new RawImage, or this one where it has that size.
   * @throws TypeError and RangeError for other sizes; RangeError for more than 2^28 pixels.
   */
  async center_crop(crop_width: number, crop_height: number): Promise<RawImage> {
    checkInteger(crop_width, 'crop_width', { min: 1 });
    checkInteger(crop_height, 'crop_height', { min: 1 });
    checkMostPixels([crop_height, crop_width], 'crop_width and crop_height');
    const [left, top] = [this.width - crop_width, this.height - crop_height];
    return await this.#window(Math.trunc(left / 2), Math.trunc(top / 2), crop_width, crop_height);
  }

  /**
   * The image with black (and opaque) pixels around it: transformers.js' `RawImage.pad`, Pillow's `ImageOps.expand`.
   *
   * @param widths [left, right, top, bottom] in pixels; negative ones count as 0.
   * @returns a new RawImage, or this one where all are 0.
   * @throws TypeError for anything but four integers; RangeError for more than 2^28 pixels.
   */
  async pad(widths: readonly [left: number, right: number, top: number, bottom: number]): Promise<RawImage> {
    const [left, right, top, bottom] = checkFour(widths, '[left, right, top, bottom]', 'widths').map(
      (width) => Math.max(width, 0),
    );
    const [width, height] = [this.width + left + right, this.height + top + bottom];
    checkMostPixels([height, width], 'widths');
    return await this.#window(-left, -top, width, height);
  }

  /** What lies behind a window, black and opaque outside the image. */
  async #window(left: number, top: number, width: number, height: number): Promise<RawImage> {
    const { channels } = this;
    this.#pixels();
    if (left === 0 && top === 0 && width === this.width && height === this.height) return this;
    const result = new Uint8Array(width * height * channels);
    if (channels % 2 === 0)
      await forPixels(width * height, (pixel) => {
        result[(pixel + 1) * channels - 1] = 255;
      });
    const first = Math.max(left, 0);
    const last = Math.min(left + width, this.width);
    const bottom = last > first ? Math.min(top + height, this.height) : 0;
    for (let y = Math.max(top, 0); y < bottom; y++) {
      // Looked at in each turn: the buffer may go meanwhile.
      const row = this.#pixels().subarray(
        (y * this.width + first) * channels,
        (y * this.width + last) * channels,
      );
      result.set(row, ((y - top) * width + first - left) * channels);
      if (y % ROWS_PER_TURN === 0) await nextTurn();
    }
    return new RawImage(result, width, height, channels);
  }

  /**
   * The image in another size, sampled by sharp: transformers.js' `RawImage.resize`, but like Pillow's `resize` it averages
   * where it makes an image smaller. (Where it makes one larger, sharp's result lies up to half a pixel beside Pillow's.)
   *
   * @param width in pixels; null or -1 keeps the ratio of the sides.
   * @param height in pixels; null or -1 keeps the ratio of the sides.
   * @param options how to sample.
   * @param options.resample default 'bilinear'.
   * @returns a new RawImage, or this one where it has that size.
   * @throws TypeError and RangeError for other sizes, names and options; RangeError for more than 2^28 pixels.
   */
  async resize(
    width: number | null,
    height: number | null,
    options?: { resample?: Resample },
  ): Promise<RawImage> {
    const { resample = 'bilinear' } = checkOptions(options, ['resample'], 'RawImage.resize');
    const named = typeof resample === 'number' ? RESAMPLES[resample] : resample;
    if (named === undefined) throw wrongValue('a number from 0 to 5', 'resample', resample);
    const kernel = KERNELS[checkOneOf(named, RESAMPLES, 'resample')];
    const given = ([width, height] as const).map((side, axis) =>
      side === null || side === undefined || side === -1
        ? null
        : checkInteger(side, ['width', 'height'][axis], { min: 1 }),
    );
    const scaled = (side: number | null, from: number, to: number): number | null =>
      side === null ? null : Math.max(1, Math.round((side / from) * to));
    const newWidth = given[0] ?? scaled(given[1], this.height, this.width) ?? this.width;
    const newHeight = given[1] ?? scaled(given[0], this.width, this.height) ?? this.height;
    if (newWidth === this.width && newHeight === this.height) return this;
    checkMostPixels([newHeight, newWidth], 'width and height');
    const image = this.toSharp().resize(newWidth, newHeight, { fit: 'fill', kernel });
    if (this.channels === 1) image.toColourspace('b-w');
    const { data, info } = await image.raw().toBuffer({ resolveWithObject: true });
    if (this.channels !== 2) return new RawImage(data, newWidth, newHeight, info.channels);
    // sharp gives grey with alpha as RGB with alpha.
    const both = new Uint8Array(newWidth * newHeight * 2);
    await forPixels(newWidth * newHeight, (pixel) => {
      both[pixel * 2] = data[pixel * 4];
      both[pixel * 2 + 1] = data[pixel * 4 + 3];
    });
    return new RawImage(both, newWidth, newHeight, 2);
  }

  /**
   * A uint8 Tensor on the CPU with a copy of the pixels: transformers.js' `RawImage.toTensor`.
   *
   * @param channel_format 'CHW' for (channels, height, width), the default; 'HWC' for (height, width, channels).
   * @throws TypeError and RangeError for another format.
   */
  toTensor(channel_format: 'CHW' | 'HWC' = 'CHW'): Tensor {
    const { channels, width, height } = this;
    if (checkOneOf(channel_format, ['CHW', 'HWC'], 'channel_format') === 'HWC')
      return new Tensor('uint8', Uint8Array.from(this.#pixels()), [height, width, channels]);
    const planes = new Uint8Array(this.width * this.height * this.channels);
    this.split().forEach(({ data }, channel) => planes.set(data, channel * width * height));
    return new Tensor('uint8', planes, [channels, height, width]);
  }

  /**
   * The encoded image: transformers.js' `RawImage.toBlob`, which needs a browser there.
   *
   * @param type 'image/png' (the default), 'image/jpeg' or 'image/webp'.
   * @param quality of JPEG and WebP, 0 to 1; default 1. JPEG has no alpha: the image is put on black.
   * @throws TypeError and RangeError for other types and qualities.
   */
  async toBlob(type: keyof typeof MEDIA_TYPES = 'image/png', quality = 1): Promise<Blob> {
    const format = MEDIA_TYPES[checkOneOf(type, Object.keys(MEDIA_TYPES) as (typeof type)[], 'type')];
    const percent = Math.max(1, Math.round(checkNumber(quality, 'quality', { min: 0, max: 1 }) * 100));
    const image = this.#encoder();
    if (format === 'jpeg') image.flatten({ background: 'black' });
    // Each part is a copy that no pool of buffers shares.
    const bytes = await image.toFormat(format, format === 'png' ? {} : { quality: percent }).toBuffer();
    return new Blob([new Uint8Array(bytes)], { type });
  }

  /** A sharp instance over a copy of the pixels, for cropping, drawing, encoding. */
  toSharp(): Sharp {
    const { width, height, channels } = this;
    // sharp reads on other threads, and memory that JavaScript takes away meanwhile ends the process.
    return sharp(Uint8Array.from(this.#pixels()), {
      raw: { width, height, channels },
      limitInputPixels: false,
    });
  }

  /**
   * Writes the image to a file, in the format of its extension (png, jpg, webp, tiff, avif, gif): transformers.js'
   * `RawImage.save`. Where it fails, what was there before stays.
   *
   * @throws TypeError for a path that is no string; Sam3TrackerError FILE_NOT_WRITTEN where it cannot be written.
   */
  async save(file: string): Promise<void> {
    const { dir, base, ext } = path.parse(checkString(file, 'path'));
    const format = EXTENSIONS[ext.slice(1).toLowerCase()];
    if (format === undefined)
      throw new Sam3TrackerError(
        'FILE_NOT_WRITTEN',
        `${file} cannot be written: its extension is none of ${Object.keys(EXTENSIONS).join(', ')}.`,
      );
    let bytes: Buffer;
    try {
      bytes = await this.#encoder().toFormat(format).toBuffer();
    } catch (cause) {
      const [reason] = (cause as Error).message.split('\n');
      throw new Sam3TrackerError('FILE_NOT_WRITTEN', `${file} cannot be written: ${reason}.`, { cause });
    }
    await saveFiles(dir || '.', [{ name: base, content: bytes }]);
  }

  /** The pixels. @throws RangeError where their buffer is gone. */
  #pixels(): RawImageData {
    return checkIntact(this.data, this.width * this.height * this.channels, 'the image');
  }

  /** A pipeline that keeps grey grey, which sharp writes as RGB unless told. */
  #encoder(): Sharp {
    const image = this.toSharp();
    return this.channels <= 2 ? image.toColourspace('b-w') : image;
  }
}

/** Reads an image: `RawImage.read` under transformers' and transformers.js' other name. @throws as `RawImage.read`. */
export function load_image(input: RawImageInput, options?: RawImageReadOptions): Promise<RawImage> {
  return RawImage.read(input, options);
}

acceptCopies(RawImage, 'RawImage');
guardMethods(RawImage);
