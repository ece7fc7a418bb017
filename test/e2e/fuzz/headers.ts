/** Safetensors files with a few random edits of a valid one: each is refused with an error, or has weights in its bounds. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readSafetensors } from '../../../lib/checkpoint/safetensors';
import type { SafetensorsFile } from '../../../lib/checkpoint/safetensors';
import { DTYPES, isDType } from '../../../lib/core/dtype';
import { addon } from '../../../lib/native/binding';
import { randomNumbers } from '../../support/random';
import { writeRaw } from '../../support/safetensors';

const HEADER =
  '{"__metadata__":{"format":"pt"},"b":{"dtype":"F16","shape":[2],"data_offsets":[8,12]},' +
  '"a":{"dtype":"F32","shape":[1,2],"data_offsets":[0,8]},' +
  '"e":{"shape":[0,3],"data_offsets":[12,12],"dtype":"I64"}}   ';
const DATA = Buffer.alloc(12, 1);
const CHARACTERS = '{}[]",:0123456789\\eE.-';

/** How many of the files were read and how many were refused. */
export interface HeaderCounts {
  read: number;
  refused: number;
}

/** One to four random edits. */
function edited(bytes: Buffer, random: () => number): Buffer {
  const below = (count: number): number => Math.floor(random() * count);
  let edits = 1 + below(4);
  let result = Buffer.from(bytes);
  while (edits-- > 0 && result.length > 0) {
    const at = below(result.length);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    const kind = below(6);
    if (kind === 0) result[at] = below(256);
    else if (kind === 1) result = Buffer.concat([before, after.subarray(1 + below(9))]);
    else if (kind === 2) result = Buffer.concat([before, Buffer.alloc(1 + below(9), below(256)), after]);
    else if (kind === 3) result = Buffer.from(before);
    else if (kind === 4)
      result = Buffer.concat([before, result.subarray(below(result.length)).subarray(0, below(40)), after]);
    else result[at] = CHARACTERS.charCodeAt(below(CHARACTERS.length));
  }
  return result;
}

/** Checks without the reader's own arithmetic what native code relies on, and that it takes the table. */
async function checkBounds({ path: file, size, entries }: SafetensorsFile): Promise<void> {
  let covered = 0;
  for (const { dtype, shape, begin, end } of entries) {
    assert.ok(0 <= begin && begin <= end && end <= size);
    covered += end - begin;
    const elements = shape.reduce((product, count) => product * BigInt(count), 1n);
    if (isDType(dtype)) assert.equal(elements * BigInt(DTYPES[dtype].bytes), BigInt(end - begin));
  }
  assert.ok(covered <= size - 8);
  const weights = entries.flatMap(({ name, dtype, shape, begin, end }) =>
    isDType(dtype) ? [{ name, dtype, shape, begin, end }] : [],
  );
  const load = addon().loadTrackerModel({
    // Graphs are opened once the weights have been taken.
    vision_encoder: `${file}.none`,
    prompt_encoder: '',
    mask_decoder: '',
    weight_files: [{ path: file, size, weights }],
    random_weights: null,
    device: 'cpu',
    dtype: 'float32',
    dynamic_multimask_via_stability: true,
    dynamic_multimask_stability_delta: 0,
    dynamic_multimask_stability_thresh: 0,
    num_point_embeddings: 4,
  });
  await assert.rejects(load, { code: 'FILE_NOT_FOUND', message: /no TorchScript file/ });
}

/**
 * Reads edited files, every second one with its length kept right, so that what is edited is the header's text.
 *
 * @param count of files.
 * @param seed which ones.
 * @throws AssertionError for a file that is refused in another way than it should, or read with weights out of bounds.
 */
export async function runHeaders(count: number, seed: number): Promise<HeaderCounts> {
  const folder = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-headers-'));
  const file = path.join(folder, 'weights.safetensors');
  const random = randomNumbers(seed);
  const counts = { read: 0, refused: 0 };
  try {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(BigInt(HEADER.length));
    const whole = Buffer.concat([length, Buffer.from(HEADER), DATA]);
    for (let index = 0; index < count; index++) {
      if (index % 2 === 0) writeRaw(file, edited(Buffer.from(HEADER), random), DATA);
      else writeFileSync(file, edited(whole, random));
      let found: SafetensorsFile;
      try {
        found = await readSafetensors(file);
      } catch (error) {
        const { name, code, message } = error as Error & { code?: string };
        assert.equal(
          `${name} ${code}`,
          'Sam3TrackerError FILE_INVALID',
          `${index} of seed ${seed}: ${message}`,
        );
        counts.refused++;
        continue;
      }
      await checkBounds(found);
      counts.read++;
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
  return counts;
}
