/** Sizes as transformers writes them (`SizeDict`, `get_size_dict`), and the sizes that resizing and cropping give. */
import { wrongType, wrongValue } from '../core/errors';
import { Rows, dimsOf, type RowForm } from './nested-numbers';
import type { ImageSize } from '../core/types';
import { checkPixels } from '../core/device';
import { checkInteger, checkNumber, isPlainObject } from '../core/options';

/** Most pixels that an image is resized, cropped or padded to, as many as one that is read has: 3 GiB of float32. */
export const MOST_PIXELS = 2 ** 28;

/** Most images of a call, and most sizes: as pixel values of 1008 x 1008 they are 46 GiB. */
export const MOST_IMAGES = 4096;

const SIZE_KEYS = ['height', 'width', 'longest_edge', 'shortest_edge', 'max_height', 'max_width'] as const;

const VALID_KEY_SETS = [
  ['height', 'width'],
  ['shortest_edge'],
  ['shortest_edge', 'longest_edge'],
  ['longest_edge'],
  ['max_height', 'max_width'],
];

/** A size by its keys, in pixels: height and width; shortest_edge (and longest_edge); or max_height and max_width. */
export interface SizeDict {
  /** With `width`: the exact size, whatever the image's aspect ratio. */
  height?: number;
  /** With `height`. */
  width?: number;
  /** The image's longer side becomes at most this, its aspect ratio kept. */
  longest_edge?: number;
  /** The image's shorter side becomes this, its aspect ratio kept. */
  shortest_edge?: number;
  /** With `max_width`: the largest size of the image's aspect ratio that fits. */
  max_height?: number;
  /** With `max_height`. */
  max_width?: number;
}

/** What options take for a size, in pixels: one number, [height, width], or the keys of a SizeDict. */
export type SizeOption = number | readonly [height: number, width: number] | SizeDict;

function pythonSet(keys: readonly string[]): string {
  return `{${keys.map((key) => `'${key}'`).join(', ')}}`;
}

function pythonList(keys: readonly string[]): string {
  // A size of thousands of keys is not for a message.
  const shown = keys.slice(0, 20).map((key) => `'${key.slice(0, 60)}'`);
  return `[${shown.join(', ')}${keys.length > shown.length ? ', ...' : ''}]`;
}

// As Python shows its SizeDict.
function formatSize(size: SizeDict): string {
  return `SizeDict(${SIZE_KEYS.map((key) => `${key}=${size[key] ?? 'None'}`).join(', ')})`;
}

/**
 * A size that is to be made.
 *
 * @throws RangeError for more pixels than `MOST_PIXELS`.
 */
export function checkMostPixels(size: ImageSize, name: string): ImageSize {
  if (size[0] * size[1] > MOST_PIXELS)
    throw wrongValue(`a size of at most ${MOST_PIXELS} pixels`, name, size);
  return size;
}

/**
 * A size option in its one form. Mirrors `get_size_dict`.
 *
 * @param size what the caller passed.
 * @param square whether a number stands for height and width (true) or for the shortest edge (false).
 * @param name of the option, for errors.
 * @throws TypeError for another type; RangeError for another set of keys (transformers' message), a list that has not
 *   two items, a number that is no integer, or height and width of more than 2^28 pixels.
 */
export function readSize(size: unknown, square: boolean, name: string): SizeDict {
  const dict = readSizeDict(size, square, name);
  if (dict.height !== undefined && dict.width !== undefined) checkMostPixels([dict.height, dict.width], name);
  return dict;
}

function readSizeDict(size: unknown, square: boolean, name: string): SizeDict {
  if (typeof size === 'number') {
    const edge = checkInteger(size, name);
    return square ? { height: edge, width: edge } : { shortest_edge: edge };
  }
  if (Array.isArray(size)) {
    if (size.length !== 2) throw wrongValue('[height, width]', name, size);
    return {
      height: checkInteger(size[0], `${name}[0] (height)`),
      width: checkInteger(size[1], `${name}[1] (width)`),
    };
  }
  if (!isPlainObject(size)) throw wrongType('a number, [height, width] or an object', name, size);
  const keys = Object.keys(size).filter((key) => size[key] !== undefined && size[key] !== null);
  const isSet = (set: string[]): boolean =>
    set.length === keys.length && set.every((key) => keys.includes(key));
  if (!VALID_KEY_SETS.some(isSet))
    throw new RangeError(
      `${name} must have one of the following set of keys: (${VALID_KEY_SETS.map(pythonSet).join(', ')}), ` +
        `got dict_keys(${pythonList(keys)})`,
    );
  return Object.fromEntries(keys.map((key) => [key, checkInteger(size[key], `${name}.${key}`)]));
}

// Python's round: halves go to the even neighbour.
function roundHalfEven(value: number): number {
  const floor = Math.floor(value);
  if (value - floor !== 0.5) return Math.round(value);
  return floor % 2 === 0 ? floor : floor + 1;
}

// transformers' get_size_with_aspect_ratio.
function sizeWithAspectRatio([height, width]: ImageSize, shortest: number, longest: number): ImageSize {
  const smaller = Math.min(height, width);
  const larger = Math.max(height, width);
  let exact = shortest;
  let edge = shortest;
  if ((larger / smaller) * shortest > longest) {
    exact = (longest * smaller) / larger;
    edge = roundHalfEven(exact);
  }
  if ((height <= width && height === edge) || (width <= height && width === edge)) return [height, width];
  return width < height
    ? [Math.trunc((exact * height) / width), edge]
    : [edge, Math.trunc((exact * width) / height)];
}

/**
 * The size that resizing gives an image. Mirrors `TorchvisionBackend.resize`.
 *
 * @param image [height, width] of the image.
 * @throws RangeError for a size without the keys that resizing needs, or one that gives no pixels.
 */
export function resizedSize(image: ImageSize, size: SizeDict): ImageSize {
  const [height, width] = image;
  let resized: ImageSize;
  if (size.shortest_edge && size.longest_edge) {
    resized = sizeWithAspectRatio(image, size.shortest_edge, size.longest_edge);
  } else if (size.shortest_edge) {
    const edge = size.shortest_edge;
    resized =
      width <= height
        ? [Math.trunc((edge * height) / width), edge]
        : [edge, Math.trunc((edge * width) / height)];
  } else if (size.max_height && size.max_width) {
    const scale = Math.min(size.max_height / height, size.max_width / width);
    resized = [Math.trunc(height * scale), Math.trunc(width * scale)];
  } else if (size.height && size.width) {
    resized = [size.height, size.width];
  } else {
    throw new RangeError(
      "Size must contain 'height' and 'width' keys, or 'max_height' and 'max_width', or 'shortest_edge' key. Got " +
        `${formatSize(size)}.`,
    );
  }
  if (resized[0] <= 0 || resized[1] <= 0)
    throw new RangeError(
      `Input and output sizes should be greater than 0, but got input (H: ${height}, W: ${width}) output ` +
        `(H: ${resized[0]}, W: ${resized[1]})`,
    );
  return resized;
}

/**
 * Height and width of a crop.
 *
 * @throws RangeError, with transformers' message, for a size of other keys; RangeError for one that is not positive.
 */
export function cropSize(size: SizeDict): ImageSize {
  const { height, width } = size;
  if (height === undefined || width === undefined)
    throw new RangeError(
      `The size dictionary must have keys 'height' and 'width'. Got dict_keys(${pythonList(Object.keys(size))})`,
    );
  return [
    checkInteger(height, 'crop_size.height', { min: 1 }),
    checkInteger(width, 'crop_size.width', { min: 1 }),
  ];
}

/**
 * Height and width of padding, which every image must fit.
 *
 * @param size of the padded images.
 * @param images [height, width] of each image before padding.
 * @throws RangeError, with transformers' messages, for a size of other keys and for one that is too small.
 */
export function padSize(size: SizeDict, images: readonly ImageSize[]): ImageSize {
  const { height, width } = size;
  if (!height || !width)
    throw new RangeError(
      `Pad size must contain 'height' and 'width' keys only. Got pad_size=${formatSize(size)}.`,
    );
  for (const image of images)
    if (image[0] > height || image[1] > width)
      throw new RangeError(
        'Padding dimensions are negative. Please make sure that the `pad_size` is larger than the image size. ' +
          `Got pad_size=(${height}, ${width}), image_size=torch.Size([${image[0]}, ${image[1]}]).`,
      );
  return [height, width];
}

const SIZES: RowForm = {
  name: 'original_sizes',
  axes: ['images'],
  width: 2,
  wrongWidth: (width, name) =>
    new RangeError(`Expected [height, width] for ${name} but received ${width} numbers.`),
};

/** Upsampling keeps rows of floats for each thread. No image is as long: libvips stops at 10^7 pixels. */
export const MOST_SIDE = 2 ** 24;

/**
 * The original sizes of images in every form that callers write: nested lists, Tensors and typed arrays.
 *
 * @param value [height, width] of each image in pixels.
 * @param areIntegers whether sizes have to be integers.
 * @returns the sizes; a promise of them only where a Tensor is on another device.
 * @throws TypeError and RangeError as `Rows`; RangeError for sizes that are not positive, and more than `MOST_IMAGES`.
 */
export function readSizes(value: unknown, areIntegers: boolean): ImageSize[] | Promise<ImageSize[]> {
  const count = Array.isArray(value) ? value.length : dimsOf(value, SIZES.name)?.[0];
  if (count !== undefined && count > MOST_IMAGES)
    throw wrongValue(`sizes of at most ${MOST_IMAGES} images`, SIZES.name, value);
  const rows = new Rows(value, SIZES);
  const checked = (): ImageSize[] => {
    const sizes: ImageSize[] = [];
    rows.forEach((size, [index]) => {
      size.forEach((side, axis) => {
        const name = `original_sizes[${index}][${axis}] (${['height', 'width'][axis]})`;
        if (areIntegers) checkInteger(side, name, { min: 1, max: MOST_SIDE });
        else if (checkNumber(side, name) <= 0) throw wrongValue('a positive number', name, side);
      });
      if (areIntegers) checkPixels(size, `original_sizes[${index}]`);
      sizes.push([size[0], size[1]]);
    });
    return sizes;
  };
  return rows.isLoaded ? checked() : rows.load().then(checked);
}
