/** Tensors: handles to libtorch tensors on the CPU or on a CUDA device, with the calls of transformers.js and torch. */
import { types } from 'node:util';
import {
  bfloat16ToNumber,
  DTYPES,
  Float16ArrayConstructor,
  float16ToNumber,
  isDType,
  numberToBfloat16,
  numberToFloat16,
} from './core/dtype';
import type { DType, TensorData } from './core/dtype';
import { Sam3TrackerError, describe, wrongType, wrongValue } from './core/errors';
import { callNative, callNativeSync, isNativeTensor, makeNativeTensor } from './native/binding';
import type { NativeTensor } from './native/binding';
import type { Device, DeviceOption } from './core/types';
import { checkDevice, readTarget } from './core/device';
import { checkBoolean, checkDims, checkInteger } from './core/options';
import { acceptCopies, isArrayOf } from './core/kinds';

/** Elements as nested arrays, outermost axis first; int64 as bigint, bool as boolean. A scalar is no array. */
export type NestedList = number | bigint | boolean | NestedList[];

/** What one axis of `slice` takes: an index (drops the axis), a range (end excluded), or null for all. */
export type SliceRange = number | [start: number | null, end: number | null] | null;

/** What `new Tensor` takes as elements. */
export type TensorElements = TensorData | readonly number[] | readonly bigint[] | readonly boolean[];

/** Most lists that an axis of 0 hides: a tensor without elements may have any other axes. */
export const MOST_EMPTY_LISTS = 2 ** 16;

/** An n-dimensional array of one element type. Axis order is that of torch: outermost first, row-major. */
export class Tensor {
  /** The native handle, for this package's own calls. @internal */
  readonly handle: NativeTensor;
  /** Length of each axis, outermost first. */
  readonly dims: readonly number[];
  /** Element type under torch's name, as transformers.js calls it. */
  readonly type: DType;
  /** Where the elements lie: 'cpu' or 'cuda:N'. */
  readonly device: Device;
  #data: TensorData | null = null;

  /**
   * A tensor on the CPU with a copy of the given elements.
   *
   * @param type element type. float16 takes raw bits in a Uint16Array (a Float16Array where there is one), bfloat16
   *   raw bits in a Uint16Array, bool zeros and ones in a Uint8Array; plain arrays of numbers are converted.
   * @param data elements in row-major order.
   * @param dims length of each axis, outermost first; as many elements as their product.
   * @throws TypeError for an unknown type, or data of another kind than the type's; RangeError for another count.
   */
  constructor(type: DType, data: TensorElements, dims: readonly number[]);
  /** A tensor over a native handle. @internal */
  constructor(handle: NativeTensor);
  constructor(type: DType | NativeTensor, data?: TensorElements, dims?: readonly number[]) {
    this.handle = isNativeTensor(type) ? type : makeHandle(type, data, dims);
    this.dims = this.handle.dims;
    this.type = this.handle.dtype;
    this.device = this.handle.device as Device;
  }

  /** Whether a value is a Tensor of this package. */
  static isTensor(value: unknown): value is Tensor {
    return value instanceof Tensor;
  }

  /** The same as `dims`, under torch's name. */
  get shape(): readonly number[] {
    return this.dims;
  }

  /** The same as `type`, under torch's name. */
  get dtype(): DType {
    return this.type;
  }

  /** Number of elements. */
  get size(): number {
    return this.dims.reduce((product, dim) => product * dim, 1);
  }

  /** Whether `dispose` has been called. */
  get disposed(): boolean {
    return this.handle.disposed;
  }

  /**
   * The elements in row-major order, without a copy where they already lie so: float16 a Float16Array where the
   * runtime has one, else raw bits in a Uint16Array; bfloat16 raw bits in a Uint16Array; int64 a BigInt64Array; bool
   * zeros and ones in a Uint8Array.
   *
   * @throws RangeError for a tensor that is not on the CPU: `await tensor.cpu()` first. Sam3TrackerError DISPOSED.
   */
  get data(): TensorData {
    this.#checkUsable();
    if (!this.#data) {
      const buffer = callNativeSync(() => this.handle.bytes());
      this.#data = new DTYPES[this.type].array(buffer);
    }
    return this.#data;
  }

  /**
   * The elements as nested arrays of numbers (int64: bigint, bool: boolean); a scalar as itself. As torch's `tolist`.
   *
   * @throws as `data`; RangeError for more than 65,536 lists of nothing.
   */
  tolist(): NestedList {
    const { data } = this;
    const lists = this.dims.slice(0, this.dims.indexOf(0)).reduce((product, dim) => product * dim, 1);
    if (this.size === 0 && lists > MOST_EMPTY_LISTS)
      throw wrongValue(`dims of at most ${MOST_EMPTY_LISTS} empty lists`, 'tolist()', this.dims);
    const read = elementReader(this.type, data);
    let next = 0;
    const build = (axis: number): NestedList => {
      if (axis === this.dims.length) return read(next++);
      return Array.from({ length: this.dims[axis] }, () => build(axis + 1));
    };
    return build(0);
  }

  /**
   * The one element of a tensor that has one. As torch's `item`.
   *
   * @throws RangeError for a tensor of another size; else as `data`.
   */
  item(): number | bigint | boolean {
    if (this.size !== 1) throw wrongValue('a tensor with one element', 'item()', this);
    return elementReader(this.type, this.data)(0);
  }

  /**
   * A view of a part of this tensor: one argument an axis, outermost first; axes left out are taken whole. A number
   * takes one index and drops the axis, [start, end] a range without its end (null: from the start, to the end), null
   * the whole axis. Negative numbers count from the end. `masks.slice(null, null, 2)` is torch's `masks[:, :, 2]`.
   *
   * @throws RangeError for an index outside its axis, or too many axes; TypeError for another kind of range.
   */
  slice(...ranges: SliceRange[]): Tensor {
    this.#checkUsable();
    if (ranges.length > this.dims.length)
      throw wrongValue(
        `at most ${this.dims.length} ranges for dims [${this.dims.join(', ')}]`,
        'slice',
        ranges,
      );
    let view = this.handle;
    let axis = 0;
    ranges.forEach((range, position) => {
      const length = this.dims[position];
      if (typeof range === 'number') {
        const index = checkInteger(range, `slice range ${position}`, { min: -length, max: length - 1 });
        view = view.select(axis, index < 0 ? index + length : index);
        return;
      }
      const [start, end] = resolveRange(range, length, position);
      if (start !== 0 || end !== length) view = view.narrow(axis, start, Math.max(0, end - start), 1);
      axis += 1;
    });
    // A handle of its own in any case: disposing a view must leave its source alone.
    return new Tensor(view === this.handle ? callNativeSync(() => view.reshape([...this.dims])) : view);
  }

  /**
   * The same elements under other dims, one of which may be -1; without a copy where strides allow. As torch's
   * `reshape`.
   *
   * @throws RangeError where the number of elements differs.
   */
  reshape(...dims: number[]): Tensor {
    this.#checkUsable();
    const unknown = dims.filter((dim) => dim === -1).length;
    dims.forEach((dim, axis) => checkInteger(dim, `dims[${axis}]`, { min: -1 }));
    const known = dims.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
    if (unknown > 1 || (unknown ? known === 0 || this.size % known !== 0 : known !== this.size))
      throw wrongValue(`dims of ${this.size} elements`, 'reshape', dims);
    return new Tensor(callNativeSync(() => this.handle.reshape(dims)));
  }

  /** This tensor without an axis of length 1, or without all of them. As torch's `squeeze`. */
  squeeze(dim?: number): Tensor {
    if (dim === undefined) return this.reshape(...this.dims.filter((length) => length !== 1));
    const axis = this.#axis(dim, this.dims.length);
    return this.reshape(...this.dims.filter((length, index) => index !== axis || length !== 1));
  }

  /** This tensor with an axis of length 1 put in at `dim`. As torch's `unsqueeze`. */
  unsqueeze(dim: number): Tensor {
    const axis = this.#axis(dim, this.dims.length + 1);
    return this.reshape(...this.dims.slice(0, axis), 1, ...this.dims.slice(axis));
  }

  /**
   * Index of the largest element: over all elements in row-major order, or along one axis; int64. As torch's `argmax`.
   *
   * @param dim axis to search along, negative from the end; null (default) searches all elements.
   * @param keepdim keeps the searched axis with length 1 (default false).
   * @throws RangeError for an axis that is not there, or an empty tensor.
   */
  async argmax(dim: number | null = null, keepdim = false): Promise<Tensor> {
    this.#checkUsable();
    if (this.size === 0) throw wrongValue('a tensor with elements', 'argmax', this.dims);
    checkBoolean(keepdim, 'keepdim');
    const axis = dim === null ? null : this.#axis(dim, this.dims.length);
    return new Tensor(await callNative(() => this.handle.argmax({ dim: axis, keepdim })));
  }

  /**
   * This tensor on another device, or in another element type, or both. As torch's `to`; the source stays as it is.
   *
   * @param target a device ('cpu', 'cuda', 'cuda:N', N), a dtype, or both in an object.
   * @param dtype the dtype, after a device.
   * @throws TypeError and RangeError for another target; Sam3TrackerError DEVICE_UNAVAILABLE.
   */
  async to(
    target: Exclude<DeviceOption, 'auto'> | DType | { device?: DeviceOption; dtype?: DType },
    dtype?: DType,
  ): Promise<Tensor> {
    this.#checkUsable();
    const wanted = readTarget(target, dtype, 'Tensor.to');
    const type = wanted.dtype ?? this.type;
    if (!isDType(type)) throw wrongValue(`one of ${Object.keys(DTYPES).join(', ')}`, 'dtype', type);
    const device = checkDevice(wanted.device ?? this.device, 'device');
    if (device === 'auto')
      throw wrongValue('a device', 'device', device, 'A tensor is moved to a named device.');
    return new Tensor(await callNative(() => this.handle.to({ device, dtype: type })));
  }

  /** This tensor on the CPU. As torch's `cpu`. */
  cpu(): Promise<Tensor> {
    return this.to('cpu');
  }

  /** What `String(tensor)` gives: type, dims and device, no elements. */
  toString(): string {
    return `Tensor(${this.type}, [${this.dims.join(', ')}], ${this.device})`;
  }

  /** Lets go of the elements at once instead of at garbage collection; `data` handed out before stays. Safe twice. */
  dispose(): void {
    this.#data = null;
    this.handle.dispose();
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #axis(dim: number, length: number): number {
    const axis = checkInteger(dim, 'dim', { min: -length, max: length - 1 });
    return axis < 0 ? axis + length : axis;
  }

  #checkUsable(): void {
    if (this.disposed) throw new Sam3TrackerError('DISPOSED', 'This tensor has been disposed.');
  }
}

acceptCopies(Tensor, 'Tensor');

function resolveRange(
  range: [number | null, number | null] | null,
  length: number,
  position: number,
): [number, number] {
  if (range === null || range === undefined) return [0, length];
  if (!Array.isArray(range) || range.length !== 2)
    throw wrongType('an index, [start, end] or null', `slice range ${position}`, range);
  const [start, end] = range.map((bound, index) => {
    if (bound === null || bound === undefined) return index === 0 ? 0 : length;
    const at = checkInteger(bound, `slice range ${position}`);
    return Math.min(length, Math.max(0, at < 0 ? at + length : at));
  });
  return [start, end];
}

function makeHandle(
  type: unknown,
  data: TensorElements | undefined,
  dims: readonly number[] | undefined,
): NativeTensor {
  if (!isDType(type)) throw wrongType(`a dtype (${Object.keys(DTYPES).join(', ')})`, 'type', type);
  const elements = toTypedArray(type, data);
  const lengths = checkDims(dims, elements.length, '');
  return makeNativeTensor(type, lengths, elements);
}

function toTypedArray(type: DType, data: TensorElements | undefined): TensorData {
  const Wanted = DTYPES[type].array;
  if (Array.isArray(data)) return convertList(type, data as (number | bigint | boolean)[]);
  const rawBits = isArrayOf(data, Uint16Array) && type === 'float16';
  const clamped = isArrayOf(data, Uint8ClampedArray) && type === 'uint8';
  if (isArrayOf(data, Wanted) || rawBits || clamped) {
    // The addon reads 16-bit elements as bits, whatever kind of array holds them.
    const array =
      Float16ArrayConstructor && isArrayOf(data, Float16ArrayConstructor)
        ? new Uint16Array(data.buffer, data.byteOffset, data.length)
        : data;
    // Node-API cannot read shared memory.
    return types.isSharedArrayBuffer(array.buffer) ? array.slice() : array;
  }
  throw wrongType(`a ${Wanted.name} or an array of numbers (type ${type})`, 'data', data);
}

function convertList(type: DType, list: (number | bigint | boolean)[]): TensorData {
  list.forEach((item, index) => {
    if (typeof item !== 'number' && typeof item !== 'bigint' && typeof item !== 'boolean')
      throw new TypeError(`Expected a number for data[${index}] but received ${describe(item)}.`);
  });
  switch (type) {
    case 'int64':
      return BigInt64Array.from(list.map((item) => BigInt(item)));
    case 'bool':
      return Uint8Array.from(list.map((item) => (item ? 1 : 0)));
    case 'float16':
      return Uint16Array.from(list.map((item) => numberToFloat16(Number(item))));
    case 'bfloat16':
      return Uint16Array.from(list.map((item) => numberToBfloat16(Number(item))));
    default: {
      checkIntegers(type, list);
      const array = new DTYPES[type].array(new ArrayBuffer(list.length * DTYPES[type].bytes)) as Float64Array;
      array.set(list.map(Number));
      return array;
    }
  }
}

/** Integer dtypes take integers of their range, which a typed array would wrap round without a word. */
function checkIntegers(type: DType, list: (number | bigint | boolean)[]): void {
  const { kind, bytes } = DTYPES[type];
  if (kind !== 'integer') return;
  const span = 2 ** (8 * bytes);
  const min = type === 'uint8' ? 0 : -span / 2;
  list.forEach((item, index) => checkInteger(Number(item), `data[${index}]`, { min, max: min + span - 1 }));
}

function elementReader(type: DType, data: TensorData): (index: number) => number | bigint | boolean {
  if (type === 'bool') return (index) => data[index] !== 0;
  if (type === 'bfloat16') return (index) => bfloat16ToNumber(data[index] as number);
  if (type === 'float16' && isArrayOf(data, Uint16Array)) return (index) => float16ToNumber(data[index]);
  return (index) => data[index];
}

/** The elements of a tensor on the CPU as numbers, in row-major order; int64 rounded to float64. @throws as `data`. */
export function numbersOf(tensor: Tensor): Float64Array {
  const { data } = tensor;
  const read = elementReader(tensor.type, data);
  return Float64Array.from(data as ArrayLike<unknown>, (_, index) => Number(read(index)));
}
