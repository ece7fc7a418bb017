/**
 * Run-length encodings in COCO's conventions, as transformers has them: runs go down the columns (Fortran order) and
 * begin with a run of pixels outside.
 */
import { wrongType, wrongValue } from '../core/errors';
import { type CocoRLE, type Mask, type RLE } from './types';
import type { ImageSize } from '../core/types';
import { checkPixels, checkSize } from '../core/device';
import { isPlainObject } from '../core/options';
import { acceptCopies, isArrayOf } from '../core/kinds';
import { guardMethods } from '../core/receivers';

/** An RLE, or one whose counts are a typed array. */
export interface RleLike {
  readonly size: ImageSize;
  readonly counts: ArrayLike<number>;
}

/**
 * An encoding with its counts as numbers, compressed before or not.
 *
 * @throws TypeError for another kind; RangeError for counts that are negative or do not fill the size.
 */
export function checkRle(rle: RLE | CocoRLE, name: string): RLE {
  if (!isPlainObject(rle) || !('size' in rle) || !('counts' in rle))
    throw wrongType('a run-length encoding { size, counts }', name, rle);
  const size = checkSize(rle.size, `${name}.size`);
  checkPixels(size, name);
  const given = rle.counts;
  const counts = typeof given === 'string' ? decodeCounts(given, `${name}.counts`) : given;
  if (!Array.isArray(counts)) throw wrongType('a list of numbers or a string', `${name}.counts`, counts);
  checkCounts({ size, counts }, name);
  return { size, counts };
}

/** Refuses counts that do not fill the size; gives the pixels inside. */
function checkCounts({ size, counts }: RleLike, name?: string): number {
  const where = name === undefined ? 'counts' : `${name}.counts`;
  checkPixels(size, name === undefined ? 'size' : `${name}.size`);
  let total = 0;
  let inside = 0;
  for (let index = 0; index < counts.length; index++) {
    const count = counts[index];
    if (!Number.isSafeInteger(count) || count < 0) throw wrongValue('integers of at least 0', where, count);
    total += count;
    if (index % 2 === 1) inside += count;
  }
  if (total !== size[0] * size[1])
    throw wrongValue(`runs of ${size[0] * size[1]} pixels (${size[0]} x ${size[1]})`, where, total);
  return inside;
}

/** Groups of 5 bits that any difference of two counts fits in, its sign included. */
const MOST_GROUPS = 7;

/** COCO's text form: each count, from the fourth on as its difference from the last but one, in groups of 5 bits. */
function encodeCounts(counts: ArrayLike<number>): string {
  let letters = Buffer.allocUnsafe(counts.length + 64);
  let length = 0;
  for (let index = 0; index < counts.length; index++) {
    if (length + MOST_GROUPS > letters.length) {
      const longer = Buffer.allocUnsafe(2 * letters.length);
      letters.copy(longer, 0, 0, length);
      letters = longer;
    }
    let rest = index > 2 ? counts[index] - counts[index - 2] : counts[index];
    for (let more = true; more;) {
      const bits = rest & 0x1f;
      rest >>= 5;
      // Done when what is left is only the sign that the group's top bit already shows.
      more = bits & 0x10 ? rest !== -1 : rest !== 0;
      letters[length++] = (more ? bits | 0x20 : bits) + 48;
    }
  }
  return letters.toString('latin1', 0, length);
}

function decodeCounts(text: string, name: string): number[] {
  const counts: number[] = [];
  let position = 0;
  // Kept outside the list, so that what was just written need not be read back.
  let [last, lastButOne] = [0, 0];
  while (position < text.length) {
    let group = text.charCodeAt(position++) - 48;
    let value = 0;
    if (group >= 0 && group < 32) {
      // Most counts are one group, with its sign.
      value = group < 16 ? group : group - 32;
    } else {
      for (let shift = 0, more = true; more; shift += 5) {
        if (shift > 0) group = text.charCodeAt(position++) - 48;
        if (!(group >= 0 && group < 64) || shift >= 5 * MOST_GROUPS)
          throw wrongValue("a complete string in COCO's text form", name, text);
        const bits = group & 0x1f;
        // The last of as many groups as there may be goes beyond 32 bits.
        if (shift < 30) value |= bits << shift;
        else value += bits * 2 ** shift;
        more = (group & 0x20) !== 0;
        if (!more && group & 0x10) value -= 32 * 2 ** shift;
      }
    }
    if (counts.length > 2) value += lastButOne;
    counts.push(value);
    lastButOne = last;
    last = value;
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

/** [start, end) of each run inside, in column-major positions. */
export function* insideRuns({ counts }: RleLike): Generator<[start: number, end: number]> {
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    const end = position + counts[index];
    if (index % 2 === 1 && end > position) yield [position, end];
    position = end;
  }
}

/**
 * The pixels of an encoding, row-major: 1 inside, 0 outside.
 *
 * @param rle whose counts fill its size.
 */
export function decodeRle(rle: RleLike): Uint8Array {
  const { counts } = rle;
  const [height, width] = rle.size;
  const data = new Uint8Array(height * width);
  // First only where columns change, then each row from the one above: walking down columns of a large row-major mask
  // misses the cache at every pixel.
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    const start = position;
    position += counts[index];
    if (index % 2 === 0) continue;
    let top = start % height;
    for (let x = (start - top) / height, left = position - start; left > 0; x++, top = 0) {
      const bottom = Math.min(top + left, height);
      data[top * width + x] ^= 1;
      if (bottom < height) data[bottom * width + x] ^= 1;
      left -= bottom - top;
    }
  }
  // Four pixels at once where rows begin at such bounds.
  const cells = width % 4 === 0 ? new Uint32Array(data.buffer) : data;
  const row = width % 4 === 0 ? width / 4 : width;
  for (let index = row; index < cells.length; index++) cells[index] ^= cells[index - row];
  return data;
}

/** Bytes that a count takes when packed: 7 bits in each, the last of them below 128. */
function packedLength(count: number): number {
  if (count < 2 ** 7) return 1;
  if (count < 2 ** 14) return 2;
  if (count < 2 ** 21) return 3;
  return count < 2 ** 28 ? 4 : 5;
}

function packCounts(counts: Uint32Array): Uint8Array {
  let length = 0;
  for (let index = 0; index < counts.length; index++) length += packedLength(counts[index]);
  const packed = new Uint8Array(length);
  let position = 0;
  for (let index = 0; index < counts.length; index++) {
    let rest = counts[index];
    for (; rest >= 128; rest >>>= 7) packed[position++] = (rest & 127) | 128;
    packed[position++] = rest;
  }
  return packed;
}

function unpackCounts(packed: Uint8Array, length: number): Uint32Array {
  const counts = new Uint32Array(length);
  let position = 0;
  for (let index = 0; index < length; index++) {
    let count = 0;
    for (let shift = 0, more = true; more; shift += 7) {
      const byte = packed[position++];
      count |= (byte & 127) << shift;
      more = byte >= 128;
    }
    counts[index] = count;
  }
  return counts;
}

/** structuredClone and postMessage name it in their error. */
const NOT_CLONED = Symbol('an RLEMask: send its rle or coco_rle');

/**
 * A binary mask that is held run-length encoded and unpacked when `data` is read: a photo's masks take kilobytes instead of
 * megabytes each. Every function of this package that takes a mask takes it.
 */
export class RLEMask implements Mask {
  /** Bool, as a Tensor's. */
  readonly type = 'bool';
  /** [height, width] in pixels. */
  readonly dims: ImageSize;
  /** Pixels inside. */
  readonly area: number;
  /** Makes structuredClone and postMessage refuse, instead of leaving the counts out. @internal */
  readonly clonable = NOT_CLONED;
  // Most runs are short: a byte each is a fourth of what the numbers take.
  readonly #packed: Uint8Array;
  readonly #length: number;
  #counts: WeakRef<Uint32Array> | null = null;
  #data: WeakRef<Uint8Array> | null = null;

  /**
   * A mask over counts, which are copied.
   *
   * @param size [height, width] in pixels.
   * @param counts as in RLE.
   * @throws TypeError for another kind; RangeError for counts that do not fill the size.
   */
  constructor(size: ImageSize, counts: Uint32Array) {
    if (!isArrayOf(counts, Uint32Array)) throw wrongType('a Uint32Array', 'counts', counts);
    this.area = checkCounts({ size: checkSize(size, 'size'), counts });
    // A mask whose crop reaches the last pixel may end in an empty run, which neither transformers nor COCO writes.
    if (counts.length > 1 && counts[counts.length - 1] === 0) counts = counts.subarray(0, -1);
    this.dims = size;
    this.#packed = packCounts(counts);
    this.#length = counts.length;
  }

  /** [height, width] in pixels: `dims` under the encoding's name. */
  get size(): ImageSize {
    return this.dims;
  }

  /**
   * Lengths of runs in column-major order, alternating outside and inside; the first may be 0. Unpacked when it is read,
   * and kept for as long as somebody refers to it.
   */
  get counts(): Uint32Array {
    const held = this.#counts?.deref();
    if (held) return held;
    const counts = unpackCounts(this.#packed, this.#length);
    this.#counts = new WeakRef(counts);
    return counts;
  }

  /** (H, W), row-major: 1 inside, 0 outside. Unpacked when it is read, and kept for as long as somebody refers to it. */
  get data(): Uint8Array {
    const held = this.#data?.deref();
    if (held) return held;
    const data = decodeRle({ size: this.dims, counts: this.counts });
    this.#data = new WeakRef(data);
    return data;
  }

  /** The uncompressed encoding, as transformers gives it. */
  get rle(): RLE {
    return { size: [...this.dims], counts: Array.from(this.counts) };
  }

  /** COCO's compressed encoding. */
  get coco_rle(): CocoRLE {
    return { size: [...this.dims], counts: encodeCounts(this.counts) };
  }

  /** Plain values for `JSON.stringify`: the uncompressed encoding. */
  toJSON(): RLE {
    return this.rle;
  }
}

acceptCopies(RLEMask, 'RLEMask');
guardMethods(RLEMask);
