/** The files of a model directory: graphs and weights, checked before libtorch sees them. */
import path from 'node:path';
import type { Sam3TrackerConfig } from './configuration-sam3-tracker';
import type { DType } from './dtype';
import { Sam3TrackerError, wrongValue } from './errors';
import { objectField, read_json_file } from './files';
import { find_graphs, find_model_graphs } from './graph-files';
import type { GraphFiles } from './graph-files';
import type { PretrainedFiles } from './hub/pretrained-files';
import { callNative, native } from './native';
import type { Device } from './types';

/** Absolute paths of what a model is loaded from. */
export interface ModelFiles {
  graphs: GraphFiles;
  /** safetensors files; empty where the graphs hold their weights. */
  weights: string[];
}

/**
 * The safetensors files of a model; none where the graphs hold their weights, as the manifest says.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND where there are none and the graphs need them.
 */
async function findWeights(source: PretrainedFiles, holdsWeights: boolean | null): Promise<string[]> {
  const single = await source.find('model.safetensors');
  if (single !== null) return [single];
  const index = await source.find('model.safetensors.index.json');
  if (index === null) {
    if (holdsWeights === false)
      source.fail('weights: neither model.safetensors nor model.safetensors.index.json');
    return [];
  }
  const map = objectField((await read_json_file(index)).weight_map, index, 'weight_map');
  const files: string[] = [];
  for (const shard of [...new Set(Object.values(map))].sort()) {
    // A shard is a file of this model: an index from elsewhere must not lead out of it.
    if (typeof shard !== 'string' || shard !== path.basename(shard) || ['', '.', '..'].includes(shard))
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `${index} names a shard that is no file name: ${JSON.stringify(shard)}.`,
      );
    files.push(
      (await source.find(shard)) ?? source.fail(`shard ${shard}, which ${path.basename(index)} names`),
    );
  }
  return files;
}

/**
 * Finds and checks the files of a model: config.json, model.safetensors or shards, and the graphs: those in the
 * `torchscript` folder of a directory, else those that this package ships for the configuration. From the hub weights
 * are downloaded, and only once there are graphs for them; never code.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for missing weights; as `find_model_graphs`; and the hub's.
 */
export async function find_model_files(
  source: PretrainedFiles,
  config: Sam3TrackerConfig,
): Promise<ModelFiles> {
  const { files, holdsWeights } =
    source.directory === null
      ? { files: find_graphs(config), holdsWeights: false }
      : await find_model_graphs(source.directory, config);
  return { graphs: files, weights: await findWeights(source, holdsWeights) };
}

/**
 * The element type that dtype 'auto' stands for, by transformers' rule: config.json's, else the first floating weight's;
 * but half precision computes in float32 on the CPU.
 *
 * @throws RangeError for a float64 checkpoint, which has to be loaded in a named dtype.
 */
export async function automaticDtype(
  config: Sam3TrackerConfig,
  files: ModelFiles,
  device: Device,
): Promise<DType> {
  let { dtype } = config.to_dict() as { dtype?: unknown };
  if (typeof dtype !== 'string') {
    const weights = await callNative(() => native.readWeightInfo(files.weights));
    dtype = weights.find((weight) => /^b?float/.test(weight.dtype))?.dtype;
  }
  if (dtype === 'float64')
    throw wrongValue(
      "a dtype ('float32', 'float16', 'bfloat16')",
      "dtype 'auto'",
      dtype,
      'Name the one to compute in.',
    );
  const half = dtype === 'float16' || dtype === 'bfloat16';
  return half && device !== 'cpu' ? (dtype as DType) : 'float32';
}
