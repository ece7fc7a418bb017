/** Measures of agreement between our outputs and the reference's, and the limits they must keep. */
import assert from 'node:assert/strict';
import { Tensor } from '../../lib/tensor';

/** Outputs by name: a tensor, a list, or null. */
export type Outputs = Record<string, Tensor | readonly Tensor[] | null>;

/** How far two tensors, or two lists of them, are apart. */
export interface Difference {
  /** Largest absolute difference; NaN where either has a value that is no number. */
  max: number;
  mean: number;
  /** Largest absolute value of the reference's, at least 1. */
  scale: number;
}

/** Limits for float32; the project's own, not to be widened. */
export const LIMITS = { relative: 1e-4, iouScores: 1e-5, agreement: 0.9999 } as const;

/** Tensors under the names that the reference's file has: `name`, or `name.0` and so on for a list. */
export function flatten(outputs: Outputs): Map<string, Tensor> {
  const flat = new Map<string, Tensor>();
  for (const [name, value] of Object.entries(outputs)) {
    if (value instanceof Tensor) flat.set(name, value);
    else value?.forEach((item, index) => flat.set(`${name}.${index}`, item));
  }
  return flat;
}

/** The elements as numbers that JavaScript can compute with, whatever the dtype. */
async function numbersOf(tensor: Tensor): Promise<ArrayLike<number>> {
  return (await tensor.to('float32')).data;
}

/** @throws AssertionError for other dims. */
export async function difference(ours: Tensor, theirs: Tensor, name: string): Promise<Difference> {
  assert.deepEqual(ours.dims, theirs.dims, `dims of ${name}`);
  const [a, b] = [await numbersOf(ours), await numbersOf(theirs)];
  let [max, sum, scale] = [0, 0, 1];
  for (let index = 0; index < b.length; index++) {
    const apart = Math.abs(a[index] - b[index]);
    // Math.max keeps NaN, which no limit admits.
    max = Math.max(max, apart);
    sum += apart;
    scale = Math.max(scale, Math.abs(b[index]));
  }
  return { max, mean: b.length ? sum / b.length : 0, scale };
}

/** The part of the pixels in which bool masks agree. */
export function agreement(ours: readonly Tensor[], theirs: readonly Tensor[]): number {
  assert.equal(ours.length, theirs.length, 'number of images');
  let [equal, all] = [0, 0];
  ours.forEach((mask, index) => {
    assert.deepEqual(mask.dims, theirs[index].dims, `dims of the masks of image ${index}`);
    assert.equal(mask.type, 'bool');
    const [a, b] = [mask.data, theirs[index].data];
    for (let pixel = 0; pixel < b.length; pixel++) if (a[pixel] === b[pixel]) equal += 1;
    all += b.length;
  });
  return equal / all;
}

/** Whether all elements are the same, bit for bit. */
export function sameBits(ours: Tensor, theirs: Tensor): boolean {
  const bytes = ({ data }: Tensor): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return ours.type === theirs.type && bytes(ours).equals(bytes(theirs));
}
