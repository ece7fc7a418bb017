/** Tensors among the prompts, and the sizes of pictures that prompts are normalised by. */
import { describe, wrongType, wrongValue } from '../core/errors';
import { toNestedList } from './prompts';
import { Tensor } from '../tensor';
import type { ArrayWithDims, ImageSize } from '../core/types';

function tensorsIn(value: unknown): Tensor[] {
  if (Tensor.isTensor(value)) return [value];
  return Array.isArray(value) ? value.flatMap(tensorsIn) : [];
}

async function toHostArray(tensor: Tensor): Promise<ArrayWithDims> {
  const onHost = tensor.device === 'cpu' ? tensor : await tensor.cpu();
  const data = (
    onHost.dims.length === 0 ? [onHost.item()] : (onHost.tolist() as unknown[]).flat(Infinity)
  ) as (number | bigint | boolean)[];
  if (onHost !== tensor) onHost.dispose();
  return { data: data.map(Number), dims: [...tensor.dims] };
}

/**
 * The elements of all Tensors in (nested lists of) some values, from whatever device they are on.
 *
 * @throws Sam3TrackerError DISPOSED.
 */
export async function hostArrays(values: readonly unknown[]): Promise<Map<Tensor, ArrayWithDims>> {
  const tensors = [...new Set(values.flatMap(tensorsIn))];
  const arrays = await Promise.all(tensors.map(toHostArray));
  return new Map(tensors.map((tensor, index) => [tensor, arrays[index]]));
}

/** A value with the elements of its Tensors in their place. */
export function replaceTensors(value: unknown, arrays: ReadonlyMap<Tensor, ArrayWithDims>): unknown {
  if (Tensor.isTensor(value)) return arrays.get(value);
  return Array.isArray(value) ? value.map((item) => replaceTensors(item, arrays)) : value;
}

/**
 * Sizes of pictures as a caller gives them, Tensors replaced.
 *
 * @returns [height, width] of each picture in pixels.
 * @throws TypeError for anything but lists of two numbers; RangeError for none, or sizes that are not positive.
 */
export function readSizes(value: unknown): ImageSize[] {
  const list = toNestedList(value, 'original_sizes');
  if (!Array.isArray(list)) throw wrongType('a list of [height, width]', 'original_sizes', value);
  if (list.length === 0) throw wrongValue('the size of at least one image', 'original_sizes', list);
  return list.map((size, index) => {
    const name = `original_sizes[${index}]`;
    if (!Array.isArray(size)) throw wrongType('[height, width]', name, size, 'One pair for each image.');
    if (size.length !== 2) throw wrongValue('[height, width]', name, size);
    for (const side of size) {
      if (typeof side !== 'number') throw wrongType('[height, width]', name, size);
      if (!Number.isFinite(side) || side <= 0) throw wrongValue('a positive height and width', name, size);
    }
    return [size[0], size[1]] as ImageSize;
  });
}

/**
 * Checks the sizes that the image processor found against the images and the sizes that were named beside them.
 *
 * @throws RangeError with the reference's message where nested lists of images hide their number; RangeError for named
 *   sizes that the images do not have, which the reference drops.
 */
export function checkSizesAgainst(
  sizes: readonly ImageSize[],
  images: unknown,
  named: readonly ImageSize[] | null,
): void {
  if (Array.isArray(images) && sizes.length !== 1 && sizes.length !== images.length)
    throw new RangeError(
      'original_sizes must be of length 1 or len(images). If you are passing a single image, you must pass a single ' +
        'original_size.',
    );
  if (named === null) return;
  const agrees =
    named.length === sizes.length &&
    named.every(([height, width], index) => height === sizes[index][0] && width === sizes[index][1]);
  if (!agrees)
    throw new RangeError(
      `original_sizes ${describe(named)} are not the sizes of the images, ${describe(sizes)}. Leave them out.`,
    );
}

/** Sizes as the field that is returned: int64, or, where one is no integer, as torch and NumPy read floats. */
export function sizesArray(
  sizes: readonly ImageSize[],
  asNumPy: boolean,
): ArrayWithDims<BigInt64Array | Float32Array | Float64Array> & { type: 'int64' | 'float32' | 'float64' } {
  const values = sizes.flat();
  const dims = [sizes.length, 2];
  if (values.every(Number.isInteger))
    return { type: 'int64', data: BigInt64Array.from(values.map(BigInt)), dims };
  return asNumPy
    ? { type: 'float64', data: Float64Array.from(values), dims }
    : { type: 'float32', data: Float32Array.from(values), dims };
}
