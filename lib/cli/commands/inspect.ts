/** `sam3-tracker inspect`: what a model consists of, whether its parts fit, and what would be loaded. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { Command } from 'commander';
import { Sam3TrackerConfig } from '../../config/sam3-tracker';
import { isDType } from '../../core/dtype';
import { Sam3TrackerError } from '../../core/errors';
import { sha256File } from '../../core/files';
import { configHash } from '../../model/graph-config';
import { findModelGraphs, graphParameters } from '../../model/graphs';
import { openPretrained } from '../../checkpoint/pretrained-files';
import { readSafetensors } from '../../checkpoint/safetensors';
import type { SafetensorsEntry } from '../../checkpoint/safetensors';
import { readConfigDict } from '../../checkpoint/settings';
import { findWeightFiles } from '../../checkpoint/weights';
import { MODEL_ARGUMENT, addHubOptions } from '../arguments';
import type { CommandContext, Output } from '../io';
import { counted, printableName } from '../text';

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
  /** Weights that would be loaded; of graphs that hold them, bytes and dtypes are not told apart from the graphs. */
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

function describeFiles(files: readonly string[], hashed: boolean): Promise<FileRecord[]> {
  return Promise.all(
    files.map(async (file) => ({
      file,
      bytes: (await stat(file)).size,
      sha256: hashed ? await sha256File(file) : null,
    })),
  );
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
  const isWanted = (name: string): boolean => expected === null || Object.hasOwn(expected, name);
  const wanted = own.filter(({ trackerName }) => isWanted(trackerName as string));
  const present = new Set<string>();
  const twice = new Set<string>();
  for (const name of names) (present.has(name) ? twice : present).add(name);
  const dtypes = new Map<string, number>();
  for (const { dtype } of wanted) dtypes.set(dtype, (dtypes.get(dtype) ?? 0) + 1);
  const bytesOf = (list: readonly SafetensorsEntry[]): number =>
    list.reduce((sum, { begin, end }) => sum + end - begin, 0);
  return {
    loaded: {
      parameters: wanted.reduce((sum, { shape }) => sum + elements(shape), 0),
      tensors: wanted.length,
      bytes: bytesOf(wanted),
      dtypes: Object.fromEntries(dtypes),
    },
    ignored: { tensors: foreign.length, bytes: bytesOf(foreign) },
    missing: Object.keys(expected ?? {}).filter((name) => !present.has(name)),
    unexpected: names.filter((name) => !isWanted(name)),
    duplicates: [...twice],
    misshapen: own.flatMap(({ trackerName, shape }) => {
      const name = trackerName as string;
      const right = expected !== null && Object.hasOwn(expected, name) ? expected[name] : undefined;
      const fits =
        right === undefined || (right.length === shape.length && right.every((n, i) => n === shape[i]));
      return fits ? [] : [{ name, found: shape, expected: right }];
    }),
    unreadable: own
      .filter(({ dtype }) => !isDType(dtype))
      .map(({ trackerName, dtype }) => ({ name: trackerName as string, dtype })),
  };
}

function problemOf(record: ModelRecord): string | null {
  const { missing, unexpected, duplicates, misshapen, unreadable, weights } = record;
  const some = (names: readonly string[]): string =>
    names.slice(0, 3).join(', ') + (names.length > 3 ? ` and ${names.length - 3} more` : '');
  const these = ({ length }: readonly unknown[], one: string, many: string): string =>
    `${counted(length, 'weight')} ${length === 1 ? one : many}`;
  if (weights.length === 0) return 'it has no weights';
  if (unreadable.length > 0)
    return `${these(unreadable, 'has', 'have')} a dtype that cannot be read (${unreadable[0].dtype}): ${some(unreadable.map(({ name }) => name))}`;
  if (missing.length > 0) return `${these(missing, 'is', 'are')} missing: ${some(missing)}`;
  if (duplicates.length > 0) return `${these(duplicates, 'is', 'are')} there twice: ${some(duplicates)}`;
  if (unexpected.length > 0) return `${these(unexpected, 'fits', 'fit')} no graph: ${some(unexpected)}`;
  if (misshapen.length > 0)
    return `${these(misshapen, 'is', 'are')} of another shape: ${some(misshapen.map(({ name }) => name))}`;
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
  const problems: string[] = [];
  // What is wrong with one part is no reason to say nothing of the others.
  const attempt = async <T>(work: () => Promise<T>): Promise<T | null> => {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof Sam3TrackerError)) throw error;
      problems.push(error.message);
      return null;
    }
  };
  const graphs = await attempt(() => findModelGraphs(files, config));
  const expected = graphs && graphParameters(graphs.files);
  const weightFiles = await attempt(async () => (await findWeightFiles(files)) ?? []);
  const tables = await attempt(() => files.read(() => Promise.all((weightFiles ?? []).map(readSafetensors))));
  // Graphs that hold their weights need no files of weights.
  const isWhole = graphs !== null && graphs.holdsWeights && weightFiles?.length === 0;
  const record: ModelRecord = {
    model: name,
    folder: files.folder,
    model_type: config.model_type,
    image_size: config.prompt_encoder_config.image_size,
    config_hash: configHash(config),
    graphs: await describeFiles(Object.values(graphs?.files ?? {}), true),
    weights: await describeFiles(weightFiles ?? [], options.hash),
    ...compareWeights(
      (tables ?? []).flatMap(({ entries }) => entries),
      tables === null || graphs?.holdsWeights ? null : expected,
    ),
    problem: problems.length === 0 ? null : problems.join(' '),
  };
  if (isWhole && expected) {
    const shapes = Object.values(expected);
    record.loaded.tensors = shapes.length;
    record.loaded.parameters = shapes.reduce((sum, shape) => sum + elements(shape), 0);
  } else record.problem ??= problemOf(record);
  return record;
}

const sizeText = (bytes: number): string =>
  bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`;

function print(record: ModelRecord, output: Output): void {
  const line = (what: string, value: string): void =>
    void output.stdout.write(`${what.padEnd(14)}${printableName(value)}\n`);
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
  const held = `${(loaded.parameters / 1e6).toFixed(1)} M parameters in ${counted(loaded.tensors, 'tensor')}`;
  const isInGraphs = loaded.tensors > 0 && loaded.bytes === 0;
  line(
    'loaded',
    isInGraphs ? `${held} of the graphs` : `${held} (${kinds.join(', ')}), ${sizeText(loaded.bytes)}`,
  );
  if (ignored.tensors > 0)
    line(
      'ignored',
      `${counted(ignored.tensors, 'tensor')} of other parts, ${sizeText(ignored.bytes)}, not read`,
    );
  line('loads', record.problem === null ? 'yes' : `no: ${record.problem}`);
}

/** The command. */
export function inspectCommand({ output, finish }: CommandContext): Command {
  const command = new Command('inspect')
    .summary('show what a model consists of and what would be loaded')
    .description(
      'Shows parameters, dtypes, sizes, graphs and hashes of a model, and whether they fit each other. Nothing is ' +
        'downloaded: of a model on the hub it shows what the cache has.',
    )
    .argument('<model>', MODEL_ARGUMENT);
  return addHubOptions(command)
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
