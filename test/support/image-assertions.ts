/** Whether this package and test/support/image_reference.py agree. */
import assert from 'node:assert/strict';
import { readFileSync, rmSync } from 'node:fs';
import { FORGOTTEN_AWAIT } from '../../lib/core/errors';
import type { TensorData } from '../../lib/core/dtype';
import { Tensor } from '../../lib/tensor';
import type { ArrayWithDims } from '../../lib/core/types';
import type { Answer } from './python';

/** An array as test/support/image_reference.py writes it. */
export type WrittenArray = {
  dtype: string;
  dims: number[];
} & ({ base64: string } | { file: string });

const ELEMENT_BYTES: Record<string, number> = {
  float64: 8,
  int64: 8,
  float32: 4,
  int32: 4,
  float16: 2,
  int16: 2,
};

/** The bytes of an array; a file is gone after that. */
function readWritten(written: WrittenArray): Buffer {
  if ('base64' in written) return Buffer.from(written.base64, 'base64');
  const bytes = readFileSync(written.file);
  rmSync(written.file);
  return bytes;
}

/** The elements of a bool or float32 array. */
export function readArray(written: WrittenArray): Uint8Array | Float32Array {
  const bytes = Uint8Array.from(readWritten(written));
  return written.dtype === 'float32' ? new Float32Array(bytes.buffer) : bytes;
}

/** The types that a typed array can hold. */
const TYPES_BY_ARRAY: Record<string, string[]> = {
  Uint8Array: ['uint8', 'bool'],
  Uint16Array: ['float16'],
  BigInt64Array: ['int64'],
};

/** Elements equal to the reference's: bit for bit, or, for floats, within 1e-6 of the larger of 1 and the value. */
export function assertSame(
  actual: Tensor | ArrayWithDims<TensorData>,
  expected: WrittenArray,
  what: string,
): void {
  const { name } = actual.data.constructor;
  const types = Tensor.isTensor(actual)
    ? [actual.type]
    : (TYPES_BY_ARRAY[name] ?? [name.replace('Array', '').toLowerCase()]);
  assert.ok(types.includes(expected.dtype), `${what}: ${types.join()} instead of ${expected.dtype}`);
  assert.deepEqual([...actual.dims], expected.dims, `${what}: dims`);
  const bytes = readWritten(expected);
  const own = Buffer.from(actual.data.buffer, actual.data.byteOffset, actual.data.byteLength);
  const size = expected.dims.reduce((product, dim) => product * dim, 1);
  assert.equal(own.length, size * (ELEMENT_BYTES[expected.dtype] ?? 1), what);
  if (own.equals(bytes)) return;
  assert.equal(expected.dtype, 'float32', `${what}: other elements`);
  const theirsData = new Float32Array(Uint8Array.from(bytes).buffer);
  let worst = 0;
  (actual.data as Float32Array).forEach((value, index) => {
    worst = Math.max(worst, Math.abs(value - theirsData[index]) / Math.max(1, Math.abs(theirsData[index])));
  });
  assert.ok(worst <= 1e-6, `${what}: differs by ${worst}`);
}

/** A message without what it says of a forgotten await. */
export const withoutHint = (message: string): string =>
  message.replace(` ${FORGOTTEN_AWAIT}`, '').replace(/\.$/, '');

/** Python's error as ours: ValueError is RangeError, and torch's RuntimeErrors are about values too. */
export function assertSameError(error: unknown, answer: Answer, what: string): void {
  assert.ok(error instanceof Error && answer.error, `${what}: ${String(error)}`);
  assert.equal(
    error.name,
    answer.error.type === 'TypeError' ? 'TypeError' : 'RangeError',
    `${what}: ${error.stack}`,
  );
  // Python shows a set in any order; the hint is ours, after the reference's words.
  const comparable = (message: string): string =>
    withoutHint(message).replace(/\{[^}]*\}/g, (set) => [...set].sort().join(''));
  assert.equal(comparable(error.message), comparable(answer.error.message), what);
}

/** What a promise resolves to, or the error it rejects with. */
export async function settled<T>(promise: Promise<T>): Promise<T | Error> {
  return promise.catch((error: Error) => error);
}
