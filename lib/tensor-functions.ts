/** Functions of tensors under the names that transformers.js and torch share. */
import { canonicalDType, isDType, DTYPES } from './core/dtype';
import type { DType, DTypeAlias, DTypeOf } from './core/dtype';
import { wrongType, wrongValue } from './core/errors';
import { checkBoolean, checkInteger, checkOneOf, checkOptions } from './core/options';
import { checkAxis, runOperator, Tensor, toInteger, type Index } from './tensor';

/** How `interpolate` finds a pixel: torch's modes. */
export type InterpolationMode = 'nearest' | 'nearest-exact' | 'bilinear' | 'bicubic';

const MODES: readonly InterpolationMode[] = ['nearest', 'nearest-exact', 'bilinear', 'bicubic'];

function checkTensor(value: unknown, name: string): Tensor {
  if (!Tensor.isTensor(value)) throw wrongType('a Tensor', name, value);
  return value;
}

function checkTensors(value: unknown): Tensor[] {
  if (!Array.isArray(value)) throw wrongType('a list of Tensors', 'tensors', value);
  const tensors = value.map((item, index) => checkTensor(item, `tensors[${index}]`));
  if (tensors.length === 0) throw wrongValue('at least one Tensor', 'tensors', value);
  return tensors;
}

function describeDims(tensors: readonly Tensor[]): string {
  return tensors.map(({ dims }) => `[${dims.join(', ')}]`).join(', ');
}

/**
 * Tensors one after the other along an axis; the other axes have the same length. As torch's `cat`.
 *
 * @throws RangeError for an empty list, and dims that do not fit.
 */
export async function cat<T extends DType>(
  tensors: readonly Tensor<T>[],
  dim: Index = 0,
): Promise<Tensor<T>> {
  const list = checkTensors(tensors);
  // torch leaves out tensors of dims [0] here, whatever the others have.
  const shaped = list.filter(({ dims }) => dims.length !== 1 || dims[0] !== 0);
  if (shaped.length === 0) return (list[0] as Tensor<T>).clone();
  const { dims } = shaped[0];
  const axis = checkAxis(dim, dims.length);
  const fits = (other: Tensor): boolean =>
    other.dims.length === dims.length &&
    other.dims.every((length, index) => index === axis || length === dims[index]);
  if (!shaped.every(fits))
    throw new RangeError(
      `Expected Tensors that differ along axis ${axis} alone but received dims ${describeDims(list)}.`,
    );
  const [result] = await runOperator('cat', { tensors: list, dim: axis });
  return result as Tensor<T>;
}

/** Tensors of the same dims along a new axis. As torch's `stack`. @throws RangeError for an empty list, or other dims. */
export async function stack<T extends DType>(
  tensors: readonly Tensor<T>[],
  dim: Index = 0,
): Promise<Tensor<T>> {
  const list = checkTensors(tensors);
  const { dims } = list[0];
  const axis = checkAxis(dim, dims.length + 1);
  if (!list.every((other) => String(other.dims) === String(dims)))
    throw new RangeError(`Expected Tensors of the same dims but received dims ${describeDims(list)}.`);
  const [result] = await runOperator('stack', { tensors: list, dim: axis });
  return result as Tensor<T>;
}

/**
 * The largest elements along an axis, with their indices. As torch's `topk`.
 *
 * @param tensor where to look.
 * @param k how many; null for all.
 * @param dim the axis (default the last).
 * @param largest the largest (default), or the smallest.
 * @param sorted in their order (default true).
 * @throws RangeError for more than the axis has.
 */
export async function topk<T extends DType>(
  tensor: Tensor<T>,
  k: Index | null = null,
  dim: Index = -1,
  largest = true,
  sorted = true,
): Promise<[values: Tensor<T>, indices: Tensor<'int64'>]> {
  const { dims } = checkTensor(tensor, 'tensor');
  const axis = checkAxis(dim, Math.max(1, dims.length));
  const length = dims[axis] ?? 1;
  const args = {
    self: tensor,
    k: k === null ? length : toInteger(k, 'k', { min: 0, max: length }),
    dim: axis,
    largest: checkBoolean(largest, 'largest'),
    sorted: checkBoolean(sorted, 'sorted'),
  };
  return (await runOperator('topk', args)) as [Tensor<T>, Tensor<'int64'>];
}

/** Matrix product, batched over axes in front, which broadcast. As torch's `matmul`. @throws RangeError for other dims. */
export async function matmul<T extends DType>(a: Tensor<T>, b: Tensor<T>): Promise<Tensor<T>> {
  const [result] = await runOperator('matmul', { self: checkTensor(a, 'a'), other: checkTensor(b, 'b') });
  return result as Tensor<T>;
}

/** `tensor.permute(...axes)`. */
export function permute<T extends DType>(tensor: Tensor<T>, axes: readonly Index[]): Tensor<T> {
  return (checkTensor(tensor, 'tensor') as Tensor<T>).permute(axes);
}

/** `tensor.mean(dim, keepdim)`. */
export async function mean<T extends DType>(
  tensor: Tensor<T>,
  dim: Index | null = null,
  keepdim = false,
): Promise<Tensor<T>> {
  return (checkTensor(tensor, 'tensor') as Tensor<T>).mean(dim, keepdim);
}

/**
 * Standard deviation and mean of floating numbers, over all elements or along an axis. As torch's `std_mean`.
 *
 * @param tensor the numbers.
 * @param dim the axis; null (default) for all.
 * @param correction what is taken off the count: 1 (default) for a sample.
 * @param keepdim keeps the axis with length 1 (default false).
 */
export async function std_mean<T extends DType>(
  tensor: Tensor<T>,
  dim: Index | null = null,
  correction = 1,
  keepdim = false,
): Promise<[std: Tensor<T>, mean: Tensor<T>]> {
  const { dims } = checkTensor(tensor, 'tensor');
  const args = {
    self: tensor,
    dim: dim === null ? null : [checkAxis(dim, Math.max(1, dims.length))],
    correction: checkInteger(correction, 'correction'),
    keepdim: checkBoolean(keepdim, 'keepdim'),
  };
  return (await runOperator('std_mean.correction', args)) as [Tensor<T>, Tensor<T>];
}

function interpolationOperator(mode: InterpolationMode, antialias: boolean): string {
  if (mode === 'nearest') return 'upsample_nearest2d';
  if (mode === 'nearest-exact') return '_upsample_nearest_exact2d';
  return antialias ? `_upsample_${mode}2d_aa` : `upsample_${mode}2d`;
}

/**
 * Images in another size. As torch.nn.functional's `interpolate` with `size`, but bilinear by default, as transformers.js'.
 *
 * @param input (images, channels, height, width); the two axes in front may be missing.
 * @param size [height, width] in pixels.
 * @param mode how a pixel is found (default 'bilinear').
 * @param align_corners whether the corners' centres stay where they are; bilinear and bicubic only (default false).
 * @param antialias whether to smooth what gets smaller, as Pillow does; bilinear and bicubic only (default false).
 * @throws RangeError for a size of less than a pixel, other dims, and dtypes that torch does not resize.
 */
export async function interpolate<T extends DType>(
  input: Tensor<T>,
  size: readonly [height: Index, width: Index],
  mode: InterpolationMode = 'bilinear',
  align_corners = false,
  antialias = false,
): Promise<Tensor<T>> {
  const { dims } = checkTensor(input, 'input');
  if (dims.length < 2 || dims.length > 4) throw wrongValue('a Tensor of two to four axes', 'input', input);
  if (!Array.isArray(size)) throw wrongType('[height, width]', 'size', size);
  const output_size = size.map((side, index) => toInteger(side, `size[${index}]`, { min: 1 }));
  if (output_size.length !== 2) throw wrongValue('[height, width]', 'size', size);
  const operator = interpolationOperator(
    checkOneOf(mode, MODES, 'mode'),
    checkBoolean(antialias, 'antialias'),
  );
  const nearest = mode.startsWith('nearest');
  if (nearest && (checkBoolean(align_corners, 'align_corners') || antialias))
    throw wrongValue('bilinear or bicubic, which align_corners and antialias are for,', 'mode', mode);
  const [rows, columns] = dims.slice(-2);
  using image = input.reshape(dims[dims.length - 4] ?? 1, dims[dims.length - 3] ?? 1, rows, columns);
  const corners: Record<string, boolean> = nearest
    ? {}
    : { align_corners: checkBoolean(align_corners, 'align_corners') };
  const [resized] = await runOperator(operator, { self: image, output_size, ...corners });
  if (dims.length === 4) return resized as Tensor<T>;
  using whole = resized;
  return (whole as Tensor<T>).reshape(...dims.slice(0, -2), ...output_size);
}

/**
 * `interpolate` with options, as transformers.js has it: `size` is [height, width], or all four lengths.
 *
 * @throws RangeError as `interpolate`, and for another number of images or channels than the input's.
 */
export async function interpolate_4d<T extends DType>(
  input: Tensor<T>,
  options: { size: readonly Index[]; mode?: 'nearest' | 'bilinear' | 'bicubic' },
): Promise<Tensor<T>> {
  const { dims } = checkTensor(input, 'input');
  if (dims.length !== 4) throw wrongValue('a Tensor of four axes', 'input', input);
  const { size, mode = 'bilinear' } = checkOptions(options, ['size', 'mode'], 'interpolate_4d');
  if (!Array.isArray(size)) throw wrongType('[height, width]', 'size', size);
  const lengths = size.map((length, index) => toInteger(length, `size[${index}]`));
  const front = lengths.slice(0, -2);
  if (front.length > 0 && String(front) !== String(dims.slice(0, 2)))
    throw wrongValue(`[${dims[0]}, ${dims[1]}, height, width]`, 'size', lengths);
  return interpolate(input, lengths.slice(-2) as [number, number], mode as InterpolationMode);
}

/** Most elements of a tensor of one value, which is filled at once: as many as an image has pixels, 1 GiB of float32. */
export const MOST_FILLED = 2 ** 28;

function checkFill(value: unknown): number | bigint | boolean {
  if (typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean') return value;
  throw wrongType('a number, a bigint or a boolean', 'fill_value', value);
}

function filled(size: unknown, value: number | bigint | boolean, dtype: unknown): Tensor {
  const type = canonicalDType(dtype);
  if (!isDType(type)) throw wrongType(`a dtype (${Object.keys(DTYPES).join(', ')})`, 'dtype', dtype);
  if (!Array.isArray(size)) throw wrongType('an array of axis lengths', 'size', size);
  const dims = size.map((length, axis) => toInteger(length, `size[${axis}]`, { min: 0 }));
  const elements = dims.reduce((product, length) => product * length, 1);
  if (elements > MOST_FILLED) throw wrongValue(`at most ${MOST_FILLED} elements`, 'size', dims);
  // One element in every dtype, and its bits as often as wanted.
  using single = new Tensor(type, [value] as number[], [1]);
  const Data = DTYPES[type].array as unknown as new (length: number) => Float64Array;
  const data = new Data(elements);
  return new Tensor(type, data.fill(single.data[0] as number), dims);
}

/**
 * A tensor of one value, on the CPU. As torch's `full`.
 *
 * @param size length of each axis.
 * @param fill_value the value.
 * @param dtype default: float32 for a number (torch takes int64 for whole ones), int64 for a bigint, bool for a boolean.
 * @throws TypeError and RangeError for other arguments; RangeError for more than 2^28 elements.
 */
export function full<N extends DType | DTypeAlias = DType>(
  size: readonly Index[],
  fill_value: number | bigint | boolean,
  dtype?: N,
): Tensor<DTypeOf<N>> {
  const value = checkFill(fill_value);
  const byValue = { number: 'float32', bigint: 'int64', boolean: 'bool' }[typeof value as 'number'];
  return filled(size, value, dtype ?? byValue) as Tensor<DTypeOf<N>>;
}

/** A tensor of one value in the dims and dtype of another, on the CPU. As torch's `full_like`. */
export function full_like<T extends DType>(
  tensor: Tensor<T>,
  fill_value: number | bigint | boolean,
): Tensor<T> {
  const { dims, type } = checkTensor(tensor, 'tensor');
  return filled(dims, checkFill(fill_value), type) as Tensor<T>;
}

/** A tensor of ones, float32 unless a dtype is named (transformers.js: int64). As torch's `ones`. */
export function ones<N extends DType | DTypeAlias = 'float32'>(
  size: readonly Index[],
  dtype?: N,
): Tensor<DTypeOf<N>> {
  return filled(size, 1, dtype ?? 'float32') as Tensor<DTypeOf<N>>;
}

/** Ones in the dims and dtype of another tensor. As torch's `ones_like`. */
export function ones_like<T extends DType>(tensor: Tensor<T>): Tensor<T> {
  return full_like(tensor, 1);
}

/** A tensor of zeros, float32 unless a dtype is named (transformers.js: int64). As torch's `zeros`. */
export function zeros<N extends DType | DTypeAlias = 'float32'>(
  size: readonly Index[],
  dtype?: N,
): Tensor<DTypeOf<N>> {
  return filled(size, 0, dtype ?? 'float32') as Tensor<DTypeOf<N>>;
}

/** Zeros in the dims and dtype of another tensor. As torch's `zeros_like`. */
export function zeros_like<T extends DType>(tensor: Tensor<T>): Tensor<T> {
  return full_like(tensor, 0);
}
