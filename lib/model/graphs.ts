/** The files that a model is loaded from: graphs and weights, checked before libtorch sees them. */
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import { Sam3TrackerError, describe } from '../core/errors';
import {
  isFile,
  kindOf,
  objectField,
  parseJsonObject,
  readFileNow,
  readJsonFile,
  refuseLfsPointer,
  sha256File,
} from '../core/files';
import { configHash } from './graph-config';
import { BUNDLED_MODELS } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { failWithoutWeights, findWeightFiles } from '../checkpoint/weights';

/** The version of the manifest and of the graphs' methods that this package reads. */
const FORMAT_VERSION = 3;

const COMPONENTS = ['vision_encoder', 'prompt_encoder', 'mask_decoder'] as const;
const MANIFEST = 'manifest.json';

/** Absolute paths of a model's three graphs. */
export type GraphFiles = Record<(typeof COMPONENTS)[number], string>;

/** Graphs that have the hashes of their manifest, and what it says of them. */
export interface Graphs {
  files: GraphFiles;
  /** Whether they hold their weights themselves. */
  holdsWeights: boolean;
}

/** Absolute paths of what a model is loaded from. */
export interface ModelFiles {
  graphs: GraphFiles;
  /** safetensors files; empty where the graphs hold their weights. */
  weights: string[];
}

interface Manifest {
  hashes: Record<string, string>;
  configHash: string;
  holdsWeights: boolean;
}

function graphFilesOf(folder: string): GraphFiles {
  return Object.fromEntries(COMPONENTS.map((name) => [name, path.join(folder, `${name}.pt`)])) as GraphFiles;
}

const readNow = (file: string): Record<string, unknown> =>
  parseJsonObject(readFileNow(file).toString(), file);

function readManifest(manifest: Record<string, unknown>, file: string): Manifest {
  if (manifest.format_version !== FORMAT_VERSION)
    throw new Sam3TrackerError(
      'CONFIG_MISMATCH',
      `${file} is of format version ${describe(manifest.format_version)}, this package reads ${FORMAT_VERSION}. ` +
        'Export the model again with the export_model.py of this version.',
    );
  const files = objectField(manifest.files, file, 'files');
  const hashes = COMPONENTS.map((component) => {
    const name = `${component}.pt`;
    const { sha256 } = objectField(files[name], file, `files.${name}`);
    if (typeof sha256 !== 'string')
      throw new Sam3TrackerError('FILE_INVALID', `${file} has no sha256 of ${name}.`);
    return [name, sha256];
  });
  return {
    hashes: Object.fromEntries(hashes) as Manifest['hashes'],
    configHash: String(manifest.config_hash).slice(0, 64),
    holdsWeights: manifest.holds_weights === true,
  };
}

function checkHash(graph: string, expected: string, found: string): void {
  if (found === expected) return;
  // Graphs may hold their weights; a pointer is short.
  if (statSync(graph).size < 1024) refuseLfsPointer(readFileNow(graph), graph);
  throw new Sam3TrackerError(
    'HASH_MISMATCH',
    `${graph} is not the file that the manifest describes: its sha256 is ${found}, the manifest says ${expected.slice(0, 64)}. ` +
      'Copy or export it again.',
  );
}

/**
 * The graphs that this package ships for a configuration, chosen by its content (`configHash`) and checked against
 * their manifest. Returns at once: the files are small.
 *
 * @param config of the model.
 * @param checkpoint the directory or id that the configuration is of, for the command in the error; null for none.
 * @throws Sam3TrackerError GRAPHS_NOT_FOUND, with the command that makes them, for a configuration that the package has
 *   no graphs for; FILE_NOT_FOUND and HASH_MISMATCH for a damaged installation; RangeError as `graphConfig`.
 */
export function findGraphs(config: Sam3TrackerConfig, checkpoint: string | null = null): GraphFiles {
  const wanted = configHash(config);
  if (!existsSync(BUNDLED_MODELS))
    throw new Sam3TrackerError(
      'FILE_NOT_FOUND',
      `This installation of sam3-tracker has no models (${BUNDLED_MODELS}): install the package again.`,
    );
  const bundled = readdirSync(BUNDLED_MODELS, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const entry of bundled) {
    const folder = path.join(BUNDLED_MODELS, entry.name, 'torchscript');
    const file = path.join(folder, MANIFEST);
    const manifest = readManifest(readNow(file), file);
    if (manifest.configHash !== wanted) continue;
    const files = graphFilesOf(folder);
    for (const graph of Object.values(files)) {
      const found = createHash('sha256').update(readFileNow(graph)).digest('hex');
      checkHash(graph, manifest.hashes[path.basename(graph)], found);
    }
    return files;
  }
  throw new Sam3TrackerError(
    'GRAPHS_NOT_FOUND',
    `This package has no graphs for this configuration (config_hash ${wanted}); it has those of ` +
      `${bundled.map(({ name }) => (name === 'sam3' ? 'facebook/sam3' : name)).join(' and ')}. ` +
      'Make them once, where there is a Python with torch: "npx sam3-tracker export --checkpoint ' +
      `${checkpoint ?? '<directory of the checkpoint>'} --out <directory>" (or --config-only <config.json>, without ` +
      'weights), and load the directory that it writes.',
  );
}

/**
 * The shape of every parameter and buffer of graphs by its transformers name, as their manifest says.
 *
 * @throws Sam3TrackerError FILE_INVALID for a manifest that has no such table.
 */
export function graphParameters(graphs: GraphFiles): Record<string, number[]> {
  const file = manifestOf(graphs);
  const components = objectField(readNow(file).components, file, 'components');
  const shapes = COMPONENTS.map((name) => {
    const component = objectField(components[name], file, `components.${name}`);
    return objectField(component.parameters, file, `components.${name}.parameters`);
  });
  return Object.assign({}, ...shapes) as Record<string, number[]>;
}

/** Where the manifest of graphs is. */
export function manifestOf(graphs: GraphFiles): string {
  return path.join(path.dirname(graphs.vision_encoder), MANIFEST);
}

/**
 * The graphs of a model: those in the `torchscript` folder of a directory, else those that this package ships for the
 * configuration.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for a folder without a graph or the manifest, with the command that makes them;
 *   FILE_INVALID, CONFIG_MISMATCH and HASH_MISMATCH for what the manifest shows; and as `findGraphs`.
 */
export async function findModelGraphs(source: PretrainedFiles, config: Sam3TrackerConfig): Promise<Graphs> {
  const { directory, name } = source;
  const folder = directory === null ? null : path.join(directory, 'torchscript');
  if (folder === null || !(await kindOf(folder)))
    return { files: findGraphs(config, directory ?? name), holdsWeights: false };
  const files = graphFilesOf(folder);
  const file = manifestOf(files);
  for (const needed of [...Object.values(files), file]) {
    if (await isFile(needed)) continue;
    throw new Sam3TrackerError(
      'FILE_NOT_FOUND',
      `The graphs in ${folder} are not complete: there is no ${path.basename(needed)}. Make them with ` +
        `"npx sam3-tracker export --checkpoint ${directory} --out <directory>" and load <directory>.`,
    );
  }
  const manifest = readManifest(await readJsonFile(file), file);
  const expected = configHash(config);
  if (manifest.configHash !== expected)
    throw new Sam3TrackerError(
      'CONFIG_MISMATCH',
      `The graphs of ${file} were made for another configuration than config.json: the manifest's config_hash is ` +
        `${manifest.configHash}, config.json gives ${expected}. Export the model again.`,
    );
  for (const graph of Object.values(files))
    checkHash(graph, manifest.hashes[path.basename(graph)], await sha256File(graph));
  return { files, holdsWeights: manifest.holdsWeights };
}

/**
 * Finds the files of a model: graphs, and model.safetensors or shards. From the hub come weights alone, never code, and
 * only once there are graphs for them.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for missing weights; as `findModelGraphs`; and the hub's.
 */
export async function findModelFiles(
  source: PretrainedFiles,
  config: Sam3TrackerConfig,
): Promise<ModelFiles> {
  const { files, holdsWeights } = await findModelGraphs(source, config);
  const weights = await findWeightFiles(source);
  if (weights === null && !holdsWeights) failWithoutWeights(source);
  return { graphs: files, weights: weights ?? [] };
}
