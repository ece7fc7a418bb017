/** Random images and settings for the image processor, in our form and in the reference's. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { DTYPES, type DType, type TensorData } from '../../lib/core/dtype';
import type { ImageInput } from '../../lib/image/inputs';
import type { Sam3ImageProcessorCallOptions } from '../../lib/image/image-processing-sam3';
import { RawImage } from '../../lib/image/raw-image';
import { Tensor } from '../../lib/tensor';
import { randomNumbers } from './random';

/** Draws by one stream of random numbers. */
export class Draw {
  readonly random: () => number;

  constructor(seed: number) {
    this.random = randomNumbers(seed);
  }

  integer(min: number, max: number): number {
    return min + Math.floor(this.random() * (max - min + 1));
  }

  chance(probability: number): boolean {
    return this.random() < probability;
  }

  /** From 1 to `longest`, as often small as large. */
  side(longest: number): number {
    return Math.round(longest ** this.random());
  }

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)];
  }
}

/** An image that both sides get. */
export interface Sample {
  kind: 'image' | 'array' | 'tensor';
  dtype: DType;
  dims: number[];
  data: TensorData;
}

/** Random elements: 0 to 255 for uint8 and floats, within the type's range for others; labels 0 to 9. */
export function sample(draw: Draw, kind: Sample['kind'], dtype: DType, dims: number[]): Sample {
  const count = dims.reduce((product, size) => product * size, 1);
  // Halves as raw bits with a small exponent: 1 to 1023 over 1024.
  const limit = { bool: 2, int8: 100, float16: 0x3c00 }[dtype as string] ?? 256;
  const value = (): number =>
    dtype.startsWith('float') && dtype !== 'float16'
      ? draw.random() * 255
      : Math.floor(draw.random() * limit);
  const data = new (DTYPES[dtype].array as unknown as new (length: number) => TensorData)(count);
  if (data instanceof BigInt64Array) for (let i = 0; i < count; i++) data[i] = BigInt(value());
  else for (let i = 0; i < count; i++) data[i] = value();
  return { kind, dtype, dims, data };
}

/** The image as this package takes it. */
export function ours({ kind, dtype, dims, data }: Sample): ImageInput {
  if (kind === 'tensor') return new Tensor(dtype, data, dims);
  if (kind === 'array') return { data, dims };
  return new RawImage(data as Uint8Array, dims[1], dims[0], dims[2] as 3);
}

/** The image as test/support/image_reference.py takes it. */
export function theirs({ kind, dtype, dims, data }: Sample): Record<string, unknown> {
  const base64 = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64');
  return { kind, dtype, dims, base64 };
}

/** Bytes from which an image goes to the reference in a file. */
const LARGE = 2 ** 20;
let files = 0;

/** As `theirs`, with the data of a large image in a file of that directory, which the reference removes. */
export function theirsInFile(image: Sample, directory: string): Record<string, unknown> {
  const { kind, dtype, dims, data } = image;
  if (data.byteLength < LARGE) return theirs(image);
  const file = path.join(directory, `image-${(files += 1)}`);
  writeFileSync(file, Buffer.from(data.buffer, data.byteOffset, data.byteLength));
  return { kind, dtype, dims, file };
}

/** One call with its images. */
export interface Case {
  images: Sample[];
  maps: Sample[] | null;
  options: Sam3ImageProcessorCallOptions;
}

type Options = Sam3ImageProcessorCallOptions;

interface Images {
  images: Sample[];
  /** [height, width] of the first in pixels. */
  size: [number, number];
  /** null where both sides say it themselves. */
  layout: 'HWC' | 'CHW' | null;
}

function drawImages(draw: Draw, first: [number, number] | null): Images {
  const drawn: [number, number] = [draw.side(2000), draw.side(3000)];
  const size = first ?? drawn;
  const count = size[0] * size[1] > 2 ** 20 ? 1 : draw.pick([1, 1, 2, 3]);
  const isEven = draw.chance(0.6);
  const sizes = Array.from({ length: count }, (_, index) =>
    index === 0 || isEven ? size : [draw.side(500), draw.side(500)],
  );
  const kind = draw.pick(['image', 'image', 'array', 'tensor'] as const);
  if (kind === 'image') {
    const channels = draw.pick([1, 2, 3, 3, 3, 4]);
    return {
      images: sizes.map((each) => sample(draw, kind, 'uint8', [...each, channels])),
      size,
      layout: null,
    };
  }
  const common: DType[] = ['uint8', 'uint8', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64'];
  const dtype = draw.pick(kind === 'tensor' ? [...common, 'float16' as const, 'bool' as const] : common);
  const layout = draw.pick(['HWC', 'CHW'] as const);
  const images = sizes.map((each) =>
    sample(draw, kind, dtype, layout === 'HWC' ? [...each, 3] : [3, ...each]),
  );
  return { images, size, layout };
}

/** `size`, with sides that stay moderate for images as long and thin as these. */
function drawSize(
  draw: Draw,
  images: readonly Sample[],
): { option: Options['size']; fixed: number[] | null } {
  const [height, width] = [draw.side(600), draw.side(600)];
  // Whichever sides the layout makes of the dims.
  const ratio = Math.max(...images.map(({ dims }) => Math.max(...dims) / Math.min(...dims)));
  const shortest = Math.min(height, Math.max(1, Math.floor(Math.sqrt(400_000 / ratio))));
  return draw.pick([
    { option: { height, width }, fixed: [height, width] },
    { option: [height, width] as const, fixed: [height, width] },
    { option: shortest, fixed: null },
    { option: { shortest_edge: shortest }, fixed: null },
    { option: { shortest_edge: shortest, longest_edge: shortest + width }, fixed: null },
    { option: { max_height: 200 + height, max_width: 200 + width }, fixed: null },
  ]);
}

/** A step's switch: mostly a boolean, and null, which is off as well. */
const drawSwitch = (draw: Draw, on: number): boolean | null =>
  draw.chance(on) ? true : draw.pick([false, null]);

function drawValues(draw: Draw, options: Options): void {
  options.do_rescale = drawSwitch(draw, 0.8);
  options.do_normalize = drawSwitch(draw, 0.8);
  if (draw.chance(0.5)) options.rescale_factor = draw.pick([1 / 255, 0.3, 1]);
  if (!options.do_rescale && draw.chance(0.3)) options.rescale_factor = null;
  const perChannel = (least: number): number[] => Array.from({ length: 3 }, () => least + draw.random());
  if (draw.chance(0.5)) options.image_mean = draw.pick([0.4, perChannel(0)]);
  if (draw.chance(0.5)) options.image_std = draw.pick([0.7, perChannel(0.1)]);
  if (Array.isArray(options.image_std) && typeof options.image_mean === 'number')
    options.image_mean = [0.1, 0.2, 0.3];
  if (!options.do_normalize && draw.chance(0.3))
    Object.assign(options, { image_mean: null, image_std: null });
}

/** Settings that change no number, or that are what the default is. */
function drawNeutral(draw: Draw, options: Options): void {
  if (draw.chance(0.2)) options.device = draw.pick(['cpu', null]);
  if (draw.chance(0.2)) options.data_format = draw.pick(['channels_first', null]);
  if (draw.chance(0.2)) options.disable_grouping = draw.pick([true, false, null]);
  if (draw.chance(0.1)) options.image_seq_length = draw.pick([4, null]);
}

function drawMaps(draw: Draw, images: readonly Sample[], size: [number, number]): Sample[] {
  const kind = draw.pick(['array', 'tensor', 'image'] as const);
  const dtype = kind === 'image' ? 'uint8' : draw.pick(['uint8', 'int32', 'int64', 'float32'] as const);
  // A map in colours keeps its channels.
  const channels = kind === 'image' ? [draw.pick([1, 1, 3])] : [];
  return images.map(() => sample(draw, kind, dtype, [...size, ...channels]));
}

/**
 * A random call, valid on both sides but for some that both refuse: ragged batches, and paddings that are too small.
 *
 * @param first height and width of the first image in pixels; default drawn, to 2000 and 3000, small ones as often
 *   as large ones.
 */
export function randomCase(draw: Draw, first: [number, number] | null = null): Case {
  const { images, size, layout } = drawImages(draw, first);
  const options: Options = { do_resize: drawSwitch(draw, 0.85), resample: draw.pick([0, 1, 2, 2, 2, 3]) };
  const drawn = drawSize(draw, images);
  options.size = drawn.option;
  if (typeof options.size === 'number') {
    options.default_to_square = draw.pick([true, true, false, null]);
    if (options.default_to_square) drawn.fixed = [options.size, options.size];
  }
  if (!options.do_resize && draw.chance(0.3))
    Object.assign(options, draw.pick([{ size: null }, { resample: null }]));
  // 5.23 takes four rows for channels, where 5.8 does not.
  if (layout !== null && (draw.chance(0.7) || images.some(({ dims }) => dims[0] === 4)))
    options.input_data_format = layout === 'HWC' ? 'channels_last' : 'channels_first';
  else if (draw.chance(0.3)) options.input_data_format = null;
  // Images with alpha need it, and are refused in other words without.
  if (draw.chance(0.4))
    options.do_convert_rgb = draw.pick(
      layout === null && images[0].dims[2] % 2 === 0 ? [true] : [true, false, null],
    );
  // What a later step works on, where the settings alone tell.
  let fixed = options.do_resize ? drawn.fixed : null;
  if (draw.chance(0.3)) {
    fixed = [draw.side(600), draw.side(600)];
    Object.assign(options, { do_center_crop: true, crop_size: fixed });
  } else if (draw.chance(0.3))
    Object.assign(options, { do_center_crop: draw.pick([false, null]), crop_size: null });
  drawValues(draw, options);
  if (draw.chance(0.3)) {
    options.do_pad = true;
    // Sometimes too small, which is an error on both sides.
    if (fixed) options.pad_size = fixed.map((length) => length + draw.integer(-1, 30)) as [number, number];
    // Resizing images of several proportions would make one of a gigabyte.
    else if (images.length > 1 && options.do_resize) options.do_pad = false;
    else options.pad_size = null;
  } else if (draw.chance(0.3)) options.do_pad = draw.pick([false, null]);
  drawNeutral(draw, options);
  options.return_tensors = draw.pick(['pt', 'pt', 'np', null]);
  // Of a ragged batch NumPy says something else than PyTorch and we.
  if (options.return_tensors === 'np' && !fixed && images.length > 1) options.return_tensors = 'pt';
  let maps: Sample[] | null = null;
  if (draw.chance(0.3)) {
    maps = drawMaps(draw, images, size);
    options.mask_size = { height: draw.side(300), width: draw.side(300) };
    // The reference has no maps but with 'pt'.
    options.return_tensors = 'pt';
  }
  return { images, maps, options };
}
