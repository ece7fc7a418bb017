/** The files of a model directory: graphs and weights, checked before libtorch sees them. */
import path from 'node:path';
import type { Sam3TrackerConfig } from './configuration-sam3-tracker';
import type { DType } from './dtype';
import { Sam3TrackerError, wrongValue } from './errors';
import { isFile, objectField, read_json_file } from './files';
import { find_model_graphs } from './graph-files';
import type { GraphFiles } from './graph-files';
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
async function findWeights(directory: string, holdsWeights: boolean | null): Promise<string[]> {
  const single = path.join(directory, 'model.safetensors');
  if (await isFile(single)) return [single];
  const index = path.join(directory, 'model.safetensors.index.json');
  if (!(await isFile(index))) {
    if (holdsWeights === false)
      throw new Sam3TrackerError(
        'FILE_NOT_FOUND',
        `The model in ${directory} has no weights: there is neither model.safetensors nor model.safetensors.index.json.`,
      );
    return [];
  }
  const map = objectField((await read_json_file(index)).weight_map, index, 'weight_map');
  const shards = [...new Set(Object.values(map))].sort();
  const files = shards.map((shard) => {
    // A shard is a file of this directory: an index from elsewhere must not lead out of it.
    if (typeof shard !== 'string' || shard !== path.basename(shard))
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `${index} names a shard that is no file name: ${JSON.stringify(shard)}.`,
      );
    return path.join(directory, shard);
  });
  for (const file of files) {
    if (!(await isFile(file)))
      throw new Sam3TrackerError('FILE_NOT_FOUND', `${index} names a shard that is not there: ${file}.`);
  }
  return files;
}

/**
 * Finds and checks the files of a model directory: config.json, model.safetensors or shards, and torchscript/ unless
 * this package ships the graphs of the configuration.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for missing weights; and as `find_model_graphs`.
 */
export async function find_model_files(directory: string, config: Sam3TrackerConfig): Promise<ModelFiles> {
  const { files, holdsWeights } = await find_model_graphs(directory, config);
  return { graphs: files, weights: await findWeights(directory, holdsWeights) };
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
