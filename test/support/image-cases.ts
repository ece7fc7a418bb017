/** Random pictures and settings for the image processor, in our form and in the reference's. */
import { DTYPES, type DType, type TensorData } from '../../lib/dtype';
import type { ImageInput, Sam3ImageProcessorCallOptions } from '../../lib/image-processing-sam3';
import { RawImage } from '../../lib/raw-image';
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

  pick<T>(items: readonly T[]): T {
    return items[this.integer(0, items.length - 1)];
  }
}

/** An image that both sides get. */
export interface Sample {
  kind: 'picture' | 'array' | 'tensor';
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
  const data =
    dtype === 'int64'
      ? BigInt64Array.from({ length: count }, () => BigInt(value()))
      : dtype === 'float16'
        ? Uint16Array.from({ length: count }, value)
        : ((DTYPES[dtype].array as unknown as typeof Float64Array).from(
            { length: count },
            value,
          ) as unknown as TensorData);
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

/** One call with its pictures. */
export interface Case {
  images: Sample[];
  maps: Sample[] | null;
  options: Sam3ImageProcessorCallOptions;
}

function randomImage(draw: Draw, longest: number): { image: Sample; layout: 'HWC' | 'CHW' } {
  const height = draw.integer(1, longest);
  const width = draw.integer(1, longest);
  const kind = draw.pick(['picture', 'picture', 'array', 'tensor'] as const);
  if (kind === 'picture') {
    const channels = draw.pick([1, 2, 3, 3, 3, 4]);
    return { image: sample(draw, kind, 'uint8', [height, width, channels]), layout: 'HWC' };
  }
  const common: DType[] = ['uint8', 'uint8', 'float32', 'float64', 'int8', 'int16', 'int32', 'int64'];
  const dtype = draw.pick(kind === 'tensor' ? [...common, 'float16' as const, 'bool' as const] : common);
  const layout = draw.pick(['HWC', 'CHW'] as const);
  const dims = layout === 'HWC' ? [height, width, 3] : [3, height, width];
  return { image: sample(draw, kind, dtype, dims), layout };
}

/**
 * A random call, valid on both sides.
 *
 * @param longest of the pictures' sides, in pixels.
 */
export function randomCase(draw: Draw, longest: number): Case {
  const { image, layout } = randomImage(draw, longest);
  const [height, width] = layout === 'HWC' ? image.dims : image.dims.slice(1);
  const options: Sam3ImageProcessorCallOptions = { do_resize: draw.chance(0.85) };
  // Pictures say their layout; the reference takes it for what it made of them.
  if (image.kind !== 'picture')
    options.input_data_format = layout === 'HWC' ? 'channels_last' : 'channels_first';
  const side = (): number => draw.integer(1, 200);
  const [newHeight, newWidth] = [side(), side()];
  options.size = draw.pick([
    { height: newHeight, width: newWidth },
    [newHeight, newWidth] as const,
    newHeight,
    { shortest_edge: newHeight },
    { shortest_edge: newHeight, longest_edge: newHeight + newWidth },
    { max_height: 200 + newHeight, max_width: 200 + newWidth },
  ]);
  if (typeof options.size === 'number') options.default_to_square = draw.chance(0.7);
  // Sizes that follow a picture's own stay moderate only while its sides are alike.
  const ratio = Math.max(height / width, width / height);
  if (ratio > 8) options.size = { height: newHeight, width: newWidth };
  options.resample = draw.pick([0, 1, 2, 2, 2, 3]);
  // What a later step works on, where the settings alone tell.
  let known = options.do_resize && 'height' in Object(options.size) ? [newHeight, newWidth] : null;
  if (draw.chance(0.3)) {
    known = [side(), side()];
    Object.assign(options, { do_center_crop: true, crop_size: known });
  }
  options.do_rescale = draw.chance(0.8);
  options.do_normalize = draw.chance(0.8);
  if (draw.chance(0.5)) options.rescale_factor = draw.pick([1 / 255, 0.3, 1]);
  const perChannel = (least: number): number[] => Array.from({ length: 3 }, () => least + draw.random());
  if (draw.chance(0.5)) options.image_mean = draw.pick([0.4, perChannel(0)]);
  if (draw.chance(0.5)) options.image_std = draw.pick([0.7, perChannel(0.1)]);
  if (Array.isArray(options.image_std) && typeof options.image_mean === 'number')
    options.image_mean = [0.1, 0.2, 0.3];
  if (draw.chance(0.3)) {
    options.do_pad = true;
    // Sometimes too small, which is an error on both sides.
    if (known) options.pad_size = known.map((length) => length + draw.integer(-1, 30)) as [number, number];
  }
  let maps: Sample[] | null = null;
  if (draw.chance(0.3)) {
    const dtype = draw.pick(['uint8', 'int32', 'int64', 'float32'] as const);
    maps = [sample(draw, draw.pick(['array', 'tensor'] as const), dtype, [height, width])];
    options.mask_size = { height: side(), width: side() };
  }
  return { images: [image], maps, options };
}
