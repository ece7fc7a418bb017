/** The bundled model, and temporary copies of its directory with something changed. */
import assert from 'node:assert/strict';
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import type { Sam3TrackerImageSegmentationOutput } from '../../lib/model/outputs';
import { Tensor } from '../../lib/tensor';
import { randomNumbers } from './random';

/** The directory of the bundled model. */
export const BUNDLED_MODEL = path.join(__dirname, '..', '..', 'models', 'sam3-tracker-tiny');

/** Side of the bundled model's square input, in pixels. */
export const BUNDLED_SIDE = 192;

/** A temporary copy of the bundled model's directory. */
export class ModelCopy {
  readonly directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-model-'));

  constructor() {
    cpSync(BUNDLED_MODEL, this.directory, { recursive: true });
  }

  /** The absolute path of one of its files. */
  file(name: string): string {
    return path.join(this.directory, name);
  }

  /** Changes a JSON file of the directory; the caller knows its fields. */
  editJson<T>(name: string, edit: (value: T) => void): void {
    const value = JSON.parse(readFileSync(this.file(name), 'utf8')) as T;
    edit(value);
    writeFileSync(this.file(name), JSON.stringify(value));
  }

  /** Removes files or folders. */
  remove(...names: string[]): void {
    for (const name of names) rmSync(this.file(name), { recursive: true });
  }

  /** Removes the whole copy. */
  dispose(): void {
    rmSync(this.directory, { recursive: true, force: true });
  }
}

/** Calls a test with a fresh copy, which is removed afterwards. */
export async function withModelCopy(run: (copy: ModelCopy) => Promise<void> | void): Promise<void> {
  const copy = new ModelCopy();
  try {
    await run(copy);
  } finally {
    copy.dispose();
  }
}

/** A float32 Tensor of numbers in [low, high), the same for the same seed. */
export function randomTensor(dims: readonly number[], seed = 1, [low, high] = [-1, 1]): Tensor {
  const next = randomNumbers(seed);
  const size = dims.reduce((product, dim) => product * dim, 1);
  const data = Float32Array.from({ length: size }, () => low + (high - low) * next());
  return new Tensor('float32', data, dims);
}

/** (images, 3, 192, 192) of numbers, the same in every call. */
export const pixels = (images = 1): Tensor => randomTensor([images, 3, BUNDLED_SIDE, BUNDLED_SIDE]);

/** (images, objects, count, 2) inside the model's square input. */
export const points = (images = 1, objects = 1, count = 1, seed = 2): Tensor =>
  randomTensor([images, objects, count, 2], seed, [0, BUNDLED_SIDE]);

/** One label everywhere, int64. */
export const labels = (dims: readonly number[], label = 1): Tensor =>
  new Tensor('int64', new BigInt64Array(dims.reduce((a, b) => a * b, 1)).fill(BigInt(label)), dims);

/** The same box for every object: (images, objects, 4), xyxy. */
export const boxes = (images = 1, objects = 1): Tensor =>
  new Tensor('float32', Array.from({ length: images * objects }, () => [20, 30, 120, 150]).flat(), [
    images,
    objects,
    4,
  ]);

/** float32 numbers in [-1, 1). */
export const float32 = (...dims: number[]): Tensor => randomTensor(dims);

/** The bytes of a CPU tensor's elements. */
export const bytesOf = ({ data }: Tensor): Buffer =>
  Buffer.from(data.buffer, data.byteOffset, data.byteLength);

/** @throws AssertionError unless masks, scores and object scores are the same, bit for bit. */
export function assertSameBits(one: Sam3TrackerImageSegmentationOutput, other: typeof one): void {
  for (const name of ['pred_masks', 'iou_scores', 'object_score_logits'] as const) {
    assert.deepEqual(one[name].dims, other[name].dims);
    assert.ok(bytesOf(one[name]).equals(bytesOf(other[name])), `${name} differ`);
  }
}
