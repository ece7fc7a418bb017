/** What a model is made over: graphs, options, and native weights, loaded or to be drawn. */
import { randomInt } from 'node:crypto';
import { Sam3TrackerConfig } from '../config/sam3-tracker';
import type { DType } from '../core/dtype';
import { find_graphs, graph_parameters } from './graphs';
import type { GraphFiles } from './graphs';
import { HUB_OPTIONS, splitHubOptions } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { open_pretrained } from '../checkpoint/pretrained-files';
import { automaticDtype, find_model_files } from './model-files';
import { callNative, native } from '../native/binding';
import type { NativeLoadOptions, NativeTrackerModel } from '../native/binding';
import { readConfigDict } from '../checkpoint/settings';
import type { Device, DeviceMapOption, DeviceOption, DTypeOption } from '../core/types';
import { checkInteger, checkOneOf, checkOptions, parseDevice, parseDtype } from '../core/validate';
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

const LOAD_OPTIONS = ['device', 'device_map', 'dtype', 'torch_dtype', 'attn_implementation'];
const NEW_OPTIONS = ['seed', 'device', 'dtype', 'attn_implementation'];

interface ModelSourceFields {
  graphs: GraphFiles;
  device: Device;
  dtype: DType;
  attention: AttentionImplementation;
  parameterCount: number;
  /** The native model; or, where the weights are yet to be drawn, what makes it. */
  model: NativeTrackerModel | (() => Promise<NativeTrackerModel>);
}

/** What a model is made over, for this package's own use: a class, so that no caller's object is taken for one. */
export class ModelSource {
  /** The fields, all of them checked. */
  readonly fields: ModelSourceFields;

  /** A source of the given fields. */
  constructor(fields: ModelSourceFields) {
    this.fields = fields;
  }
}

function resolveDevice(wanted: Device | 'auto'): Device {
  if (wanted !== 'auto') return wanted;
  return native.runtimeInfo().cudaDevices > 0 ? 'cuda:0' : 'cpu';
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
  const graphs = find_graphs(config);
  const shapes = graph_parameters(graphs);
  const weights = initialWeights(config, shapes);
  const load = loadOptions(config, graphs, {
    weight_files: [],
    random_weights: { seed, weights },
    device,
    dtype,
  });
  return new ModelSource({
    graphs,
    device,
    dtype,
    attention,
    parameterCount: countParameters(shapes),
    model: () => callNative(() => native.loadTrackerModel(load)),
  });
}

/**
 * The configuration and the weights of a model directory, of a model that this package ships, or of one on the hub.
 *
 * @param name_or_path an existing directory, the id of a bundled model, or that of a repository on the hub.
 * @param options those of `from_pretrained`.
 * @param where the function that was called, for errors.
 * @throws as `from_pretrained`.
 */
export async function loadModelSource(
  name_or_path: string,
  options: PretrainedModelOptions,
  where: string,
): Promise<{ config: Sam3TrackerConfig; source: ModelSource }> {
  checkOptions(options, [...LOAD_OPTIONS, ...HUB_OPTIONS], where);
  const wantedDevice = parseDevice(options);
  const wantedDtype = parseDtype(options);
  if (options.attn_implementation !== undefined)
    checkOneOf(options.attn_implementation, ['sdpa', 'eager'], 'attn_implementation');
  const [hubOptions] = splitHubOptions(options);
  const files = await open_pretrained(name_or_path, hubOptions);
  const config = Sam3TrackerConfig.from_dict(await readConfigDict(files));
  const { graphs, weights } = await find_model_files(files, config);
  const device = resolveDevice(wantedDevice);
  const { dtype, handle } = await files.read(async () => {
    const found =
      wantedDtype === 'auto' ? await automaticDtype(config, { graphs, weights }, device) : wantedDtype;
    const rest = { weight_files: weights, random_weights: null, device, dtype: found };
    const load = loadOptions(config, graphs, rest);
    return { dtype: found, handle: await callNative(() => native.loadTrackerModel(load)) };
  });
  const attention = attentionOf(options.attn_implementation, config);
  const { parameterCount } = handle;
  const source = new ModelSource({ graphs, device, dtype, attention, parameterCount, model: handle });
  return { config, source };
}
