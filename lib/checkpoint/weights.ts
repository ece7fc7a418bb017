/** The safetensors files of a model: one, or the shards that an index names. */
import path from 'node:path';
import { Sam3TrackerError } from '../core/errors';
import { objectField, readJsonFile } from '../core/files';
import type { PretrainedFiles } from './pretrained-files';

/**
 * The safetensors files of a model, downloaded first where they have to be.
 *
 * @returns their paths; null where the model has none.
 * @throws Sam3TrackerError FILE_NOT_FOUND for a shard that is missing, FILE_INVALID for an index that is none, and as
 *   `PretrainedFiles.find`.
 */
export async function findWeightFiles(files: PretrainedFiles): Promise<string[] | null> {
  const single = await files.find('model.safetensors');
  if (single !== null) return [single];
  const index = await files.find('model.safetensors.index.json');
  if (index === null) return null;
  const map = objectField((await files.read(() => readJsonFile(index))).weight_map, index, 'weight_map');
  const found: string[] = [];
  for (const shard of [...new Set(Object.values(map))].sort()) {
    // A shard is a file of this model: an index from elsewhere must not lead out of it.
    if (typeof shard !== 'string' || shard !== path.basename(shard) || ['', '.', '..'].includes(shard))
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `${index} names a shard that is no file name: ${JSON.stringify(shard)}.`,
      );
    const file = await files.find(shard);
    found.push(file ?? files.fail(`shard ${shard}, which ${path.basename(index)} names`));
  }
  return found;
}

/** Ends with the error for a model without weights. @throws Sam3TrackerError FILE_NOT_FOUND. */
export function failWithoutWeights(files: PretrainedFiles): never {
  return files.fail('weights: neither model.safetensors nor model.safetensors.index.json');
}
