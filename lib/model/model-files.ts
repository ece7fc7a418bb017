/** The files of a model directory: graphs and weights, checked before libtorch sees them. */
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import type { DType } from '../core/dtype';
import { wrongValue } from '../core/errors';
import { find_graphs, find_model_graphs } from './graphs';
import type { GraphFiles, Graphs } from './graphs';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { addon, callNative } from '../native/binding';
import type { Device } from '../core/types';
import { failWithoutWeights, find_weight_files } from '../checkpoint/weights';

/** Absolute paths of what a model is loaded from. */
export interface ModelFiles {
  graphs: GraphFiles;
  /** safetensors files; empty where the graphs hold their weights. */
  weights: string[];
}

/**
 * The graphs of a model: those in the `torchscript` folder of a directory, else those that this package ships.
 *
 * @throws Sam3TrackerError as `find_model_graphs`.
 */
export async function find_model_graphs_of(
  source: PretrainedFiles,
  config: Sam3TrackerConfig,
): Promise<Graphs> {
  return source.directory === null
    ? { files: find_graphs(config, source.name), holdsWeights: false }
    : find_model_graphs(source.directory, config);
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
  const { files, holdsWeights } = await find_model_graphs_of(source, config);
  const weights = await find_weight_files(source);
  if (weights === null && holdsWeights === false) failWithoutWeights(source);
  return { graphs: files, weights: weights ?? [] };
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
    const weights = await callNative(() => addon().readWeightInfo(files.weights));
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
