/** Element types: the one table, under torch's names, and half-precision numbers as their raw 16 bits. */
import { isArrayOf } from './kinds';

/** Element types, under torch's names. */
export type DType =
  'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

/** transformers.js' names of the same types, which are read wherever a dtype is. */
export type DTypeAlias = 'fp32' | 'fp16' | 'bf16';

/** The dtype that a name stands for. */
export type DTypeOf<N extends DType | DTypeAlias> = N extends DTypeAlias
  ? { fp32: 'float32'; fp16: 'float16'; bf16: 'bfloat16' }[N]
  : N;

/** The dtypes of floating-point numbers. */
export type FloatingDType = 'float32' | 'float16' | 'bfloat16' | 'float64';

/** The dtypes that models compute in. */
export type ModelDType = 'float32' | 'float16' | 'bfloat16';

/** The typed array of each dtype's elements; float16 is a Float16Array where the runtime has one. */
export interface DataTypes {
  float32: Float32Array;
  float16: Uint16Array;
  bfloat16: Uint16Array;
  float64: Float64Array;
  int64: BigInt64Array;
  int32: Int32Array;
  int16: Int16Array;
  int8: Int8Array;
  uint8: Uint8Array;
  bool: Uint8Array;
}

/** One element of a dtype as JavaScript has it. */
export type ElementOf<T extends DType> = T extends 'int64' ? bigint : T extends 'bool' ? boolean : number;

/** Typed arrays in which tensors give and take their elements. */
export type TensorData =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Int16Array
  | Int8Array
  | Uint8Array
  | Uint8ClampedArray;

type TypedArrayConstructor = new (
  buffer: ArrayBufferLike,
  byteOffset?: number,
  length?: number,
) => TensorData;

/** Float16Array where the runtime has one (Node 24 and later), otherwise undefined: raw bits in a Uint16Array then. */
export const Float16ArrayConstructor: TypedArrayConstructor | undefined = (
  globalThis as unknown as { Float16Array?: TypedArrayConstructor }
).Float16Array;

/** Bytes per element, kind and typed array of each dtype. */
export const DTYPES: Readonly<
  Record<DType, { bytes: number; kind: 'floating' | 'integer' | 'bool'; array: TypedArrayConstructor }>
> = {
  float32: { bytes: 4, kind: 'floating', array: Float32Array },
  float16: { bytes: 2, kind: 'floating', array: Float16ArrayConstructor ?? Uint16Array },
  bfloat16: { bytes: 2, kind: 'floating', array: Uint16Array },
  float64: { bytes: 8, kind: 'floating', array: Float64Array },
  int64: { bytes: 8, kind: 'integer', array: BigInt64Array },
  int32: { bytes: 4, kind: 'integer', array: Int32Array },
  int16: { bytes: 2, kind: 'integer', array: Int16Array },
  int8: { bytes: 1, kind: 'integer', array: Int8Array },
  uint8: { bytes: 1, kind: 'integer', array: Uint8Array },
  bool: { bytes: 1, kind: 'bool', array: Uint8Array },
};

/** The dtypes of one kind. */
export function dtypesOf(kind: 'floating' | 'integer'): DType[] {
  return (Object.keys(DTYPES) as DType[]).filter((type) => DTYPES[type].kind === kind);
}

/** Whether a dtype is of floating-point numbers, as torch's `is_floating_point`. */
export function isFloating(type: DType): boolean {
  return DTYPES[type].kind === 'floating';
}

/** Whether `name` is an element type of this package. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.prototype.hasOwnProperty.call(DTYPES, name);
}

/** What transformers.js' names stand for. */
export const DTYPE_ALIASES: Readonly<Record<DTypeAlias, DType>> = {
  fp32: 'float32',
  fp16: 'float16',
  bf16: 'bfloat16',
};

/** The dtype that a name or transformers.js' name stands for; any other value as it is. */
export function canonicalDType(name: unknown): unknown {
  return typeof name === 'string' && Object.hasOwn(DTYPE_ALIASES, name)
    ? DTYPE_ALIASES[name as DTypeAlias]
    : name;
}

/** The dtype of a typed array's elements; null for anything else, and for 16-bit floats, which come as raw bits. */
export function dtypeOfArray(array: unknown): DType | null {
  if (isArrayOf(array, Uint8ClampedArray)) return 'uint8';
  const types = [...dtypesOf('integer'), 'float32', 'float64'] as const;
  return types.find((type) => isArrayOf(array, DTYPES[type].array)) ?? null;
}

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** The number that 16 bits of IEEE half precision stand for. */
export function float16ToNumber(half: number): number {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >> 10) & 0x1f;
  const fraction = half & 0x3ff;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** The 16 bits of the half-precision number nearest to a number, ties to even. */
export function numberToFloat16(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(-14, Math.floor(Math.log2(magnitude || 2 ** -24)));
  // In units of the last place; the rounded value may carry into the next exponent, whose bits follow on directly.
  const units = roundToEven(magnitude / 2 ** (exponent - 10));
  return sign | (exponent === -14 ? units : ((exponent + 15) << 10) + units - 1024);
}

/** The number that 16 bits of bfloat16 stand for. */
export function bfloat16ToNumber(half: number): number {
  bits[0] = half << 16;
  return float[0];
}

/** The 16 bits of the bfloat16 nearest to a number, ties to even. */
export function numberToBfloat16(value: number): number {
  float[0] = value;
  if (Number.isNaN(value)) return 0x7fc0;
  return ((bits[0] + 0x7fff + ((bits[0] >>> 16) & 1)) >>> 16) & 0xffff;
}

function roundToEven(value: number): number {
  const floor = Math.floor(value);
  const rest = value - floor;
  return rest > 0.5 || (rest === 0.5 && floor % 2 === 1) ? floor + 1 : floor;
}
