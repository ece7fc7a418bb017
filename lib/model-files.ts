/** The files of a model directory: graphs, manifest, weights; checked before libtorch sees them. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import type { Sam3TrackerConfig } from './configuration-sam3-tracker';
import type { DType } from './dtype';
import { Sam3TrackerError, wrongValue } from './errors';
import { config_hash } from './graph-config';
import { read_json_file } from './hub';
import { callNative, native } from './native';
import type { Device } from './types';

/** The version of the manifest and of the graphs' methods that this package reads. */
const FORMAT_VERSION = 1;

const COMPONENTS = ['vision_encoder', 'prompt_encoder', 'mask_decoder'] as const;

/** Absolute paths of what a model is loaded from. */
export interface ModelFiles {
  graphs: Record<(typeof COMPONENTS)[number], string>;
  /** safetensors files; empty where the graphs hold their weights. */
  weights: string[];
}

async function isFile(file: string): Promise<boolean> {
  try {
    return (await stat(file)).isFile();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return false;
    throw error;
  }
}

async function sha256(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

function invalid(file: string, what: string): Sam3TrackerError {
  return new Sam3TrackerError('FILE_INVALID', `${file} ${what}`);
}

function asObject(value: unknown, file: string, field: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw invalid(file, `has no object "${field}".`);
  return value as Record<string, unknown>;
}

/** The manifest, whose hashes the graphs must have and whose configuration must be config.json's. */
async function checkManifest(
  file: string,
  graphs: ModelFiles['graphs'],
  config: Sam3TrackerConfig,
): Promise<Record<string, unknown>> {
  const manifest = await read_json_file(file);
  if (manifest.format_version !== FORMAT_VERSION)
    throw new Sam3TrackerError(
      'CONFIG_MISMATCH',
      `${file} is of format version ${String(manifest.format_version)}, this package reads ${FORMAT_VERSION}. ` +
        'Export the model again with the export_model.py of this version.',
    );
  const expectedConfig = config_hash(config);
  if (manifest.config_hash !== expectedConfig)
    throw new Sam3TrackerError(
      'CONFIG_MISMATCH',
      `The graphs beside ${file} were made for another configuration than config.json: the manifest's config_hash is ` +
        `${String(manifest.config_hash)}, config.json gives ${expectedConfig}. Export the model again.`,
    );
  const hashes = asObject(manifest.files, file, 'files');
  for (const graph of Object.values(graphs)) {
    const name = path.basename(graph);
    const expected = asObject(hashes[name], file, `files.${name}`).sha256;
    if (typeof expected !== 'string') throw invalid(file, `has no sha256 of ${name}.`);
    const found = await sha256(graph);
    if (found !== expected)
      throw new Sam3TrackerError(
        'HASH_MISMATCH',
        `${graph} is not the file that the manifest describes: its sha256 is ${found}, the manifest says ${expected}. ` +
          'Copy or export it again.',
      );
  }
  return manifest;
}

/**
 * The safetensors files of a model; none where the graphs hold their weights, as the manifest says.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND where there are none and the graphs need them.
 */
async function findWeights(directory: string, manifest: Record<string, unknown> | null): Promise<string[]> {
  const single = path.join(directory, 'model.safetensors');
  if (await isFile(single)) return [single];
  const index = path.join(directory, 'model.safetensors.index.json');
  if (!(await isFile(index))) {
    if (manifest && manifest.holds_weights !== true)
      throw new Sam3TrackerError(
        'FILE_NOT_FOUND',
        `The model in ${directory} has no weights: there is neither model.safetensors nor model.safetensors.index.json.`,
      );
    return [];
  }
  const map = asObject((await read_json_file(index)).weight_map, index, 'weight_map');
  const shards = [...new Set(Object.values(map))].sort();
  const files = shards.map((shard) => {
    // A shard is a file of this directory: an index from elsewhere must not lead out of it.
    if (typeof shard !== 'string' || shard !== path.basename(shard))
      throw invalid(index, `names a shard that is no file name: ${JSON.stringify(shard)}.`);
    return path.join(directory, shard);
  });
  for (const file of files) {
    if (!(await isFile(file)))
      throw new Sam3TrackerError('FILE_NOT_FOUND', `${index} names a shard that is not there: ${file}.`);
  }
  return files;
}

/**
 * Finds and checks the files of a model directory (design: config.json, model.safetensors or shards, torchscript/).
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for a missing graph, with the export command; FILE_INVALID, CONFIG_MISMATCH
 *   and HASH_MISMATCH as the manifest shows.
 */
export async function find_model_files(directory: string, config: Sam3TrackerConfig): Promise<ModelFiles> {
  const folder = path.join(directory, 'torchscript');
  const graphs = Object.fromEntries(
    COMPONENTS.map((name) => [name, path.join(folder, `${name}.pt`)]),
  ) as ModelFiles['graphs'];
  for (const graph of Object.values(graphs)) {
    if (!(await isFile(graph)))
      throw new Sam3TrackerError(
        'FILE_NOT_FOUND',
        `The model in ${directory} has no graph ${graph}. Make the graphs with ` +
          `"python scripts/export_model.py --checkpoint ${directory} --out <directory>" and load <directory>.`,
      );
  }
  const file = path.join(folder, 'manifest.json');
  const manifest = (await isFile(file)) ? await checkManifest(file, graphs, config) : null;
  return { graphs, weights: await findWeights(directory, manifest) };
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
