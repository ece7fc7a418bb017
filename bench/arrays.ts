/** Arrays that both sides read: raw little-endian files with a dtype and dims. */
import { open, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import sharp from 'sharp';
import { randomNumbers } from '../test/support/random';

/** A raw file, row-major. An image is uint8, (height, width, 3). */
export interface ArrayFile {
  file: string;
  dtype: 'float32' | 'int64' | 'uint8' | 'bool';
  /** Outermost axis first. */
  dims: number[];
  /**
   * float32 that is read again for each call, with the number of the reading in place of its first element, so that no
   * side has seen it before; left out for arrays that all calls share.
   */
  fresh?: true;
}

/** The arrays that hold an ArrayFile's elements. */
const ELEMENTS = {
  float32: Float32Array,
  int64: BigInt64Array,
  uint8: Uint8Array,
  bool: Uint8Array,
} as const;

/** How often a fresh array was read in this process, by file. */
const readings = new Map<string, number>();

/** The elements of a file, which are as many as its dims say. */
export async function readArray({
  file,
  dtype,
  dims,
  fresh,
}: ArrayFile): Promise<Float32Array | BigInt64Array | Uint8Array> {
  const bytes = new Uint8Array((await stat(file)).size);
  const handle = await open(file);
  try {
    // Into memory that is aligned for any element, so that nothing is copied, and no copy counts as peak memory.
    const { bytesRead } = await handle.read(bytes);
    if (bytesRead !== bytes.length) throw new Error(`${file} ended after ${bytesRead} bytes`);
  } finally {
    await handle.close();
  }
  const elements = new ELEMENTS[dtype](bytes.buffer);
  const count = dims.reduce((product, dim) => product * dim, 1);
  if (elements.length !== count)
    throw new Error(`${file} holds ${elements.length} elements, [${dims.join(', ')}] has ${count}`);
  if (fresh) {
    readings.set(file, (readings.get(file) ?? 0) + 1);
    elements[0] = readings.get(file) as number;
  }
  return elements;
}

/** Writes the elements of an array to `directory`/`name`.raw. */
export async function writeArray(
  directory: string,
  name: string,
  dtype: ArrayFile['dtype'],
  data: ArrayBufferView,
  dims: readonly number[],
): Promise<ArrayFile> {
  const file = path.join(directory, `${name}.raw`);
  await writeFile(file, new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
  return { file, dtype, dims: [...dims] };
}

/** float32 numbers in [low, high), the same for the same seed. */
export function randomArray(
  directory: string,
  name: string,
  dims: readonly number[],
  seed: number,
  [low, high]: readonly [number, number] = [-1, 1],
): Promise<ArrayFile> {
  const next = randomNumbers(seed);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: size }, () => low + (high - low) * next());
  return writeArray(directory, name, 'float32', data, dims);
}

/** A photo resized to a size in pixels, whatever its proportions. */
export async function photoArray(
  directory: string,
  name: string,
  photo: string,
  [height, width]: readonly [number, number],
): Promise<ArrayFile> {
  const resized = sharp(photo).removeAlpha().toColourspace('srgb').resize(width, height, { fit: 'fill' });
  return writeArray(directory, name, 'uint8', await resized.raw().toBuffer(), [height, width, 3]);
}

/** How far two files of the same dtype and dims are apart. */
export interface Difference {
  /** Largest absolute difference; NaN where either side has a value that is no number. For bool 0 or 1. */
  largest: number;
  /** Largest absolute value of the second side, at least 1. */
  scale: number;
  /** Part of the elements that are equal. */
  equal: number;
}

/** @throws Error for another dtype or other dims. */
export async function differenceOf(ours: ArrayFile, theirs: ArrayFile): Promise<Difference> {
  const described = ({ dtype, dims }: ArrayFile): string => `${dtype} [${dims.join(', ')}]`;
  if (described(ours) !== described(theirs))
    throw new Error(`${described(ours)} cannot be compared with ${described(theirs)}`);
  const [a, b] = (await Promise.all([readArray(ours), readArray(theirs)])) as [Float32Array, Float32Array];
  let [largest, scale, equal] = [0, 1, 0];
  for (let index = 0; index < b.length; index++) {
    // Math.max keeps NaN, which no limit admits.
    largest = Math.max(largest, Math.abs(a[index] - b[index]));
    scale = Math.max(scale, Math.abs(b[index]));
    if (a[index] === b[index]) equal += 1;
  }
  return { largest, scale, equal: b.length ? equal / b.length : 1 };
}
