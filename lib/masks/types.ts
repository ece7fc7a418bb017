/** Binary masks and their encodings, and the checks that every function on them shares. */
import { wrongType, wrongValue } from '../core/errors';
import { checkPixels } from '../core/device';
import type { ImageSize } from '../core/types';
import { isArrayOf } from '../core/kinds';
import { isPlainObject } from '../core/options';

/** A binary mask (H, W), row-major: 1 inside, 0 outside. */
export interface Mask {
  /** As a Tensor's: one byte a pixel. */
  readonly type: 'bool';
  /** 1 inside, 0 outside. */
  readonly data: Uint8Array;
  /** [height, width] in pixels. */
  readonly dims: [height: number, width: number];
}

/** What the functions here take as a mask: a Mask, a bool or uint8 Tensor, or bytes with dims. Not 0 is inside. */
export interface MaskLike {
  /** 'bool' or 'uint8' where it is there. */
  readonly type?: string;
  /** A Uint8Array or Uint8ClampedArray; not 0 is inside. */
  readonly data: ArrayLike<number | bigint>;
  /** (..., height, width), in pixels. */
  readonly dims: readonly number[];
}

/** An uncompressed run-length encoding, as transformers' mask-generation pipeline gives it. */
export interface RLE {
  /** [height, width] in pixels. */
  size: ImageSize;
  /** Lengths of runs in column-major order, alternating outside and inside; the first may be 0. */
  counts: number[];
}

/** A compressed run-length encoding, as COCO files and pycocotools have it. */
export interface CocoRLE {
  /** [height, width] in pixels. */
  size: ImageSize;
  /** COCO's text form of the runs. */
  counts: string;
}

/** A box in pixels. */
export type Box = [x1: number, y1: number, x2: number, y2: number];

// Array.isArray would turn the elements into any.
function isList(value: unknown): value is readonly number[] {
  return Array.isArray(value);
}

/**
 * The bytes of a mask of any dims.
 *
 * @throws TypeError for another kind; RangeError for dims that are no sizes or data of another length.
 */
export function checkMaskData(
  mask: MaskLike,
  name: string,
): { data: Uint8Array | Uint8ClampedArray; dims: number[] } {
  if (typeof mask !== 'object' || mask === null || !isList(mask.dims))
    throw wrongType(
      'a mask (a bool Tensor, or { data, dims })',
      name,
      mask,
      isPlainObject(mask) && 'mask' in mask ? 'best_mask gives its mask as a field: pass that.' : undefined,
    );
  const { data } = mask;
  // Checked and used from a copy: a getter may give something else the next time.
  const dims = [...mask.dims];
  const remedy = 'Compare logits with a threshold first: post_process_masks does.';
  if (mask.type !== undefined && mask.type !== 'bool' && mask.type !== 'uint8')
    throw wrongType('bool or uint8', `${name}.type`, mask.type, remedy);
  if (!isArrayOf(data, Uint8Array, Uint8ClampedArray))
    throw wrongType('a Uint8Array', `${name}.data`, data, remedy);
  if (!dims.every((size) => Number.isSafeInteger(size) && size >= 1))
    throw wrongValue('positive integers', `${name}.dims`, dims);
  const length = dims.reduce((product, size) => product * size, 1);
  if (data.length !== length)
    throw wrongValue(`${length} bytes`, `${name}.data`, data, `It has ${data.length}.`);
  return { data, dims };
}

/**
 * The bytes and the size of a mask (H, W).
 *
 * @throws as checkMaskData; RangeError for another number of dimensions.
 */
export function checkMask(
  mask: MaskLike,
  name: string,
): { data: Uint8Array | Uint8ClampedArray; size: ImageSize } {
  const { data, dims } = checkMaskData(mask, name);
  if (dims.length !== 2)
    throw wrongValue(
      'two dimensions (height, width)',
      `${name}.dims`,
      dims,
      'mask_planes separates several masks.',
    );
  checkPixels(dims, name);
  return { data, size: [dims[0], dims[1]] };
}
