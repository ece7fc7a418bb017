/** What the image processor takes as images and segmentation maps, flattened and described for native code. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { mapAtOnce } from '../core/async';
import { dtypeOfArray, type DType, type TensorData } from '../core/dtype';
import { bracketed, describe, typeName, wrongValue } from '../core/errors';
import type { ChannelDimension } from './options';
import { callNativeSync, makeNativeTensor, unshared } from '../native/binding';
import type { NativeImage, NativeTensor } from '../native/binding';
import { RawImage, isImageSource, type RawImageInput } from './raw-image';
import { MOST_IMAGES } from './sizes';
import { Tensor } from '../tensor';
import type { ArrayWithDims, ImageSize } from '../core/types';
import { checkDims, checkIntact, isArrayWithDims } from '../core/options';

/**
 * One image, or a batch in one array: what RawImage.read takes (a RawImage, a path, a URL, the bytes of a file, a sharp
 * instance); a Tensor or a typed array with dims, of three dimensions (four for a batch).
 */
export type ImageInput = RawImageInput | Tensor | ArrayWithDims<TensorData>;

/** One image, a list, or a list of lists (which is flattened). */
export type ImagesInput = ImageInput | readonly ImageInput[] | readonly (readonly ImageInput[])[];

/** An image as native code takes it, with the tensor to dispose of afterwards, if one was made. */
export interface PreparedImage {
  native: NativeImage;
  view: NativeTensor | null;
}

/** An image whose pixels may still be JavaScript's. */
interface DescribedImage extends Omit<PreparedImage, 'native'> {
  native: Omit<NativeImage, 'data'> & { data: TensorData | NativeTensor };
}

type Pixels = RawImage | Tensor | ArrayWithDims<TensorData>;

function isPixels(value: unknown): value is Pixels {
  return value instanceof RawImage || value instanceof Tensor || isArrayWithDims(value);
}

function checkArray(array: ArrayWithDims, name: string): void {
  if (dtypeOfArray(array.data) === null)
    throw new TypeError(
      `Expected a typed array of 8 to 32-bit or BigInt64 integers, 32- or 64-bit floats for ${name}.data but received ` +
        `${describe(array.data)} of type ${typeName(array.data)}.`,
    );
  checkDims(array.dims, array.data.length, `${name}.`);
}

/** Lists in each other that are walked through before they are refused. */
const DEEPEST_LISTS = 8;

/** Files and URLs that are open at once: sharp decodes as many on libuv's threads. */
const MOST_READS = 4;

function checkImage(image: unknown, name: string): void {
  if (isArrayWithDims(image)) checkArray(image, name);
  if (isPixels(image) || isImageSource(image)) return;
  throw new TypeError(
    `only a single or a list of entries is supported but got type=${typeName(image)}. ${name} takes RawImages, Tensors, ` +
      '{ data, dims }, paths, URLs, the bytes of image files and sharp instances.',
  );
}

// transformers' fetch_images: the same nesting, with files and URLs read. The first that is none ends it, before any is read.
async function fetchImages(images: unknown, name: string): Promise<unknown> {
  const reads: { source: RawImageInput; put: (image: RawImage) => void }[] = [];
  let count = 0;
  const visit = (value: unknown, place: string, depth: number, put: (copy: unknown) => void): void => {
    // Two levels are taken; a hundred thousand would end the stack.
    const isList = Array.isArray(value) && depth < DEEPEST_LISTS;
    const items: readonly unknown[] = isList ? value : [];
    // A list of nothing counts, so that what is visited has a bound too.
    if (items.length === 0 && ++count > MOST_IMAGES)
      throw wrongValue(`at most ${MOST_IMAGES} images`, name, images);
    if (!isList) checkImage(value, place);
    if (!isPixels(value) && isImageSource(value)) reads.push({ source: value, put });
    const list: unknown[] = [];
    put(isList ? list : value);
    for (let index = 0; index < items.length; index++)
      visit(items[index], `${place}[${index}]`, depth + 1, (copy) => {
        list[index] = copy;
      });
  };
  let result: unknown;
  visit(images, name, 0, (copy) => {
    result = copy;
  });
  await mapAtOnce(reads, MOST_READS, async ({ source, put }) => put(await RawImage.read(source)));
  return result;
}

interface Single {
  pixels: Pixels;
  /** Index into a batch, or null. */
  index: number | null;
}

function dimensions(pixels: Pixels, expected: number): number {
  return pixels instanceof RawImage ? expected : pixels.dims.length;
}

function splitBatch(pixels: Pixels): Single[] {
  const { dims } = pixels as Tensor | ArrayWithDims<TensorData>;
  // Of images without pixels there may be any number in no memory at all.
  if (dims.slice(1).includes(0))
    throw new RangeError(`Expected images with pixels but received dims [${dims.join(', ')}].`);
  if (dims[0] > MOST_IMAGES) throw wrongValue(`at most ${MOST_IMAGES} images`, 'a batch', pixels);
  return Array.from({ length: dims[0] }, (_, index) => ({ pixels, index }));
}

// transformers' make_flat_list_of_images.
function flatten(images: unknown, expected: number): Single[] {
  const asSingle = (pixels: Pixels): Single => ({ pixels, index: null });
  if (Array.isArray(images)) {
    const items = images as unknown[];
    if (items.length > 0 && items.every((item) => Array.isArray(item) && item.every(isPixels)))
      return items.flat().map(asSingle);
    if (items.length > 0 && items.every(isPixels)) {
      const first = dimensions(items[0], expected);
      if (first === expected) return items.map(asSingle);
      if (first === expected + 1 && items.every((item) => dimensions(item, expected) === first))
        return items.flatMap(splitBatch);
    }
  } else if (isPixels(images)) {
    const count = dimensions(images, expected);
    if (count === expected) return [asSingle(images)];
    if (count === expected + 1) return splitBatch(images);
  }
  throw new RangeError(`Could not make a flat list of images from ${describe(images)}`);
}

// transformers' infer_channel_dimension_format; where both ends could be the channels, the first is taken.
function inferLayout(dims: readonly number[]): 'CHW' | 'HWC' {
  if (dims[0] === 1 || dims[0] === 3) return 'CHW';
  if (dims[2] === 1 || dims[2] === 3) return 'HWC';
  throw new RangeError('Unable to infer channel dimension format');
}

function prepareRawImage(
  image: RawImage,
  convertRgb: boolean,
  format: ChannelDimension | null,
): DescribedImage {
  const { data, channels, height, width } = image;
  // The reference finds out the layout of images too, and knows grey and RGB only.
  if (!convertRgb && format === null && channels % 2 === 0)
    throw new RangeError(
      `Unable to infer channel dimension format: the image has ${channels} channels. Set do_convert_rgb, or take rgb().`,
    );
  return {
    native: { data, channels, size: [height, width], layout: 'HWC', convert_rgb: convertRgb },
    view: null,
  };
}

function prepareArray({ pixels, index }: Single, format: ChannelDimension | null): DescribedImage {
  const array = pixels as Tensor | ArrayWithDims<TensorData>;
  let dims: readonly number[] = index === null ? array.dims : array.dims.slice(1);
  const isMap = dims.length === 2;
  if (isMap) dims = [1, ...dims];
  if (dims.length !== 3)
    throw new RangeError(`Expected images of three dimensions but received dims ${bracketed(array.dims)}.`);
  if (dims.includes(0))
    throw new RangeError(`Expected images with pixels but received dims ${bracketed(array.dims)}.`);
  const known = format === 'channels_last' ? 'HWC' : 'CHW';
  const layout = isMap ? 'CHW' : format === null ? inferLayout(dims) : known;
  const [height, width, channels] = layout === 'HWC' ? dims : [dims[1], dims[2], dims[0]];
  const size: ImageSize = [height, width];
  if (array instanceof Tensor) {
    const view =
      index === null ? null : callNativeSync(() => array.handle.view([['select.int', { dim: 0, index }]]));
    return { native: { data: view ?? array.handle, channels, size, layout, convert_rgb: false }, view };
  }
  const length = height * width * channels;
  const data = index === null ? array.data : array.data.subarray(index * length, (index + 1) * length);
  return { native: { data, channels, size, layout, convert_rgb: false }, view: null };
}

/** Bytes that are copied at once: about a millisecond, so that the event loop keeps turning. */
const PIECE = 8 * 2 ** 20;

/**
 * Puts the pixels of a typed array into a native tensor, since its buffer can be transferred away while a job runs; a
 * large one piece by piece between turns of the event loop, which 60 megapixels in one go hold up for 100 ms.
 *
 * @throws RangeError where the buffer is transferred or shrinks meanwhile: the tensor is never used half full.
 */
async function upload(image: DescribedImage, name: string): Promise<void> {
  const { data, channels, size } = image.native;
  if (!ArrayBuffer.isView(data)) return;
  const elements = channels * size[0] * size[1];
  const tensor = makeNativeTensor(dtypeOfArray(data) as DType, [elements], null);
  image.view = tensor;
  image.native.data = tensor;
  const count = Math.floor(PIECE / data.BYTES_PER_ELEMENT);
  for (let start = 0; start < elements; start += count) {
    if (start > 0) await nextTurn();
    const piece = checkIntact(data, elements, name).subarray(start, Math.min(start + count, elements));
    callNativeSync(() => tensor.write(start * data.BYTES_PER_ELEMENT, unshared(piece)));
  }
}

/**
 * Images or maps, flattened into one list, their pixels in native memory.
 *
 * @param images what the caller passed.
 * @param name of the argument, for errors.
 * @param expected dimensions of one array: 3 for images, 2 for maps.
 * @param convertRgb whether RawImages become RGB.
 * @param format layout of arrays, or null to find it out.
 * @throws TypeError for what is no image; RangeError, with transformers' messages where it has them, for other
 *   nestings and dims, for an empty list and more than `MOST_IMAGES`; what RawImage.read throws.
 */
export async function prepareImages(
  images: unknown,
  name: string,
  expected: 2 | 3,
  convertRgb: boolean,
  format: ChannelDimension | null,
): Promise<PreparedImage[]> {
  const singles = flatten(await fetchImages(images, name), expected);
  if (singles.length === 0) throw new RangeError(`Expected at least one image for ${name}.`);
  if (singles.length > MOST_IMAGES) throw wrongValue(`at most ${MOST_IMAGES} images`, name, images);
  const prepared: DescribedImage[] = [];
  try {
    for (const single of singles)
      prepared.push(
        single.pixels instanceof RawImage
          ? prepareRawImage(single.pixels, convertRgb, format)
          : prepareArray(single, format),
      );
    for (const [index, image] of prepared.entries()) {
      if (index > 0) await nextTurn();
      await upload(image, name);
    }
    return prepared as PreparedImage[];
  } catch (error) {
    disposeViews(prepared);
    throw error;
  }
}

/** Releases the tensors that prepareImages made. */
export function disposeViews(images: readonly Pick<PreparedImage, 'view'>[]): void {
  for (const { view } of images) view?.dispose();
}
