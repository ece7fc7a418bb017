/**
 * Binary masks and their run-length encodings (RLE), in COCO's conventions as transformers has them: runs go down the
 * columns (Fortran order) and begin with a run of pixels outside. `(H, W)` are rows and columns of the picture, boxes
 * are xyxy in its pixels.
 */
import { wrongType, wrongValue } from './errors';
import type { ImageSize } from './types';
import { checkSize, isPlainObject } from './validate';

/** A binary mask (H, W), row-major: 1 inside, 0 outside. Plain data: needs no dispose, and crosses to workers. */
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
  /** Lengths of runs in column-major order, outside and inside by turns; the first may be 0. */
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

/** Counts pass through 32-bit arithmetic, as in pycocotools. */
const MAX_PIXELS = 2 ** 31 - 1;

function checkPixels(size: readonly number[], name: string): void {
  if (size[0] * size[1] > MAX_PIXELS)
    throw wrongValue(`at most ${MAX_PIXELS} pixels`, name, size[0] * size[1]);
}

// Array.isArray would turn the elements into any.
function isList(value: unknown): value is readonly number[] {
  return Array.isArray(value);
}

function checkMaskData(mask: MaskLike, name: string): Uint8Array | Uint8ClampedArray {
  if (typeof mask !== 'object' || mask === null || !isList(mask.dims))
    throw wrongType('a mask (a bool Tensor, or { data, dims })', name, mask);
  const { data, dims } = mask;
  const remedy = 'Compare logits with a threshold first: post_process_masks does.';
  if (mask.type !== undefined && mask.type !== 'bool' && mask.type !== 'uint8')
    throw wrongType('bool or uint8', `${name}.type`, mask.type, remedy);
  if (!(data instanceof Uint8Array || data instanceof Uint8ClampedArray))
    throw wrongType('a Uint8Array', `${name}.data`, data, remedy);
  if (!dims.every((size) => Number.isSafeInteger(size) && size >= 1))
    throw wrongValue('positive integers', `${name}.dims`, dims);
  const length = dims.reduce((product, size) => product * size, 1);
  if (data.length !== length)
    throw wrongValue(`${length} bytes`, `${name}.data`, data, `It has ${data.length}.`);
  return data;
}

function checkMask(mask: MaskLike, name: string): { data: Uint8Array | Uint8ClampedArray; size: ImageSize } {
  const data = checkMaskData(mask, name);
  const { dims } = mask;
  if (dims.length !== 2)
    throw wrongValue(
      'two dimensions (height, width)',
      `${name}.dims`,
      dims,
      'maskPlanes separates several masks.',
    );
  checkPixels(dims, name);
  return { data, size: [dims[0], dims[1]] };
}

/**
 * The single masks of a tensor such as post_process_masks gives.
 *
 * @param masks (..., H, W), bool or uint8, on the CPU; leading dimensions are read in order.
 * @returns one (H, W) mask each, sharing the memory of `masks` where that is a Uint8Array.
 * @throws TypeError for another kind; RangeError for fewer than two dimensions or data of another length.
 */
export function maskPlanes(masks: MaskLike): Mask[] {
  const data = checkMaskData(masks, 'masks');
  const [height, width] = masks.dims.slice(-2);
  if (masks.dims.length < 2) throw wrongValue('at least two dimensions', 'masks.dims', masks.dims);
  const area = height * width;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: bytes.length / area }, (_, index) => ({
    type: 'bool',
    data: bytes.subarray(index * area, (index + 1) * area),
    dims: [height, width],
  }));
}

/** Column-major positions at which a pixel differs from the one before it (outside, before the first), ascending. */
function changesOf(data: Uint8Array | Uint8ClampedArray, [height, width]: ImageSize): Uint32Array {
  // Rows are read in memory order and the changes put in order by column afterwards: walking down the columns of a
  // large row-major mask misses the cache at every pixel.
  const columns: number[] = [];
  const positions: number[] = [];
  const starts = new Uint32Array(width + 1);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    // The pixel before the first of a column is the last of the column to its left.
    const before = y === 0 ? (height - 1) * width - 1 : row - width;
    for (let x = 0; x < width; x++) {
      const inside = data[row + x] !== 0;
      const insideBefore = (y > 0 || x > 0) && data[before + x] !== 0;
      if (inside === insideBefore) continue;
      columns.push(x);
      positions.push(x * height + y);
      starts[x + 1]++;
    }
  }
  for (let x = 0; x < width; x++) starts[x + 1] += starts[x];
  const changes = new Uint32Array(positions.length);
  positions.forEach((position, index) => (changes[starts[columns[index]]++] = position));
  return changes;
}

/**
 * Encodes a mask. Mirrors transformers' `_mask_to_rle`, for one mask.
 *
 * @param mask (H, W), bool or uint8, on the CPU.
 * @throws TypeError for another kind; RangeError for other dims or data of another length.
 */
export function mask_to_rle(mask: MaskLike): RLE {
  const { data, size } = checkMask(mask, 'mask');
  const counts: number[] = [];
  let previous = 0;
  for (const change of changesOf(data, size)) {
    counts.push(change - previous);
    previous = change;
  }
  counts.push(size[0] * size[1] - previous);
  return { size, counts };
}

/**
 * Decodes an encoding, compressed or not. Mirrors transformers' `_rle_to_mask`.
 *
 * @returns (H, W).
 * @throws TypeError for another kind; RangeError for counts that are negative or do not fill the size.
 */
export function rle_to_mask(rle: RLE | CocoRLE): Mask {
  const { size, counts } = checkRle(rle, 'rle');
  const [height, width] = size;
  const data = new Uint8Array(height * width);
  let position = 0;
  counts.forEach((count, index) => {
    const end = position + count;
    if (index % 2 === 1)
      for (; position < end; position++)
        data[(position % height) * width + Math.floor(position / height)] = 1;
    position = end;
  });
  return { type: 'bool', data, dims: [height, width] };
}

function checkRle(rle: RLE | CocoRLE, name: string): RLE {
  if (!isPlainObject(rle) || !('size' in rle) || !('counts' in rle))
    throw wrongType('a run-length encoding { size, counts }', name, rle);
  const size = checkSize(rle.size, `${name}.size`);
  checkPixels(size, name);
  const counts = typeof rle.counts === 'string' ? decodeCounts(rle.counts, `${name}.counts`) : rle.counts;
  if (!Array.isArray(counts)) throw wrongType('a list of numbers or a string', `${name}.counts`, counts);
  let total = 0;
  for (const count of counts) {
    if (!Number.isSafeInteger(count) || count < 0)
      throw wrongValue('integers of at least 0', `${name}.counts`, count);
    total += count;
  }
  if (total !== size[0] * size[1])
    throw wrongValue(
      `runs of ${size[0] * size[1]} pixels (${size[0]} x ${size[1]})`,
      `${name}.counts`,
      total,
    );
  return { size, counts };
}

/** COCO's text form: each count, from the fourth on as its difference from the last but one, in groups of 5 bits. */
function encodeCounts(counts: readonly number[]): string {
  let text = '';
  counts.forEach((count, index) => {
    let rest = index > 2 ? count - counts[index - 2] : count;
    for (let more = true; more;) {
      const bits = rest & 0x1f;
      rest >>= 5;
      // Done when what is left is only the sign that the group's top bit already shows.
      more = bits & 0x10 ? rest !== -1 : rest !== 0;
      text += String.fromCharCode((more ? bits | 0x20 : bits) + 48);
    }
  });
  return text;
}

function decodeCounts(text: string, name: string): number[] {
  const counts: number[] = [];
  let position = 0;
  while (position < text.length) {
    let value = 0;
    let scale = 1;
    for (let more = true; more; scale *= 32) {
      const group = text.charCodeAt(position++) - 48;
      if (!(group >= 0 && group < 64) || scale > 32 ** 6)
        throw wrongValue("a complete string in COCO's text form", name, text);
      value += (group & 0x1f) * scale;
      more = (group & 0x20) !== 0;
      if (!more && group & 0x10) value -= 32 * scale;
    }
    counts.push(counts.length > 2 ? value + counts[counts.length - 2] : value);
  }
  return counts;
}

/**
 * Compresses an encoding to COCO's text form, byte for byte as pycocotools' `encode` gives it. Named after
 * `coco_encode_rle` of Meta's segment-anything.
 *
 * @throws TypeError for another kind; RangeError for counts that are negative or do not fill the size.
 */
export function coco_encode_rle(rle: RLE): CocoRLE {
  const { size, counts } = checkRle(rle, 'rle');
  return { size, counts: encodeCounts(counts) };
}

/**
 * The counts behind COCO's text form: undoes coco_encode_rle.
 *
 * @throws TypeError for another kind; RangeError for a damaged string or counts that do not fill the size.
 */
export function coco_decode_rle(rle: CocoRLE): RLE {
  return checkRle(rle, 'rle');
}

function isEncoding(mask: MaskLike | RLE | CocoRLE): mask is RLE | CocoRLE {
  return isPlainObject(mask) && 'counts' in mask;
}

function runsOf(mask: MaskLike | RLE | CocoRLE, name: string): RLE {
  if (isEncoding(mask)) return checkRle(mask, name);
  checkMask(mask, name);
  return mask_to_rle(mask);
}

/** [start, end) of each run inside, in column-major positions. */
function* insideRuns({ counts }: RLE): Generator<[start: number, end: number]> {
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    const end = position + counts[index];
    if (index % 2 === 1 && end > position) yield [position, end];
    position = end;
  }
}

/**
 * Pixels inside a mask (H, W) or an encoding.
 *
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
 */
export function mask_area(mask: MaskLike | RLE | CocoRLE): number {
  let area = 0;
  if (isEncoding(mask)) for (const [start, end] of insideRuns(checkRle(mask, 'mask'))) area += end - start;
  else for (const value of checkMask(mask, 'mask').data) area += value === 0 ? 0 : 1;
  return area;
}

/**
 * The box of a mask (H, W) or an encoding: its first and last column and row inside, both included, so that a single
 * pixel has x1 = x2; [0, 0, 0, 0] for an empty mask. Mirrors transformers' `_batched_mask_to_box`, for one mask.
 *
 * @returns xyxy in pixels of the mask.
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
 */
export function mask_to_box(mask: MaskLike | RLE | CocoRLE): Box {
  const rle = runsOf(mask, 'mask');
  const [height] = rle.size;
  const box: Box = [Infinity, Infinity, -Infinity, -Infinity];
  for (const [start, end] of insideRuns(rle)) {
    const [first, last] = [Math.floor(start / height), Math.floor((end - 1) / height)];
    // A run that goes on in the next column touches the bottom of one and the top of the other.
    const [top, bottom] = first === last ? [start % height, (end - 1) % height] : [0, height - 1];
    box[0] = Math.min(box[0], first);
    box[1] = Math.min(box[1], top);
    box[2] = Math.max(box[2], last);
    box[3] = Math.max(box[3], bottom);
  }
  return box[2] < 0 ? [0, 0, 0, 0] : box;
}

/**
 * Intersection over union of two masks (H, W) or encodings of one size: 0 to 1, and 0 where both are empty, as in
 * pycocotools.
 *
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask; RangeError for two sizes.
 */
export function mask_iou(a: MaskLike | RLE | CocoRLE, b: MaskLike | RLE | CocoRLE): number {
  const [first, second] = [runsOf(a, 'a'), runsOf(b, 'b')];
  if (first.size[0] !== second.size[0] || first.size[1] !== second.size[1])
    throw wrongValue(`the size of a (${first.size.join(' x ')})`, 'the size of b', second.size);
  const others = [...insideRuns(second)];
  let intersection = 0;
  let next = 0;
  for (const [start, end] of insideRuns(first)) {
    while (next < others.length && others[next][1] <= start) next++;
    for (let index = next; index < others.length && others[index][0] < end; index++)
      intersection += Math.min(end, others[index][1]) - Math.max(start, others[index][0]);
  }
  const union = mask_area(first) + mask_area(second) - intersection;
  return union === 0 ? 0 : intersection / union;
}
