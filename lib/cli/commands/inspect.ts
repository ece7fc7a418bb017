/** `sam3-tracker inspect`: what a model consists of, whether its parts fit, and what would be loaded. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { Sam3TrackerConfig } from '../../config/sam3-tracker';
import { DTYPES } from '../../core/dtype';
import { Sam3TrackerError } from '../../core/errors';
import { sha256File } from '../../core/files';
import { configHash } from '../../model/graph-config';
import { findModelGraphs, graphParameters } from '../../model/graphs';
import { openPretrained } from '../../checkpoint/pretrained-files';
import { readSafetensors } from '../../checkpoint/safetensors';
import type { SafetensorsEntry } from '../../checkpoint/safetensors';
import { readConfigDict } from '../../checkpoint/settings';
import { findWeightFiles } from '../../checkpoint/weights';
import { MODEL_ARGUMENT } from '../arguments';
import type { CommandContext, Output } from '../io';

/** The options of the command line, as commander gives them. */
interface InspectOptions {
  revision: string;
  cacheDir?: string;
  hash: boolean;
  json: boolean;
  debug: boolean;
}

/** A file with its size, and its sha256 in hex where that was asked for. */
interface FileRecord {
  file: string;
  bytes: number;
  sha256: string | null;
}

/** What the command prints with --json. */
export interface ModelRecord {
  model: string;
  folder: string;
  model_type: string;
  /** Height and width of the model's input in pixels; one number where they are equal. */
  image_size: number | number[];
  config_hash: string;
  graphs: FileRecord[];
  weights: FileRecord[];
  /** Weights that would be loaded. */
  loaded: { parameters: number; tensors: number; bytes: number; dtypes: Record<string, number> };
  /** Weights of other parts of the checkpoint, which are not read. */
  ignored: { tensors: number; bytes: number };
  /** Names, as transformers has them. */
  missing: string[];
  unexpected: string[];
  duplicates: string[];
  /** Weights of another shape than the graphs': name, and both shapes. */
  misshapen: { name: string; found: number[]; expected: number[] }[];
  /** Weights of a dtype that cannot be read: name, and the file's name of the dtype. */
  unreadable: { name: string; dtype: string }[];
  /** Why the model cannot be loaded; null where it can. */
  problem: string | null;
}

async function describeFile(file: string, hashed: boolean): Promise<FileRecord> {
  return { file, bytes: (await stat(file)).size, sha256: hashed ? await sha256File(file) : null };
}

const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

function compareWeights(
  weights: readonly SafetensorsEntry[],
  expected: Record<string, number[]> | null,
): Pick<
  ModelRecord,
  'loaded' | 'ignored' | 'missing' | 'unexpected' | 'duplicates' | 'misshapen' | 'unreadable'
> {
  const own = weights.filter(({ trackerName }) => trackerName !== null);
  const foreign = weights.filter(({ trackerName }) => trackerName === null);
  const names = own.map(({ trackerName }) => trackerName as string);
  const wanted = own.filter(({ trackerName }) => expected === null || (trackerName as string) in expected);
  const dtypes: Record<string, number> = {};
  for (const { dtype } of wanted) dtypes[dtype] = (dtypes[dtype] ?? 0) + 1;
  const bytesOf = (list: readonly SafetensorsEntry[]): number =>
    list.reduce((sum, { begin, end }) => sum + end - begin, 0);
  return {
    loaded: {
      parameters: wanted.reduce((sum, { shape }) => sum + elements(shape), 0),
      tensors: wanted.length,
      bytes: bytesOf(wanted),
      dtypes,
    },
    ignored: { tensors: foreign.length, bytes: bytesOf(foreign) },
    missing: Object.keys(expected ?? {}).filter((name) => !names.includes(name)),
    unexpected: names.filter((name) => expected !== null && !(name in expected)),
    duplicates: [...new Set(names.filter((name, index) => names.indexOf(name) !== index))],
    misshapen: own.flatMap(({ trackerName, shape }) => {
      const right = expected?.[trackerName as string];
      const fits =
        right === undefined || (right.length === shape.length && right.every((n, i) => n === shape[i]));
      return fits ? [] : [{ name: trackerName as string, found: shape, expected: right }];
    }),
    unreadable: own
      .filter(({ dtype }) => !(dtype in DTYPES))
      .map(({ trackerName, dtype }) => ({ name: trackerName as string, dtype })),
  };
}

function problemOf(record: ModelRecord): string | null {
  const { missing, unexpected, duplicates, misshapen, unreadable, weights } = record;
  const some = (names: readonly string[]): string =>
    names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
  if (weights.length === 0) return 'it has no weights';
  if (unreadable.length > 0)
    return `${unreadable.length} weights have a dtype that cannot be read (${unreadable[0].dtype}): ${some(unreadable.map(({ name }) => name))}`;
  if (missing.length > 0) return `${missing.length} weights are missing: ${some(missing)}`;
  if (duplicates.length > 0) return `${duplicates.length} weights are there twice: ${some(duplicates)}`;
  if (unexpected.length > 0) return `${unexpected.length} weights fit no graph: ${some(unexpected)}`;
  if (misshapen.length > 0)
    return `${misshapen.length} weights are of another shape: ${some(misshapen.map(({ name }) => name))}`;
  return null;
}

/** Describes a model; nothing is downloaded. @throws as `from_pretrained` for what cannot be described at all. */
async function describeModel(name: string, options: InspectOptions): Promise<ModelRecord> {
  const files = await openPretrained(
    name,
    { revision: options.revision, cache_dir: options.cacheDir },
    `"sam3-tracker inspect" only looks ("sam3-tracker download ${name}" fetches it)`,
  );
  const config = Sam3TrackerConfig.from_dict(await readConfigDict(files));
  const weightFiles = (await findWeightFiles(files)) ?? [];
  const tables = await files.read(() => Promise.all(weightFiles.map(readSafetensors)));
  let graphs: string[] = [];
  let expected: Record<string, number[]> | null = null;
  let holdsWeights = false;
  let problem: string | null = null;
  try {
    const found = await findModelGraphs(files, config);
    graphs = Object.values(found.files);
    ({ holdsWeights } = found);
    if (!holdsWeights) expected = graphParameters(found.files);
  } catch (error) {
    if (!(error instanceof Sam3TrackerError)) throw error;
    problem = error.message;
  }
  const record: ModelRecord = {
    model: name,
    folder: files.folder,
    model_type: config.model_type,
    image_size: config.prompt_encoder_config.image_size,
    config_hash: configHash(config),
    graphs: await Promise.all(graphs.map((file) => describeFile(file, true))),
    weights: await Promise.all(weightFiles.map((file) => describeFile(file, options.hash))),
    ...compareWeights(
      tables.flatMap(({ entries }) => entries),
      expected,
    ),
    problem,
  };
  // Graphs that hold their weights need no files of weights.
  if (weightFiles.length > 0 || !holdsWeights) record.problem ??= problemOf(record);
  return record;
}

const sizeText = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function print(record: ModelRecord, output: Output): void {
  const line = (what: string, value: string): void =>
    void output.stdout.write(`${what.padEnd(14)}${value}\n`);
  const file = ({ file: name, bytes, sha256 }: FileRecord): string =>
    `${path.basename(name)}, ${sizeText(bytes)}${sha256 === null ? '' : `, sha256 ${sha256}`}`;
  const { loaded, ignored } = record;
  line('model', record.model);
  line('folder', record.folder);
  line('type', `${record.model_type}, input of ${String(record.image_size)} pixels`);
  line('config_hash', record.config_hash);
  if (record.graphs.length > 0) line('graphs', path.dirname(record.graphs[0].file));
  for (const graph of record.graphs) line('', file(graph));
  for (const [index, weight] of record.weights.entries()) line(index === 0 ? 'weights' : '', file(weight));
  const kinds = Object.entries(loaded.dtypes).map(([dtype, count]) => `${count} of ${dtype}`);
  line(
    'loaded',
    `${(loaded.parameters / 1e6).toFixed(1)} M parameters in ${loaded.tensors} tensors (${kinds.join(', ')}), ` +
      sizeText(loaded.bytes),
  );
  if (ignored.tensors > 0)
    line(
      'ignored',
      `${ignored.tensors} tensors of other parts, ${sizeText(ignored.bytes)}, which are not read`,
    );
  line('loads', record.problem === null ? 'yes' : `no: ${record.problem}`);
}

/** The command. */
export function inspectCommand({ output, finish }: CommandContext): Command {
  return new Command('inspect')
    .summary('show what a model consists of and what would be loaded')
    .description(
      'Shows parameters, dtypes, sizes, graphs and hashes of a model, and whether they fit each other. Nothing is ' +
        'downloaded: of a model on the hub it shows what the cache has.',
    )
    .argument('<model>', MODEL_ARGUMENT)
    .option('--revision <revision>', 'a branch, a tag or a commit', 'main')
    .option('--cache-dir <directory>', "the hub's cache (default: HF_HUB_CACHE, else $HF_HOME/hub)")
    .option('--hash', 'compute the sha256 of the weights, which takes a while', false)
    .option('--json', 'print JSON', false)
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: InspectOptions) => {
      const record = await describeModel(model, options);
      if (options.json) output.stdout.write(`${JSON.stringify(record, null, 2)}\n`);
      else print(record, output);
      finish(record.problem === null ? 0 : 1);
    });
}
