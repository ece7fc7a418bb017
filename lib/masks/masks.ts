/** Functions on binary masks (H, W) and their encodings; boxes are xyxy in pixels of the image. */
import { wrongType, wrongValue } from '../core/errors';
import {
  checkMask,
  checkMaskData,
  type Box,
  type CocoRLE,
  type Mask,
  type MaskLike,
  type RLE,
} from './types';
import { RLEMask, checkRle, decodeRle, insideRuns, type RleLike } from './rle';
import type { ImageSize } from '../core/types';
import { checkBoolean, checkOptions, isPlainObject } from '../core/options';

/**
 * The single masks of a tensor such as post_process_masks gives.
 *
 * @param masks (..., H, W), bool or uint8, on the CPU; leading dimensions are read in order.
 * @returns one (H, W) mask each, sharing the memory of `masks` where that is a Uint8Array.
 * @throws TypeError for another kind; RangeError for fewer than two dimensions or data of another length.
 */
export function mask_planes(masks: MaskLike): Mask[] {
  const { data, dims } = checkMaskData(masks, 'masks');
  const [height, width] = dims.slice(-2);
  if (dims.length < 2) throw wrongValue('at least two dimensions', 'masks.dims', dims);
  const area = height * width;
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.length);
  return Array.from({ length: bytes.length / area }, (_, index) => ({
    type: 'bool',
    data: bytes.subarray(index * area, (index + 1) * area),
    dims: [height, width],
  }));
}

/**
 * The old spelling of mask_planes.
 *
 * @deprecated goes with the next version.
 */
export const maskPlanes = mask_planes;

/**
 * Row-major positions, from the second row on, of pixels that differ from the one above; ascending, and followed by room.
 */
function changesDown(
  data: Uint8Array | Uint8ClampedArray,
  width: number,
): { list: Uint32Array; length: number } {
  // Most of a mask is like the row above: four pixels are compared at once where rows begin at such bounds.
  const step = width % 4 === 0 && data.byteOffset % 4 === 0 ? 4 : 1;
  const cells = step === 4 ? new Uint32Array(data.buffer, data.byteOffset, data.length / 4) : data;
  const row = width / step;
  let list = new Uint32Array(4096);
  let length = 0;
  for (let begin = row; begin < cells.length; begin += row) {
    if (list.length < length + width) {
      const longer = new Uint32Array(2 * (length + width));
      longer.set(list);
      list = longer;
    }
    for (let cell = begin; cell < begin + row; cell++) {
      if (cells[cell] === cells[cell - row]) continue;
      // Written in any case and kept where it is one: a branch that no processor foresees takes longer.
      for (let at = step * cell; at < step * (cell + 1); at++) {
        list[length] = at;
        // The sign bit of 0 - value is 1 where a pixel is inside.
        length += ((0 - data[at]) ^ (0 - data[at - width])) >>> 31;
      }
    }
  }
  return { list, length };
}

/** Column-major positions at which a pixel differs from the one before it (outside, before the first), ascending. */
function changesOf(data: Uint8Array | Uint8ClampedArray, [height, width]: ImageSize): Uint32Array {
  // Rows are read in memory order and the changes put in order by column afterwards: walking down the columns of a
  // large row-major mask misses the cache at every pixel.
  const { list, length } = changesDown(data, width);
  // The pixel before the first of a column is the last of the column to its left.
  const last = (height - 1) * width;
  const changesAtTop = (x: number): boolean => (data[x] !== 0) !== (x > 0 && data[last + x - 1] !== 0);
  // Where each column's next change goes.
  const next = new Uint32Array(width + 1);
  for (let x = 0; x < width; x++) if (changesAtTop(x)) next[x + 1]++;
  // The list ascends, so that its rows are counted along instead of divided out.
  for (let index = 0, start = 0; index < length; index++) {
    while (list[index] >= start + width) start += width;
    next[list[index] - start + 1]++;
  }
  for (let x = 0; x < width; x++) next[x + 1] += next[x];
  const changes = new Uint32Array(next[width]);
  for (let x = 0; x < width; x++) if (changesAtTop(x)) changes[next[x]++] = x * height;
  for (let index = 0, start = 0, y = 0; index < length; index++) {
    while (list[index] >= start + width) {
      start += width;
      y++;
    }
    const x = list[index] - start;
    changes[next[x]++] = x * height + y;
  }
  return changes;
}

/**
 * Encodes a mask. Mirrors transformers' `_mask_to_rle`, for one mask.
 *
 * @param mask (H, W), bool or uint8, on the CPU.
 * @throws TypeError for another kind; RangeError for other dims or data of another length.
 */
export function mask_to_rle(mask: MaskLike): RLE {
  if (mask instanceof RLEMask) return mask.rle;
  const { data, size } = checkMask(mask, 'mask');
  const changes = changesOf(data, size);
  const counts = new Array<number>(changes.length + 1);
  let previous = 0;
  for (let index = 0; index < changes.length; index++) {
    counts[index] = changes[index] - previous;
    previous = changes[index];
  }
  counts[changes.length] = size[0] * size[1] - previous;
  return { size, counts };
}

/**
 * Decodes an encoding, compressed or not. Mirrors transformers' `_rle_to_mask`.
 *
 * @returns (H, W).
 * @throws TypeError for another kind; RangeError for counts that are negative or do not fill the size.
 */
export function rle_to_mask(rle: RLE | CocoRLE): Mask {
  const checked = checkRle(rle, 'rle');
  return { type: 'bool', data: decodeRle(checked), dims: checked.size };
}

function isEncoding(mask: MaskLike | RLE | CocoRLE): mask is RLE | CocoRLE {
  return isPlainObject(mask) && 'counts' in mask;
}

/** The encoding of a mask, without a copy where it holds one. */
export function rleOf(mask: MaskLike | RLE | CocoRLE, name: string): RleLike {
  if (mask instanceof RLEMask) return mask;
  if (isEncoding(mask)) return checkRle(mask, name);
  checkMask(mask, name);
  return mask_to_rle(mask);
}

/**
 * Pixels inside a mask (H, W) or an encoding.
 *
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
 */
export function mask_area(mask: MaskLike | RLE | CocoRLE): number {
  if (mask instanceof RLEMask) return mask.area;
  if (isEncoding(mask)) return areaOf(rleOf(mask, 'mask'));
  let area = 0;
  for (const value of checkMask(mask, 'mask').data) area += value === 0 ? 0 : 1;
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
  const rle = rleOf(mask, 'mask');
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
  const [first, second] = [rleOf(a, 'a'), rleOf(b, 'b')];
  checkSameSize(first, second, 'a', 'b');
  const others = [...insideRuns(second)];
  let intersection = 0;
  let next = 0;
  for (const [start, end] of insideRuns(first)) {
    while (next < others.length && others[next][1] <= start) next++;
    for (let index = next; index < others.length && others[index][0] < end; index++)
      intersection += Math.min(end, others[index][1]) - Math.max(start, others[index][0]);
  }
  const union = areaOf(first) + areaOf(second) - intersection;
  return union === 0 ? 0 : intersection / union;
}

function areaOf(rle: RleLike): number {
  if (rle instanceof RLEMask) return rle.area;
  let area = 0;
  for (const [start, end] of insideRuns(rle)) area += end - start;
  return area;
}

function checkSameSize(first: RleLike, second: RleLike, firstName: string, secondName: string): void {
  if (first.size[0] !== second.size[0] || first.size[1] !== second.size[1])
    throw wrongValue(
      `the size of ${firstName} (${first.size.join(' x ')})`,
      `the size of ${secondName}`,
      second.size,
    );
}

/**
 * The union of masks (H, W) or encodings of one size, or what they have in common. Mirrors pycocotools' `merge`.
 *
 * @param masks at least one.
 * @param options how they are merged.
 * @param options.intersect pixels inside all masks instead of any; default false.
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask; RangeError for no mask and for two sizes.
 */
export function mask_merge(
  masks: readonly (MaskLike | RLE | CocoRLE)[],
  options: { intersect?: boolean } = {},
): RLE {
  const { intersect = false } = checkOptions(options, ['intersect'], 'mask_merge');
  const wanted = checkBoolean(intersect, 'intersect') ? masks.length : 1;
  if (!Array.isArray(masks)) throw wrongType('a list of masks', 'masks', masks);
  if (masks.length === 0) throw wrongValue('at least one mask', 'masks', masks);
  const rles = masks.map((mask, index) => rleOf(mask as MaskLike, `masks[${index}]`));
  // At each place where some mask begins or ends, how many are inside from there on.
  const steps: [position: number, step: number][] = [];
  rles.forEach((one, index) => {
    checkSameSize(rles[0], one, 'masks[0]', `masks[${index}]`);
    for (const [start, end] of insideRuns(one)) steps.push([start, 1], [end, -1]);
  });
  steps.sort(([a], [b]) => a - b);
  const counts: number[] = [];
  let last = 0;
  let depth = 0;
  let isInside = false;
  for (let index = 0; index < steps.length;) {
    const [position] = steps[index];
    for (; index < steps.length && steps[index][0] === position; index++) depth += steps[index][1];
    if (depth >= wanted === isInside) continue;
    counts.push(position - last);
    last = position;
    isInside = !isInside;
  }
  const [height, width] = rles[0].size;
  // A mask that ends with the image has no run of pixels outside behind it.
  if (last < height * width || counts.length === 0) counts.push(height * width - last);
  return { size: [height, width], counts };
}
