/** What a model is made over: graphs, options, and native weights, loaded or to be drawn. */
import { randomInt } from 'node:crypto';
import { Sam3TrackerConfig } from '../config/sam3-tracker';
import { isDType, isFloating } from '../core/dtype';
import type { DType } from '../core/dtype';
import { Sam3TrackerError, describe, wrongValue } from '../core/errors';
import { findGraphs, findModelFiles, graphParameters } from './graphs';
import type { GraphFiles } from './graphs';
import { HUB_OPTIONS, splitHubOptions } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { readSafetensors } from '../checkpoint/safetensors';
import type { SafetensorsFile } from '../checkpoint/safetensors';
import { addon, callNative, resolveDevice } from '../native/binding';
import type { NativeLoadOptions, NativeTrackerModel, NativeWeightFile } from '../native/binding';
import { readConfigDict } from '../checkpoint/settings';
import type { Device, DeviceMapOption, DeviceOption, DTypeOption } from '../core/types';
import { parseDevice, parseDtype } from '../core/device';
import { checkInteger, checkOneOf, checkOptions } from '../core/options';
import { countParameters, initialWeights } from './initialization';

/** How attention is computed: torch's fused kernel, or step by step with its weights at hand. */
export type AttentionImplementation = 'sdpa' | 'eager';

/** Options of `from_pretrained`. */
export interface PretrainedModelOptions extends HubOptions {
  /** 'auto' (default: CUDA where there is one), 'cpu', 'cuda', 'cuda:N' or N. */
  device?: DeviceOption;
  /** transformers' name of the same: a device, or `{ '': device }`. */
  device_map?: DeviceMapOption;
  /** 'auto' (default: the checkpoint's, but float32 for half precision on the CPU), 'float32', 'float16', 'bfloat16'. */
  dtype?: DTypeOption;
  /** transformers' older name of the same. */
  torch_dtype?: DTypeOption;
  /** 'sdpa' or 'eager', as in transformers; default the configuration's `_attn_implementation`, else 'sdpa'. */
  attn_implementation?: AttentionImplementation;
}

/** Options of a model that is made from a configuration. */
export interface NewModelOptions {
  /** An integer from 0: the same one gives the same weights on every device. Default a random one. */
  seed?: number;
  /** As for `from_pretrained`. */
  device?: DeviceOption;
  /** 'auto' (default) is float32. */
  dtype?: DTypeOption;
  /** As for `from_pretrained`. */
  attn_implementation?: AttentionImplementation;
}

/** What `from_pretrained` takes besides the hub's options. */
export const LOAD_OPTIONS = ['device', 'device_map', 'dtype', 'torch_dtype', 'attn_implementation'];
const NEW_OPTIONS = ['seed', 'device', 'dtype', 'attn_implementation'];

const SOURCE = Symbol('model source');

/** What a model is made over, for this package's own use. */
export interface ModelSource {
  /** No caller's object has it. */
  [SOURCE]: true;
  graphs: GraphFiles;
  device: Device;
  dtype: DType;
  attention: AttentionImplementation;
  parameterCount: number;
  /** The native model; or, where the weights are yet to be drawn, what makes it. */
  model: NativeTrackerModel | (() => Promise<NativeTrackerModel>);
}

/** Whether a model's second argument is a source, not a caller's options. */
export function isModelSource(value: unknown): value is ModelSource {
  return typeof value === 'object' && value !== null && SOURCE in value;
}

function attentionOf(wanted: unknown, config: Sam3TrackerConfig): AttentionImplementation {
  return checkOneOf(
    wanted ?? config._attn_implementation ?? 'sdpa',
    ['sdpa', 'eager'],
    'attn_implementation',
  );
}

function loadOptions(
  config: Sam3TrackerConfig,
  graphs: GraphFiles,
  rest: Pick<NativeLoadOptions, 'weight_files' | 'random_weights' | 'device' | 'dtype'>,
): NativeLoadOptions {
  const { mask_decoder_config: decoder, prompt_encoder_config } = config;
  return {
    vision_encoder: graphs.vision_encoder,
    prompt_encoder: graphs.prompt_encoder,
    mask_decoder: graphs.mask_decoder,
    dynamic_multimask_via_stability: decoder.dynamic_multimask_via_stability,
    dynamic_multimask_stability_delta: decoder.dynamic_multimask_stability_delta,
    dynamic_multimask_stability_thresh: decoder.dynamic_multimask_stability_thresh,
    num_point_embeddings: prompt_encoder_config.num_point_embeddings,
    ...rest,
  };
}

/** A model with random weights; they are drawn with the first call that needs them, since drawing takes its time. */
export function newModelSource(config: Sam3TrackerConfig, options: unknown, where: string): ModelSource {
  const given = checkOptions(options, NEW_OPTIONS, where) as NewModelOptions;
  const seed = checkInteger(given.seed ?? randomInt(2 ** 47), 'seed', { min: 0 });
  const attention = attentionOf(given.attn_implementation, config);
  const device = resolveDevice(parseDevice(given));
  const wantedDtype = parseDtype(given);
  const dtype = wantedDtype === 'auto' ? 'float32' : wantedDtype;
  const graphs = findGraphs(config);
  const shapes = graphParameters(graphs);
  const weights = initialWeights(config, shapes);
  const load = loadOptions(config, graphs, {
    weight_files: [],
    random_weights: { seed, weights },
    device,
    dtype,
  });
  return {
    [SOURCE]: true,
    graphs,
    device,
    dtype,
    attention,
    parameterCount: countParameters(shapes),
    model: () => callNative(() => addon().loadTrackerModel(load)),
  };
}

/** How many names of weights a warning shows. */
const NAMES_SHOWN = 8;

/** Warns once a load of weights that the graphs do not have, as transformers does. */
function warnOfUnexpected(names: readonly string[], model: string): void {
  if (names.length === 0) return;
  const more = names.length > NAMES_SHOWN ? `, and ${names.length - NAMES_SHOWN} more` : '';
  process.emitWarning(
    `Of ${describe(model)} are not used, since its configuration has no place for them, ${names.length} weights: ` +
      `${names.slice(0, NAMES_SHOWN).map(describe).join(', ')}${more}.`,
    { type: 'Sam3TrackerWarning', code: 'WEIGHTS_UNEXPECTED' },
  );
}

/**
 * The tracker's weights of a model's files; those of other parts of a checkpoint are left out.
 *
 * @param files the headers of its files.
 * @param expected the weights that the graphs have, by name.
 * @param model as the caller named it, for the warning of weights that they do not have.
 * @throws Sam3TrackerError FILE_INVALID for a weight of a dtype that is not ours, WEIGHTS_UNEXPECTED for one that is there
 *   twice.
 */
function trackerWeights(
  files: readonly SafetensorsFile[],
  expected: Readonly<Record<string, unknown>>,
  model: string,
): NativeWeightFile[] {
  const found = new Map<string, string>();
  const unexpected: string[] = [];
  const tables = files.map(({ path: file, size, entries }) => {
    const weights = entries.flatMap(({ name, trackerName, dtype, shape, begin, end }) => {
      if (trackerName === null) return [];
      if (!Object.hasOwn(expected, trackerName)) {
        unexpected.push(name);
        return [];
      }
      if (!isDType(dtype))
        throw new Sam3TrackerError(
          'FILE_INVALID',
          `The weight ${name} in ${file} has the dtype ${dtype}, which cannot be read here: save it as F32, F16 or BF16.`,
        );
      const where = `as ${name} in ${file}`;
      const before = found.get(trackerName);
      if (before !== undefined)
        throw new Sam3TrackerError(
          'WEIGHTS_UNEXPECTED',
          `The weight ${trackerName} is there twice: ${before} and ${where}.`,
        );
      found.set(trackerName, where);
      return [{ name: trackerName, dtype, shape, begin, end }];
    });
    return { path: file, size, weights };
  });
  warnOfUnexpected(unexpected, model);
  return tables;
}

/**
 * The element type that dtype 'auto' stands for, by transformers' rule: config.json's, else the first floating weight's;
 * but half precision computes in float32 on the CPU.
 *
 * @throws RangeError for a float64 checkpoint, which has to be loaded in a named dtype.
 */
function automaticDtype(config: Sam3TrackerConfig, files: readonly SafetensorsFile[], device: Device): DType {
  let { dtype } = config.to_dict() as { dtype?: unknown };
  if (typeof dtype !== 'string') {
    const weights = files.flatMap(({ entries }) => entries);
    dtype = weights.find((weight) => isDType(weight.dtype) && isFloating(weight.dtype))?.dtype;
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

/**
 * The configuration and the weights of a model directory, of a model that this package ships, or of one on the hub.
 *
 * @param name_or_path an existing directory, the id of a bundled model, or that of a repository on the hub; or its files.
 * @param options those of `from_pretrained`.
 * @param where the function that was called, for errors.
 * @throws as `from_pretrained`.
 */
export async function loadModelSource(
  name_or_path: string | PretrainedFiles,
  options: PretrainedModelOptions,
  where: string,
): Promise<{ config: Sam3TrackerConfig; source: ModelSource }> {
  checkOptions(options, [...LOAD_OPTIONS, ...HUB_OPTIONS], where);
  const wantedDevice = parseDevice(options);
  const wantedDtype = parseDtype(options);
  if (options.attn_implementation !== undefined)
    checkOneOf(options.attn_implementation, ['sdpa', 'eager'], 'attn_implementation');
  // Before gigabytes are downloaded for a model that could not run.
  addon();
  const [hubOptions] = splitHubOptions(options);
  const files = await openPretrained(name_or_path, hubOptions);
  const config = Sam3TrackerConfig.from_dict(await readConfigDict(files));
  const { graphs, weights } = await findModelFiles(files, config);
  const device = resolveDevice(wantedDevice);
  const { dtype, handle } = await files.read(async () => {
    const tables = await Promise.all(weights.map(readSafetensors));
    const found = wantedDtype === 'auto' ? automaticDtype(config, tables, device) : wantedDtype;
    const rest = {
      weight_files: trackerWeights(tables, graphParameters(graphs), files.name),
      random_weights: null,
      device,
      dtype: found,
    };
    const load = loadOptions(config, graphs, rest);
    return { dtype: found, handle: await callNative(() => addon().loadTrackerModel(load)) };
  });
  const attention = attentionOf(options.attn_implementation, config);
  const { parameterCount } = handle;
  const source = { [SOURCE]: true, graphs, device, dtype, attention, parameterCount, model: handle } as const;
  return { config, source };
}
