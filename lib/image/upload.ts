/** Pixels on their way into native memory. */
import { setImmediate } from 'node:timers/promises';
import type { DType, TensorData } from '../core/dtype';
import type { PreparedImage } from './inputs';
import { addon, callNativeSync, type NativeTensor } from '../native/binding';

/** Bytes that are copied at once: about a millisecond, so that the event loop keeps turning. */
const PIECE = 8 * 2 ** 20;

const DTYPE_OF: Readonly<Record<string, DType>> = {
  Uint8Array: 'uint8',
  Uint8ClampedArray: 'uint8',
  Buffer: 'uint8',
  Int8Array: 'int8',
  Int16Array: 'int16',
  Int32Array: 'int32',
  BigInt64Array: 'int64',
  Float32Array: 'float32',
  Float64Array: 'float64',
};

/**
 * Puts the pixels of large pictures into native tensors, piece by piece between turns of the event loop: a picture of
 * 60 megapixels copied in one go holds it up for a tenth of a second. Small ones are copied with the call itself. Native
 * code cannot read the array in place, since a buffer can be transferred away while a job runs.
 *
 * @returns the pictures in their order, with tensors to dispose of where any were made.
 */
export async function uploadImages(images: readonly PreparedImage[]): Promise<PreparedImage[]> {
  const uploaded: PreparedImage[] = [];
  for (const image of images) {
    const { data, channels, size } = image.native;
    if (!ArrayBuffer.isView(data) || data.byteLength <= PIECE) {
      uploaded.push(image);
      continue;
    }
    const view = await upload(data, channels * size[0] * size[1]);
    uploaded.push({ native: { ...image.native, data: view }, view });
  }
  return uploaded;
}

async function upload(data: TensorData, elements: number): Promise<NativeTensor> {
  const tensor = callNativeSync(() => {
    const { Tensor: Handle } = addon();
    return new Handle(DTYPE_OF[data.constructor.name], [elements], null);
  });
  const count = Math.floor(PIECE / data.BYTES_PER_ELEMENT);
  for (let start = 0; start < data.length; start += count) {
    const piece = data.subarray(start, start + count);
    callNativeSync(() => tensor.write(start * data.BYTES_PER_ELEMENT, piece));
    await setImmediate();
  }
  return tensor;
}
