/** Tensors: handles to libtorch tensors on the CPU or on a CUDA device, with the calls of transformers.js and torch. */
import { canonicalDType, DTYPES, isDType } from './core/dtype';
import type { DataTypes, DType, DTypeAlias, DTypeOf, ElementOf, FloatingDType } from './core/dtype';
import { elementReader, toJsonElement, toTypedArray, type TensorElements } from './core/elements';
import { Sam3TrackerError, wrongType, wrongValue } from './core/errors';
import { addon, callNative, callNativeSync, isNativeTensor, makeNativeTensor } from './native/binding';
import type { NativeTensor, OperatorArgument, OperatorArguments, ViewStep } from './native/binding';
import type { Device, DeviceOption } from './core/types';
import { checkDevice, readTarget } from './core/device';
import {
  checkBoolean,
  checkDims,
  checkInteger,
  checkNumber,
  isPlainObject,
  type Bounds,
} from './core/options';
import { acceptCopies } from './core/kinds';
import { guardMethods } from './core/receivers';

/** Elements as nested arrays, outermost axis first; int64 as bigint, bool as boolean. A scalar is no array. */
export type NestedList<E = number | bigint | boolean> = E | NestedList<E>[];

/** An integer where an index, an axis or a length is taken: a whole number, or a tensor of one, as `argmax` gives. */
export type Index = number | bigint | Tensor;

/** What one axis of `slice` takes: an index (drops the axis), a range (end excluded), or null for all. */
export type SliceRange = Index | [start: Index | null, end: Index | null] | null;

/** The other side of an operation element by element: a tensor that broadcasts, or a number. */
export type Operand = Tensor | number | bigint | boolean;

/** The dtype of `self` combined with an operand, where the types alone say it: torch's type promotion. */
export type Promoted<T extends DType, O> =
  O extends Tensor<infer U> ? (T | U extends T & U ? T : DType) : T extends FloatingDType ? T : DType;

/** The dtype of a sum: integers and bools add up in int64. */
export type SumOf<T extends DType> = T extends FloatingDType ? T : 'int64';

/** What `JSON.stringify` writes of a tensor; `Tensor.fromJSON` reads it. */
export interface TensorJSON {
  /** Element type under torch's name. */
  dtype: DType;
  /** Length of each axis, outermost first. */
  dims: readonly number[];
  /** Row-major; integers beyond 2^53 and numbers that are not finite are strings. */
  data: (number | boolean | string)[];
}

/** structuredClone and postMessage name it in their error, instead of making an object without elements. */
const NOT_CLONED = Symbol('a Tensor: send { type, data, dims } and make a new Tensor of them');

/** Elements that `console.log` shows. */
const SHOWN = 8;

/** Most lists that an axis of 0 hides: a tensor without elements may have any other axes. */
export const MOST_EMPTY_LISTS = 2 ** 16;

/** An n-dimensional array of one element type. Axis order is that of torch: outermost first, row-major. */
export class Tensor<T extends DType = DType> {
  /** `tensor[i]` is `tensor.select(0, i)`. */
  readonly [index: number]: Tensor<T>;
  /** The native handle, for this package's own calls. @internal */
  readonly handle: NativeTensor;
  /** Length of each axis, outermost first. */
  readonly dims: readonly number[];
  /** Element type under torch's name, as transformers.js calls it. */
  readonly type: T;
  /** Where the elements lie: 'cpu' or 'cuda:N'. */
  readonly device: Device;
  /** Makes structuredClone and postMessage refuse. @internal */
  readonly clonable: symbol;
  #data: DataTypes[T] | null = null;

  /**
   * A tensor on the CPU with a copy of the given elements.
   *
   * @param type element type, also as transformers.js' 'fp32', 'fp16' or 'bf16'. float16 takes raw bits in a Uint16Array
   *   (a Float16Array where there is one), bfloat16 raw bits in a Uint16Array, bool zeros and ones in a Uint8Array;
   *   plain arrays of numbers are converted.
   * @param data elements in row-major order.
   * @param dims length of each axis, outermost first; as many elements as their product.
   * @throws TypeError for an unknown type, or data of another kind than the type's; RangeError for another count, and for
   *   numbers that the type does not have.
   */
  constructor(type: T, data: TensorElements, dims: readonly number[]);
  /** The same under transformers.js' names: 'fp32', 'fp16' or 'bf16'. */
  constructor(type: AliasOf<T>, data: TensorElements, dims: readonly number[]);
  /** A tensor over a native handle. @internal */
  constructor(handle: NativeTensor);
  constructor(type: DType | DTypeAlias | NativeTensor, data?: TensorElements, dims?: readonly number[]) {
    this.handle = isNativeTensor(type) ? type : makeHandle(type, data, dims);
    this.dims = this.handle.dims;
    this.type = this.handle.dtype as T;
    this.device = this.handle.device as Device;
    this.clonable = NOT_CLONED;
  }

  /** Whether a value is a Tensor of this package. */
  static isTensor(this: void, value: unknown): value is Tensor {
    return value instanceof Tensor;
  }

  /**
   * The tensor that `JSON.parse(JSON.stringify(tensor))` stands for.
   *
   * @throws TypeError and RangeError as the constructor.
   */
  static fromJSON(json: unknown): Tensor {
    if (!isPlainObject(json)) throw wrongType('{ dtype, dims, data }', 'json', json);
    const { data, dims } = json;
    const dtype = canonicalDType(json.dtype ?? json.type) as DType;
    const read = (item: unknown): unknown => {
      if (typeof item !== 'string') return item;
      if (dtype === 'int64' && /^-?\d{1,19}$/.test(item)) return BigInt(item);
      return ['NaN', 'Infinity', '-Infinity'].includes(item) ? Number(item) : item;
    };
    return new Tensor(dtype, (Array.isArray(data) ? data.map(read) : data) as number[], dims as number[]);
  }

  /** The same as `dims`, under torch's name. */
  get shape(): readonly number[] {
    return this.dims;
  }

  /** The same as `type`, under torch's name. */
  get dtype(): T {
    return this.type;
  }

  /** The same as `device`, under transformers.js' name. */
  get location(): Device {
    return this.device;
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
  get data(): DataTypes[T] {
    checkUsable(this);
    // An array whose buffer was transferred is empty; the elements are still the tensor's.
    if (this.#data?.length !== this.size) {
      const buffer = callNativeSync(() => this.handle.bytes());
      this.#data = new DTYPES[this.type].array(buffer) as DataTypes[T];
    }
    return this.#data;
  }

  /** Elements from one index of each axis to the next; a view's are its source's. As torch's `stride`. */
  stride(): number[] {
    checkUsable(this);
    return this.handle.strides;
  }

  /**
   * The elements as nested arrays of numbers (int64: bigint, bool: boolean); a scalar as itself. As torch's `tolist`.
   * `tolist<number[][]>()` names the nesting, which the types do not know.
   *
   * @throws as `data`; RangeError for more than 65,536 lists of nothing.
   */
  tolist<R extends NestedList<ElementOf<T>> = NestedList<ElementOf<T>>>(): R {
    const { data, dims } = this;
    const lists = dims.slice(0, Math.max(0, dims.indexOf(0))).reduce((product, dim) => product * dim, 1);
    if (lists > MOST_EMPTY_LISTS)
      throw wrongValue(`dims of at most ${MOST_EMPTY_LISTS} empty lists`, 'tolist', this);
    const read = elementReader(this.type, data);
    let next = 0;
    const build = (axis: number): NestedList<ElementOf<T>> => {
      if (axis === dims.length) return read(next++);
      return Array.from({ length: dims[axis] }, () => build(axis + 1));
    };
    return build(0) as R;
  }

  /**
   * The one element of a tensor that has one. As torch's `item`.
   *
   * @throws RangeError for a tensor of another size; else as `data`.
   */
  item(): ElementOf<T> {
    if (this.size !== 1) throw wrongValue('a tensor with one element', 'item()', this);
    return elementReader(this.type, this.data)(0);
  }

  /**
   * What is along the first axis: views, or the elements of a tensor of one axis, as transformers.js has it.
   *
   * @throws TypeError for a scalar; RangeError for more than 65,536 views of nothing; else as `data`.
   */
  *[Symbol.iterator](): Generator<Tensor<T> | ElementOf<T>, void, undefined> {
    if (this.dims.length === 0) throw new TypeError('iteration over a 0-d tensor');
    if (this.dims.length === 1) {
      const read = elementReader(this.type, this.data);
      for (let index = 0; index < this.size; index++) yield read(index);
    } else {
      if (this.size === 0 && this.dims[0] > MOST_EMPTY_LISTS)
        throw wrongValue(`at most ${MOST_EMPTY_LISTS} views of nothing`, 'iteration', this);
      for (let index = 0; index < this.dims[0]; index++) yield this.select(0, index);
    }
  }

  /**
   * A view of one index of an axis, which is dropped. As torch's `select`.
   *
   * @param dim the axis, negative from the end.
   * @param index the index, negative from the end; `await scores.argmax()` as it is, too.
   * @throws RangeError for an axis or an index that is not there.
   */
  select(dim: Index, index: Index): Tensor<T> {
    const axis = checkAxis(dim, this.dims.length);
    return view(this, [['select.int', { dim: axis, index: checkAxis(index, this.dims[axis], 'index') }]]);
  }

  /**
   * A view of a part of this tensor: one argument an axis, outermost first; axes left out are taken whole. A number
   * takes one index and drops the axis, [start, end] a range without its end (null: from the start, to the end), null
   * the whole axis. Negative numbers count from the end. `masks.slice(null, null, 2)` is torch's `masks[:, :, 2]`.
   * Bigints and tensors of one integer are numbers here.
   *
   * @throws RangeError for an index outside its axis, or too many axes; TypeError for another kind of range.
   */
  slice(...ranges: SliceRange[]): Tensor<T> {
    const { dims } = this;
    if (ranges.length > dims.length)
      throw wrongValue(`at most ${dims.length} ranges for dims [${dims.join(', ')}]`, 'slice', ranges);
    const steps: ViewStep[] = [];
    let axis = 0;
    ranges.forEach((range, position) => {
      const name = `slice range ${position}`;
      if (range === null || range === undefined) axis += 1;
      else if (Array.isArray(range)) {
        const [start, end] = resolveRange(range, dims[position], name);
        steps.push(['slice.Tensor', { dim: axis, start, end: Math.max(start, end) }]);
        axis += 1;
      } else steps.push(['select.int', { dim: axis, index: checkAxis(range, dims[position], name) }]);
    });
    return view(this, steps);
  }

  /**
   * The same elements under other dims, one of which may be -1; without a copy where strides allow. As torch's
   * `reshape`.
   *
   * @param dims one number an axis, or one list of them.
   * @throws RangeError where the number of elements differs.
   */
  reshape(...dims: Index[] | [dims: readonly Index[]]): Tensor<T> {
    return view(this, [['reshape', { shape: checkShape(this, dims, 'reshape') }]]);
  }

  /** As `reshape`, but never a copy: RangeError where strides do not allow it. As torch's `view`. */
  view(...dims: Index[] | [dims: readonly Index[]]): Tensor<T> {
    return view(this, [['view', { size: checkShape(this, dims, 'view') }]]);
  }

  /** A view with the axes in another order: every axis once. As torch's `permute`. */
  permute(...dims: Index[] | [dims: readonly Index[]]): Tensor<T> {
    const axes = listOf(dims).map((dim, index) => checkAxis(dim, this.dims.length, `dims[${index}]`));
    if (axes.length !== this.dims.length || new Set(axes).size !== axes.length)
      throw wrongValue(`each of ${this.dims.length} axes once`, 'permute', axes);
    return view(this, [['permute', { dims: axes }]]);
  }

  /**
   * A view with two axes swapped. As torch's `transpose`.
   *
   * @param dims two axes; all axes, of three and more, are an order as for `permute`, as transformers.js reads them.
   */
  transpose(...dims: Index[]): Tensor<T> {
    if (dims.length !== 2) return this.permute(...dims);
    const [dim0, dim1] = dims.map((dim, index) =>
      checkAxis(dim, Math.max(1, this.dims.length), `dim${index}`),
    );
    return view(this, [['transpose.int', { dim0, dim1 }]]);
  }

  /** A view with the axes from `start_dim` to `end_dim` (default all) in one; a copy as `reshape`. As torch's `flatten`. */
  flatten(start_dim: Index = 0, end_dim: Index = -1): Tensor<T> {
    const axes = Math.max(1, this.dims.length);
    const [start, end] = [checkAxis(start_dim, axes, 'start_dim'), checkAxis(end_dim, axes, 'end_dim')];
    if (start > end) throw wrongValue(`an axis from start_dim (${start})`, 'end_dim', end);
    return view(this, [['flatten.using_ints', { start_dim: start, end_dim: end }]]);
  }

  /** A view without an axis of length 1, or without all of them. As torch's `squeeze`. */
  squeeze(dim: Index | readonly Index[] | null = null): Tensor<T> {
    const axes = dim === null ? [...this.dims.keys()] : checkAxes(dim, this.dims.length);
    return view(this, [['squeeze.dims', { dim: axes }]]);
  }

  /** A view with an axis of length 1 put in at `dim`. As torch's `unsqueeze`. */
  unsqueeze(dim: Index): Tensor<T> {
    return view(this, [['unsqueeze', { dim: checkAxis(dim, this.dims.length + 1) }]]);
  }

  /** This tensor plus a number or a tensor that broadcasts. As torch's `add`, dtypes too. */
  add<O extends Operand>(other: O): Promise<Tensor<Promoted<T, O>>> {
    return binary('add.Tensor', this, other);
  }

  /** This tensor minus a number or a tensor that broadcasts. As torch's `sub`. */
  sub<O extends Operand>(other: O): Promise<Tensor<Promoted<T, O>>> {
    return binary('sub.Tensor', this, other);
  }

  /** This tensor times a number or a tensor that broadcasts, element by element. As torch's `mul`. */
  mul<O extends Operand>(other: O): Promise<Tensor<Promoted<T, O>>> {
    return binary('mul.Tensor', this, other);
  }

  /** This tensor over a number or a tensor that broadcasts; integers become float32. As torch's `div`. */
  div<O extends Operand>(other: O): Promise<Tensor<Promoted<T, O>>> {
    return binary('div.Tensor', this, other);
  }

  /** The remainder, with the sign of the divisor. As torch's `remainder`. */
  remainder<O extends Operand>(other: O): Promise<Tensor<Promoted<T, O>>> {
    return binary('remainder.Tensor', this, other);
  }

  /** Where this tensor is greater than a number or a tensor that broadcasts: bool. As torch's `gt`. */
  gt(other: Operand): Promise<Tensor<'bool'>> {
    return binary('gt.Tensor', this, other);
  }

  /** Where this tensor is less: bool. As torch's `lt`. */
  lt(other: Operand): Promise<Tensor<'bool'>> {
    return binary('lt.Tensor', this, other);
  }

  /** Where this tensor is greater or equal: bool. As torch's `ge`. */
  ge(other: Operand): Promise<Tensor<'bool'>> {
    return binary('ge.Tensor', this, other);
  }

  /** Where this tensor is less or equal: bool. As torch's `le`. */
  le(other: Operand): Promise<Tensor<'bool'>> {
    return binary('le.Tensor', this, other);
  }

  /** Where both are equal: bool. As torch's `eq`. */
  eq(other: Operand): Promise<Tensor<'bool'>> {
    return binary('eq.Tensor', this, other);
  }

  /** Where they differ: bool. As torch's `ne`. */
  ne(other: Operand): Promise<Tensor<'bool'>> {
    return binary('ne.Tensor', this, other);
  }

  /** The negatives of the elements. As torch's `neg`, which has none for bool. */
  neg(): Promise<Tensor<T>> {
    return one('neg', { self: this });
  }

  /** The nearest integers, halves to even. As torch's `round`. */
  round(): Promise<Tensor<T>> {
    return one('round', { self: this });
  }

  /** The elements within bounds, of which one may be null. As torch's `clamp`. */
  async clamp(min: number | null, max: number | null = null): Promise<Tensor<T>> {
    const bounds = { min: min ?? null, max: max ?? null };
    for (const [name, bound] of Object.entries(bounds))
      if (bound !== null && typeof bound !== 'number') throw wrongType('a number or null', name, bound);
    if (bounds.min === null && bounds.max === null) throw wrongValue('a bound', 'clamp', min);
    return one('clamp', { self: this, ...bounds });
  }

  /** 1 / (1 + exp(-x)) of each element; integers become float32. As torch's `sigmoid`. */
  sigmoid(): Promise<Tensor<T extends FloatingDType ? T : 'float32'>> {
    return one('sigmoid', { self: this });
  }

  /** Numbers along an axis that add up to 1, of floating numbers. As torch's `softmax`. */
  async softmax(dim: Index): Promise<Tensor<T>> {
    return one('softmax.int', { self: this, dim: checkAxis(dim, Math.max(1, this.dims.length)) });
  }

  /**
   * The sum of all elements, or along axes. As torch's `sum`.
   *
   * @param dim an axis or several; null (default) for all.
   * @param keepdim keeps them with length 1 (default false).
   */
  async sum(dim: Index | readonly Index[] | null = null, keepdim = false): Promise<Tensor<SumOf<T>>> {
    return one('sum.dim_IntList', { self: this, ...reduced(this, dim, keepdim) });
  }

  /** The mean of floating numbers, over all or along axes as `sum`. As torch's `mean`. */
  async mean(dim: Index | readonly Index[] | null = null, keepdim = false): Promise<Tensor<T>> {
    return one('mean.dim', { self: this, ...reduced(this, dim, keepdim) });
  }

  /**
   * The p-norm of floating numbers, over all or along axes as `sum`. As torch's `norm`.
   *
   * @param p 'fro' (default, the same as 2) or a number; infinities give the largest and the smallest magnitude.
   * @param dim as for `sum`.
   * @param keepdim as for `sum`.
   */
  async norm(
    p: number | 'fro' = 'fro',
    dim: Index | readonly Index[] | null = null,
    keepdim = false,
  ): Promise<Tensor<T>> {
    if (p !== 'fro' && (typeof p !== 'number' || Number.isNaN(p)))
      throw wrongValue("'fro' or a number", 'p', p);
    const ord = p === 'fro' ? 2 : p;
    return one('linalg_vector_norm', { self: this, ord, ...reduced(this, dim, keepdim) });
  }

  /** This tensor over its p-norm along an axis, of at least 1e-12. As torch.nn.functional's `normalize`. */
  async normalize(p = 2, dim: Index = 1): Promise<Tensor<T>> {
    using norm = await this.norm(checkNumber(p, 'p'), dim, true);
    using clamped = await norm.clamp(1e-12);
    return (await this.div(clamped)) as Tensor<T>;
  }

  /** The largest element. As torch's `max`. */
  max(dim?: null): Promise<Tensor<T>>;
  /** The largest elements along an axis, with their indices. As torch's `max(dim, keepdim)`. */
  max(dim: Index, keepdim?: boolean): Promise<[values: Tensor<T>, indices: Tensor<'int64'>]>;
  /** The one behind both. */
  max(dim: Index | null = null, keepdim = false): Promise<Tensor<T> | [Tensor<T>, Tensor<'int64'>]> {
    return extreme('max', this, dim, keepdim);
  }

  /** The smallest element. As torch's `min`. */
  min(dim?: null): Promise<Tensor<T>>;
  /** The smallest elements along an axis, with their indices. As torch's `min(dim, keepdim)`. */
  min(dim: Index, keepdim?: boolean): Promise<[values: Tensor<T>, indices: Tensor<'int64'>]>;
  /** The one behind both. */
  min(dim: Index | null = null, keepdim = false): Promise<Tensor<T> | [Tensor<T>, Tensor<'int64'>]> {
    return extreme('min', this, dim, keepdim);
  }

  /**
   * Index of the largest element: over all elements in row-major order, or along one axis; int64. As torch's `argmax`.
   *
   * @param dim axis to search along, negative from the end; null (default) searches all elements.
   * @param keepdim keeps the searched axis with length 1 (default false).
   * @throws RangeError for an axis that is not there, or an empty tensor.
   */
  argmax(dim: Index | null = null, keepdim = false): Promise<Tensor<'int64'>> {
    return argument('argmax', this, dim, keepdim);
  }

  /** Index of the smallest element, with the arguments of `argmax`. As torch's `argmin`. */
  argmin(dim: Index | null = null, keepdim = false): Promise<Tensor<'int64'>> {
    return argument('argmin', this, dim, keepdim);
  }

  /** This tensor several times along each axis; more counts than axes add axes in front. As torch's `repeat`. */
  async repeat(...repeats: Index[] | [repeats: readonly Index[]]): Promise<Tensor<T>> {
    const counts = listOf(repeats).map((count, index) => toInteger(count, `repeats[${index}]`, { min: 0 }));
    if (counts.length < this.dims.length)
      throw wrongValue(`at least ${this.dims.length} counts, one an axis,`, 'repeat', counts);
    return one('repeat', { self: this, repeats: counts });
  }

  /** As `repeat`, but fewer counts than axes are for the last ones. As torch's `tile`. */
  async tile(...dims: Index[] | [dims: readonly Index[]]): Promise<Tensor<T>> {
    const counts = listOf(dims).map((count, index) => toInteger(count, `dims[${index}]`, { min: 0 }));
    return one('tile', { self: this, dims: counts });
  }

  /** A copy with memory of its own. As torch's `clone`. */
  clone(): Promise<Tensor<T>> {
    return one('clone', { self: this });
  }

  /**
   * A tensor of what a function makes of each element, in this dtype; at once, and without libtorch. As transformers.js'.
   *
   * @throws as `data`; TypeError and RangeError for a result that the dtype does not have.
   */
  map(callback: (value: ElementOf<T>, index: number, data: DataTypes[T]) => ElementOf<T>): Tensor<T> {
    if (typeof callback !== 'function') throw wrongType('a function', 'callback', callback);
    const { data } = this;
    const read = elementReader(this.type, data);
    const results = Array.from({ length: this.size }, (_, index) => callback(read(index), index, data));
    return new Tensor<T>(this.type, results as number[], this.dims);
  }

  /**
   * This tensor on another device, or in another element type, or both. As torch's `to`; the source stays as it is.
   *
   * @param target a device ('cpu', 'cuda', 'cuda:N', N), a dtype, or both in an object.
   * @throws TypeError and RangeError for another target; Sam3TrackerError DEVICE_UNAVAILABLE.
   */
  to<N extends DType | DTypeAlias>(target: N): Promise<Tensor<DTypeOf<N>>>;
  /**
   * To a device, and perhaps a dtype.
   *
   * @param target a device, or both in an object.
   * @param dtype the dtype, after a device.
   */
  to<N extends DType | DTypeAlias = T>(
    target: Exclude<DeviceOption, 'auto'> | { device?: DeviceOption; dtype?: N },
    dtype?: N,
  ): Promise<Tensor<DTypeOf<N>>>;
  /** The one behind both. */
  async to(
    target: DeviceOption | DType | DTypeAlias | { device?: DeviceOption; dtype?: DType | DTypeAlias },
    dtype?: DType | DTypeAlias,
  ): Promise<Tensor> {
    checkUsable(this);
    const wanted = readTarget(target, dtype, 'Tensor.to');
    const type = wanted.dtype ?? this.type;
    if (!isDType(type)) throw wrongValue(`one of ${Object.keys(DTYPES).join(', ')}`, 'dtype', type);
    const device = checkDevice(wanted.device ?? this.device, 'device');
    if (device === 'auto')
      throw wrongValue('a device', 'device', device, 'A tensor is moved to a named device.');
    return new Tensor<DType>(await callNative(() => this.handle.to({ device, dtype: type })));
  }

  /** This tensor on the CPU. As torch's `cpu`. */
  cpu(): Promise<Tensor<T>> {
    return this.to('cpu');
  }

  /** What `String(tensor)` gives: type, dims and device, no elements. */
  toString(): string {
    return `Tensor(${this.type}, [${this.dims.join(', ')}], ${this.device})`;
  }

  /**
   * What `JSON.stringify` writes: dtype, dims and elements. `Tensor.fromJSON` reads it. -0 becomes 0, as in JSON.
   *
   * @throws as `data`.
   */
  toJSON(): TensorJSON {
    const read = elementReader(this.type, this.data);
    return {
      dtype: this.type,
      dims: this.dims,
      data: Array.from({ length: this.size }, (_, index) => toJsonElement(read(index))),
    };
  }

  /** What `console.log` shows: dtype, dims, device, and the first elements of a tensor on the CPU. @internal */
  [Symbol.for('nodejs.util.inspect.custom')](
    depth: number,
    options: { stylize: (text: string, style: string) => string },
    inspect: (value: unknown, options: object) => string,
  ): string {
    if (depth < 0) return options.stylize(`[${this.toString()}]`, 'special');
    const { dtype, dims, device } = this;
    const state = this.disposed ? { disposed: true } : device === 'cpu' ? { data: firstElements(this) } : {};
    const shown = { ...options, compact: true, maxArrayLength: SHOWN };
    return `Tensor ${inspect({ dtype, dims, device, ...state }, shown)}`;
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
}

/** transformers.js' names of a dtype. */
type AliasOf<T extends DType> = { [K in DTypeAlias]: DTypeOf<K> extends T ? K : never }[DTypeAlias];

acceptCopies(Tensor, 'Tensor');
guardMethods(Tensor);

// At the end of the prototype chain, a proxy sees only names that tensors do not have: it costs the others nothing.
Object.setPrototypeOf(
  Tensor.prototype,
  new Proxy(Object.prototype, {
    get: (target, key, receiver) =>
      isIndex(key) && receiver instanceof Tensor
        ? receiver.select(0, Number(key))
        : (Reflect.get(target, key, receiver) as unknown),
    set: (target, key, value, receiver) => {
      if (isIndex(key)) throw new TypeError('A Tensor is not written by index: write to its data.');
      return Reflect.set(target, key, value, receiver);
    },
  }),
);

function isIndex(key: string | symbol): boolean {
  return typeof key === 'string' && /^-?\d+$/.test(key);
}

function checkUsable(tensor: Tensor): void {
  if (tensor.disposed) throw new Sam3TrackerError('DISPOSED', 'This tensor has been disposed.');
}

/** A view in one native call, which leaves no handle of a step between behind; without steps a handle of its own. */
function view<T extends DType>(tensor: Tensor<T>, steps: readonly ViewStep[]): Tensor<T> {
  checkUsable(tensor);
  return new Tensor(callNativeSync(() => tensor.handle.view(steps)));
}

/** An argument of an operator, in which Tensors stand for their handles. */
type Argument =
  Exclude<OperatorArgument, NativeTensor | readonly NativeTensor[]> | Tensor | readonly Tensor[];

function toNative(argument: Argument, devices: Set<string>): OperatorArgument {
  if (argument instanceof Tensor) {
    checkUsable(argument);
    // A scalar of the CPU goes with any device, as in torch.
    if (argument.dims.length > 0) devices.add(argument.device);
    return argument.handle;
  }
  if (Array.isArray(argument))
    return argument.map((item) => toNative(item as Tensor, devices)) as NativeTensor[];
  return argument as OperatorArgument;
}

/**
 * What one of libtorch's operators gives; not public.
 *
 * @param operator its name with its overload, as in native/runtime/operators.cc.
 * @param args by the names of its schema.
 * @throws RangeError for what libtorch refuses and for tensors of several devices; Sam3TrackerError DISPOSED,
 *   OUT_OF_MEMORY.
 */
export async function runOperator(operator: string, args: Record<string, Argument>): Promise<Tensor[]> {
  const devices = new Set<string>();
  const entries = Object.entries(args).map(([name, value]) => [name, toNative(value, devices)] as const);
  if (devices.size > 1) throw wrongValue('tensors of one device', operator.split('.')[0], [...devices]);
  const native = Object.fromEntries(entries) as OperatorArguments;
  const results = await callNative(() => addon().callOperator(operator, native));
  return results.map((handle) => new Tensor(handle));
}

async function one<T extends DType>(operator: string, args: Record<string, Argument>): Promise<Tensor<T>> {
  const [result] = await runOperator(operator, args);
  return result as Tensor<T>;
}

async function binary<T extends DType>(operator: string, self: Tensor, other: unknown): Promise<Tensor<T>> {
  const name = operator.split('.')[0];
  if (!(other instanceof Tensor) && !['number', 'bigint', 'boolean'].includes(typeof other))
    throw wrongType('a Tensor or a number', `the operand of ${name}`, other);
  if (other instanceof Tensor) {
    const [long, short] = [self.dims, other.dims].map((dims) => [...dims].reverse());
    if (!short.every((length, axis) => length === 1 || (long[axis] ?? 1) === 1 || long[axis] === length))
      throw wrongValue(
        `a Tensor that broadcasts with dims [${self.dims.join(', ')}]`,
        `the operand of ${name}`,
        other,
      );
  }
  return one(operator, { self, other: other as Operand });
}

function reduced(
  tensor: Tensor,
  dim: Index | readonly Index[] | null,
  keepdim: unknown,
): { dim: number[] | null; keepdim: boolean } {
  return {
    dim: dim === null || dim === undefined ? null : checkAxes(dim, tensor.dims.length),
    keepdim: checkBoolean(keepdim, 'keepdim'),
  };
}

async function extreme<T extends DType>(
  name: 'max' | 'min',
  self: Tensor<T>,
  dim: Index | null,
  keepdim: unknown,
): Promise<Tensor<T> | [Tensor<T>, Tensor<'int64'>]> {
  if (self.size === 0 && dim === null) throw wrongValue('a tensor with elements', name, self);
  if (dim === null) return one(name, { self });
  const axis = checkAxis(dim, Math.max(1, self.dims.length));
  const args = { self, dim: axis, keepdim: checkBoolean(keepdim, 'keepdim') };
  return (await runOperator(`${name}.dim`, args)) as [Tensor<T>, Tensor<'int64'>];
}

async function argument(
  name: 'argmax' | 'argmin',
  self: Tensor,
  dim: Index | null,
  keepdim: unknown,
): Promise<Tensor<'int64'>> {
  checkUsable(self);
  const axis = dim === null ? null : checkAxis(dim, Math.max(1, self.dims.length));
  if ((axis === null ? self.size : (self.dims[axis] ?? 1)) === 0)
    throw wrongValue('a tensor with elements', name, self);
  return one(name, { self, dim: axis, keepdim: checkBoolean(keepdim, 'keepdim') });
}

/** An integer that a caller gave as a number, a bigint or a tensor of one integer. */
export function toInteger(value: unknown, name: string, bounds: Bounds = {}): number {
  let number = value;
  if (Tensor.isTensor(value)) {
    if (value.size !== 1 || DTYPES[value.type].kind !== 'integer')
      throw wrongValue('an integer or a Tensor of one integer', name, value);
    number = value.item();
  }
  return checkInteger(typeof number === 'bigint' ? Number(number) : number, name, bounds);
}

/** A position on an axis of a length, or an axis of so many: from 0, given negative from the end. */
export function checkAxis(value: unknown, length: number, name = 'dim'): number {
  if (length === 0) throw wrongValue('a Tensor with such an axis', name, value);
  const axis = toInteger(value, name, { min: -length, max: length - 1 });
  return axis < 0 ? axis + length : axis;
}

function checkAxes(dim: Index | readonly Index[], count: number): number[] {
  const axes = (Array.isArray(dim) ? dim : [dim]).map((axis) => checkAxis(axis, Math.max(1, count)));
  if (new Set(axes).size !== axes.length) throw wrongValue('each axis once', 'dim', axes);
  return axes;
}

function listOf(args: readonly Index[] | readonly [readonly Index[]]): readonly Index[] {
  return (args.length === 1 && Array.isArray(args[0]) ? args[0] : args) as readonly Index[];
}

function checkShape(
  tensor: Tensor,
  dims: readonly Index[] | readonly [readonly Index[]],
  where: string,
): number[] {
  const shape = listOf(dims).map((dim, axis) => toInteger(dim, `dims[${axis}]`, { min: -1 }));
  const unknown = shape.filter((dim) => dim === -1).length;
  const known = shape.reduce((product, dim) => (dim === -1 ? product : product * dim), 1);
  if (unknown > 1 || (unknown ? known === 0 || tensor.size % known !== 0 : known !== tensor.size))
    throw wrongValue(`dims of ${tensor.size} elements`, where, shape);
  return shape;
}

function resolveRange(range: readonly unknown[], length: number, name: string): [number, number] {
  if (range.length !== 2) throw wrongType('an index, [start, end] or null', name, range);
  const [start, end] = range.map((bound, index) => {
    if (bound === null || bound === undefined) return index === 0 ? 0 : length;
    const at = toInteger(bound, name);
    return Math.min(length, Math.max(0, at < 0 ? at + length : at));
  });
  return [start, end];
}

function makeHandle(
  type: unknown,
  data: TensorElements | undefined,
  dims: readonly number[] | undefined,
): NativeTensor {
  const dtype = canonicalDType(type);
  if (!isDType(dtype)) throw wrongType(`a dtype (${Object.keys(DTYPES).join(', ')})`, 'type', type);
  // Read before the elements: a caller's list of dims may run code that changes their buffer.
  const given = Array.isArray(dims) ? [...(dims as unknown[])] : dims;
  const elements = toTypedArray(dtype, data);
  return makeNativeTensor(dtype, checkDims(given, elements.length, ''), elements);
}

/** The first elements as console.log shows them; the list is as long as there are elements, for its "... more items". */
function firstElements(tensor: Tensor): unknown[] {
  let head: Tensor = tensor;
  let inner = tensor.size;
  // A part of a view that is small, so that a large one is not put in order for eight numbers.
  tensor.dims.forEach((length, axis) => {
    inner = length === 0 ? 0 : inner / length;
    const needed = inner === 0 ? 0 : Math.ceil(SHOWN / inner);
    if (needed < length) {
      const part = head.slice(...Array.from({ length: axis }, () => null), [0, needed]);
      if (head !== tensor) head.dispose();
      head = part;
    }
  });
  const read = elementReader(head.type, head.data);
  const list: unknown[] = Array.from({ length: Math.min(SHOWN, tensor.size) }, (_, index) => read(index));
  if (head !== tensor) head.dispose();
  list.length = Math.min(tensor.size, 2 ** 32 - 1);
  return list;
}

/** The elements of a tensor on the CPU as numbers, in row-major order; int64 rounded to float64. @throws as `data`. */
export function numbersOf(tensor: Tensor): Float64Array {
  const { data } = tensor;
  const read = elementReader(tensor.type, data);
  return Float64Array.from(data as ArrayLike<unknown>, (_, index) => Number(read(index)));
}
