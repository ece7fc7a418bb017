/** The one table of element types: names as torch has them, and the typed array that holds each in JavaScript. */

/** Element types, under torch's names. */
export type DType =
  'float32' | 'float16' | 'bfloat16' | 'float64' | 'int64' | 'int32' | 'int16' | 'int8' | 'uint8' | 'bool';

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

/** Bytes per element and the typed array of each dtype. */
export const DTYPES: Readonly<Record<DType, { bytes: number; array: TypedArrayConstructor }>> = {
  float32: { bytes: 4, array: Float32Array },
  float16: { bytes: 2, array: Float16ArrayConstructor ?? Uint16Array },
  bfloat16: { bytes: 2, array: Uint16Array },
  float64: { bytes: 8, array: Float64Array },
  int64: { bytes: 8, array: BigInt64Array },
  int32: { bytes: 4, array: Int32Array },
  int16: { bytes: 2, array: Int16Array },
  int8: { bytes: 1, array: Int8Array },
  uint8: { bytes: 1, array: Uint8Array },
  bool: { bytes: 1, array: Uint8Array },
};

/** Whether `name` is an element type of this package. */
export function isDType(name: unknown): name is DType {
  return typeof name === 'string' && Object.prototype.hasOwnProperty.call(DTYPES, name);
}
