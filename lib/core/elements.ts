/** Elements of tensors: from what callers pass to typed arrays, and back to numbers. */
import { types } from 'node:util';
import {
  bfloat16ToNumber,
  DTYPES,
  Float16ArrayConstructor,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from './dtype';
import type { DType, ElementOf, TensorData } from './dtype';
import { wrongType, wrongValue } from './errors';
import { isArrayOf } from './kinds';

/** What `new Tensor` takes as elements. */
export type TensorElements = TensorData | readonly number[] | readonly bigint[] | readonly boolean[];

type Element = number | bigint | boolean;

/**
 * Elements as the typed array of a dtype; a typed array that fits is returned itself.
 *
 * @throws TypeError for another kind, or a typed array whose memory is gone; RangeError for a number that the dtype does
 *   not have. Floating dtypes round, and beyond their largest number give an infinity, as torch does.
 */
export function toTypedArray(type: DType, data: TensorElements | undefined): TensorData {
  const Wanted = DTYPES[type].array;
  if (Array.isArray(data)) return convertList(type, Array.from(data as Iterable<unknown>));
  const rawBits = isArrayOf(data, Uint16Array) && type === 'float16';
  const clamped = isArrayOf(data, Uint8ClampedArray) && type === 'uint8';
  if (isArrayOf(data, Wanted) || rawBits || clamped) {
    checkAttached(data);
    // The addon reads 16-bit elements as bits, whatever kind of array holds them.
    const array =
      Float16ArrayConstructor && isArrayOf(data, Float16ArrayConstructor)
        ? new Uint16Array(data.buffer, data.byteOffset, data.length)
        : data;
    // Node-API cannot read shared memory.
    const own = types.isSharedArrayBuffer(array.buffer) ? array.slice() : array;
    if (type === 'bool') checkBits(own as Uint8Array);
    return own;
  }
  throw wrongType(`a ${Wanted.name} or an array of numbers (type ${type})`, 'data', data);
}

/** A typed array whose buffer was transferred or cut has the length 0, without a word. */
function checkAttached(data: TensorData): void {
  try {
    Uint8Array.prototype.at.call(data as Uint8Array, 0);
  } catch (cause) {
    throw new TypeError(
      'Expected data but received a typed array whose buffer was transferred or shortened.',
      {
        cause,
      },
    );
  }
}

/** libtorch's kernels rely on bools being 0 or 1. */
function checkBits(data: Uint8Array): void {
  const index = data.findIndex((value) => value > 1);
  if (index >= 0) throw wrongValue('0 or 1 (type bool)', `data[${index}]`, data[index]);
}

function convertList(type: DType, list: unknown[]): TensorData {
  list.forEach((item, index) => {
    if (typeof item !== 'number' && typeof item !== 'bigint' && typeof item !== 'boolean')
      throw wrongType('a number', `data[${index}]`, item);
  });
  const items = list as Element[];
  switch (type) {
    case 'int64':
      checkIntegers(type, items);
      return BigInt64Array.from(items, (item) => BigInt(item));
    case 'bool':
      items.forEach((item, index) => {
        if (![0, 1].includes(Number(item))) throw wrongValue('0 or 1 (type bool)', `data[${index}]`, item);
      });
      return Uint8Array.from(items, Number);
    case 'float16':
      return Uint16Array.from(items, (item) => numberToFloat16(Number(item)));
    case 'bfloat16':
      return Uint16Array.from(items, (item) => numberToBfloat16(Number(item)));
    default: {
      checkIntegers(type, items);
      const array = new DTYPES[type].array(
        new ArrayBuffer(items.length * DTYPES[type].bytes),
      ) as Float64Array;
      array.set(items.map(Number));
      return array;
    }
  }
}

/** Integer dtypes take integers of their range, which a typed array would wrap round without a word. */
function checkIntegers(type: DType, list: Element[]): void {
  const { kind, bytes } = DTYPES[type];
  if (kind !== 'integer') return;
  const span = 2 ** (8 * bytes);
  const min = type === 'uint8' ? 0 : -span / 2;
  // Comparing a bigint with a number is exact.
  const fits = (item: Element): boolean =>
    typeof item === 'boolean' ||
    ((typeof item === 'bigint' || Number.isInteger(item)) && item >= min && item < min + span);
  const index = list.findIndex((item) => !fits(item));
  if (index >= 0)
    throw wrongValue(
      `an integer from ${BigInt(min)} to ${BigInt(min + span) - 1n} (type ${type})`,
      `data[${index}]`,
      list[index],
    );
}

/** Reads one element of a typed array as a number, a bigint (int64) or a boolean (bool). */
export function elementReader<T extends DType>(type: T, data: TensorData): (index: number) => ElementOf<T> {
  const reader = (): ((index: number) => Element) => {
    if (type === 'bool') return (index) => data[index] !== 0;
    if (type === 'bfloat16') return (index) => bfloat16ToNumber(data[index] as number);
    if (type === 'float16' && isArrayOf(data, Uint16Array)) return (index) => float16ToNumber(data[index]);
    return (index) => data[index];
  };
  return reader() as (index: number) => ElementOf<T>;
}

/** An element as JSON can hold it: integers that a number rounds, and what is not finite, as strings. */
export function toJsonElement(element: Element): number | boolean | string {
  if (typeof element === 'boolean') return element;
  const number = Number(element);
  return typeof element === 'bigint'
    ? Number.isSafeInteger(number)
      ? number
      : String(element)
    : Number.isFinite(number)
      ? number
      : String(number);
}
