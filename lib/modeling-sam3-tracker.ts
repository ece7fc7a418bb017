/** The model: mirrors transformers' `modeling_sam3_tracker.py` over the native components. */
import { Callable } from './callable';
import { Sam3TrackerConfig } from './configuration-sam3-tracker';
import type { DType } from './dtype';
import { Sam3TrackerError } from './errors';
import { find_model_directory } from './hub';
import { automaticDtype, find_model_files } from './model-files';
import {
  checkGuidance,
  checkImageEmbeddings,
  checkPixelValues,
  checkPrompts,
  optionalBoolean,
} from './model-inputs';
import type { Sam3TrackerModelInputs, Sam3TrackerPrompts } from './model-inputs';
import { Sam3TrackerImageSegmentationOutput, Sam3TrackerVisionEncoderOutput, lend } from './model-output';
import { callNative, native } from './native';
import type { NativePrompts, NativeTensor, NativeTrackerModel } from './native';
import { Tensor } from './tensor';
import type { Device, DeviceMapOption, DeviceOption, DTypeOption } from './types';
import { checkOneOf, checkOptions, parseDevice, parseDtype } from './validate';

/** How attention is computed: torch's fused kernel, or step by step with its weights at hand. */
export type AttentionImplementation = 'sdpa' | 'eager';

/** Options of `Sam3TrackerModel.from_pretrained`. */
export interface PretrainedModelOptions {
  /** 'auto' (default: CUDA where there is one), 'cpu', 'cuda', 'cuda:N' or N. */
  device?: DeviceOption;
  /** transformers' name of the same: a device, or `{ '': device }`. */
  device_map?: DeviceMapOption;
  /** 'auto' (default: the checkpoint's, but float32 for half precision on the CPU), 'float32', 'float16', 'bfloat16'. */
  dtype?: DTypeOption;
  /** transformers' older name of the same. */
  torch_dtype?: DTypeOption;
  /** 'sdpa' (default) or 'eager', as in transformers. */
  attn_implementation?: AttentionImplementation;
}

const LOAD_OPTIONS = ['device', 'device_map', 'dtype', 'torch_dtype', 'attn_implementation'];
const FORWARD_INPUTS = [
  'pixel_values',
  'input_points',
  'input_labels',
  'input_boxes',
  'input_masks',
  'image_embeddings',
  'multimask_output',
  'attention_similarity',
  'target_embedding',
  'output_hidden_states',
  'output_attentions',
];
/** What the processor returns beside the model's inputs. */
const IGNORED_INPUTS = ['original_sizes', 'reshaped_input_sizes', 'labels'];
const FEATURE_OPTIONS = ['output_hidden_states', 'output_attentions'];

const handleOf = (tensor: Tensor | null): NativeTensor | null => tensor && tensor.handle;
const tensorsOf = (handles: NativeTensor[]): Tensor[] => handles.map((handle) => new Tensor(handle));
const optionalTensorsOf = (handles: NativeTensor[] | null): Tensor[] | null => handles && tensorsOf(handles);

/**
 * SAM3 Tracker: masks for points, boxes and masks on an image. Mirrors transformers' `Sam3TrackerModel`; an instance
 * is called like a function: `const outputs = await model(inputs)`. Calls run one after the other on the model's own
 * thread. Made by `from_pretrained`.
 */
export class Sam3TrackerModel extends Callable<
  [inputs: Sam3TrackerModelInputs],
  Promise<Sam3TrackerImageSegmentationOutput>
> {
  /** The configuration of the checkpoint. */
  readonly config: Sam3TrackerConfig;
  /** How attention is computed. */
  readonly attn_implementation: AttentionImplementation;
  /** Where the model lies: 'cpu' or 'cuda:N'. */
  readonly device: Device;
  /** The element type that it computes in. */
  readonly dtype: DType;
  readonly #native: NativeTrackerModel;

  private constructor(
    handle: NativeTrackerModel,
    config: Sam3TrackerConfig,
    attn_implementation: AttentionImplementation,
  ) {
    super();
    this.#native = handle;
    this.config = config;
    this.attn_implementation = attn_implementation;
    this.device = handle.device as Device;
    this.dtype = handle.dtype;
  }

  /**
   * Loads a model directory (graphs, weights, config.json) or a model that this package ships. Mirrors
   * `PreTrainedModel.from_pretrained`.
   *
   * @param name_or_path an existing directory, or the id of a bundled model ('sam3-tracker-tiny').
   * @throws TypeError and RangeError for options; Sam3TrackerError: FILE_NOT_FOUND, FILE_INVALID, HASH_MISMATCH,
   *   CONFIG_MISMATCH, WEIGHTS_MISSING, WEIGHTS_UNEXPECTED, WEIGHTS_SHAPE, DEVICE_UNAVAILABLE, OUT_OF_MEMORY.
   */
  static async from_pretrained(
    name_or_path: string,
    options: PretrainedModelOptions = {},
  ): Promise<Sam3TrackerModel> {
    checkOptions(options, LOAD_OPTIONS, 'Sam3TrackerModel.from_pretrained');
    const wantedDevice = parseDevice(options);
    const wantedDtype = parseDtype(options);
    const attention = checkOneOf(
      options.attn_implementation ?? 'sdpa',
      ['sdpa', 'eager'],
      'attn_implementation',
    );
    const directory = await find_model_directory(name_or_path);
    const config = await Sam3TrackerConfig.from_pretrained(directory);
    const files = await find_model_files(directory, config);
    const device =
      wantedDevice === 'auto' ? (native.runtimeInfo().cudaDevices > 0 ? 'cuda:0' : 'cpu') : wantedDevice;
    const dtype = wantedDtype === 'auto' ? await automaticDtype(config, files, device) : wantedDtype;
    const decoder = config.mask_decoder_config;
    const handle = await callNative(() =>
      native.loadTrackerModel({
        visionEncoder: files.graphs.vision_encoder,
        promptEncoder: files.graphs.prompt_encoder,
        maskDecoder: files.graphs.mask_decoder,
        weightFiles: files.weights,
        device,
        dtype,
        multimaskViaStability: decoder.dynamic_multimask_via_stability,
        stabilityDelta: decoder.dynamic_multimask_stability_delta,
        stabilityThreshold: decoder.dynamic_multimask_stability_thresh,
        pointEmbeddings: config.prompt_encoder_config.num_point_embeddings,
      }),
    );
    return new Sam3TrackerModel(handle, config, attention);
  }

  protected override _call(inputs: Sam3TrackerModelInputs): Promise<Sam3TrackerImageSegmentationOutput> {
    return this.forward(inputs);
  }

  /**
   * Masks for the prompts of one or several images. Mirrors `Sam3TrackerModel.forward`. Tensors on another device are
   * moved to the model's. `original_sizes`, `reshaped_input_sizes` and `labels` are ignored, so that what the
   * processor returns can be passed as it is.
   *
   * @throws RangeError with the reference's messages, and for shapes that do not fit; TypeError for other kinds and
   *   for unknown names; Sam3TrackerError DISPOSED, OUT_OF_MEMORY, NATIVE_ERROR.
   */
  async forward(inputs: Sam3TrackerModelInputs): Promise<Sam3TrackerImageSegmentationOutput> {
    const handle = this.#usable();
    const known = checkOptions(
      { ...inputs },
      [...FORWARD_INPUTS, ...IGNORED_INPUTS],
      'Sam3TrackerModel.forward',
    );
    const given = known as Sam3TrackerModelInputs;
    const hasPixels = given.pixel_values !== undefined && given.pixel_values !== null;
    const hasEmbeddings = given.image_embeddings !== undefined && given.image_embeddings !== null;
    if (hasPixels === hasEmbeddings)
      throw new RangeError('Exactly one of pixel_values or image_embeddings must be provided.');
    const pixels = hasPixels ? checkPixelValues(given.pixel_values, this.config) : null;
    const embeddings = hasEmbeddings
      ? checkImageEmbeddings(given.image_embeddings, this.config, this.dtype)
      : null;
    const images = pixels ? pixels.dims[0] : (embeddings as Tensor[])[0].dims[0];
    const options = {
      ...nativePrompts(given, images),
      pixelValues: handleOf(pixels),
      imageEmbeddings: embeddings && embeddings.map((tensor) => tensor.handle),
      multimaskOutput: optionalBoolean(given.multimask_output, 'multimask_output', true),
      ...this.#guidance(given),
      ...this.#outputOptions(given),
    };
    const result = await callNative(() => handle.forward(options));
    const output = new Sam3TrackerImageSegmentationOutput({
      iou_scores: new Tensor(result.iouScores),
      pred_masks: new Tensor(result.predMasks),
      object_score_logits: new Tensor(result.objectScoreLogits),
      image_embeddings: embeddings ?? tensorsOf(result.imageEmbeddings),
      vision_hidden_states: optionalTensorsOf(result.visionHiddenStates),
      vision_attentions: optionalTensorsOf(result.visionAttentions),
      mask_decoder_attentions: optionalTensorsOf(result.maskDecoderAttentions),
    });
    if (embeddings) lend(output, embeddings);
    return output;
  }

  /**
   * The vision encoder's features. Mirrors `Sam3TrackerModel.get_image_features`: flattened maps, the decoder's
   * projections applied to the two finest.
   *
   * @throws as `forward`.
   */
  async get_image_features(
    pixel_values: Tensor | { pixel_values: Tensor },
    options: { output_hidden_states?: boolean; output_attentions?: boolean } = {},
  ): Promise<Sam3TrackerVisionEncoderOutput> {
    const handle = this.#usable();
    checkOptions(options, FEATURE_OPTIONS, 'get_image_features');
    const pixelValues = checkPixelValues(pixelValuesOf(pixel_values), this.config).handle;
    const features = await callNative(() =>
      handle.getImageFeatures({ pixelValues, ...this.#outputOptions(options) }),
    );
    return new Sam3TrackerVisionEncoderOutput({
      last_hidden_state: new Tensor(features.lastHiddenState),
      hidden_states: optionalTensorsOf(features.hiddenStates),
      attentions: optionalTensorsOf(features.attentions),
      fpn_hidden_states: tensorsOf(features.fpnHiddenStates),
      fpn_position_encoding: tensorsOf(features.fpnPositionEncoding),
    });
  }

  /**
   * The embeddings of images, for any number of later clicks on them. Mirrors `Sam3TrackerModel.get_image_embeddings`.
   *
   * @param pixel_values (images, channels, height, width), or what the processor returned.
   * @returns one (images, channels, height, width) a level, finest first, on the model's device.
   * @throws as `forward`.
   */
  async get_image_embeddings(pixel_values: Tensor | { pixel_values: Tensor }): Promise<Tensor[]> {
    const handle = this.#usable();
    const pixelValues = checkPixelValues(pixelValuesOf(pixel_values), this.config).handle;
    const eagerAttention = this.attn_implementation === 'eager';
    return tensorsOf(await callNative(() => handle.getImageEmbeddings({ pixelValues, eagerAttention })));
  }

  /**
   * The embeddings of prompts. Mirrors `Sam3TrackerModel.get_prompt_embeddings`, which neither resizes masks nor
   * fills in labels.
   *
   * @returns [sparse, dense]: (images, objects, tokens, channels) or null without points and boxes, and
   *   (images, channels, height, width).
   * @throws RangeError for points without labels, with the reference's message; else as `forward`.
   */
  async get_prompt_embeddings(
    prompts: Sam3TrackerPrompts = {},
  ): Promise<[sparse: Tensor | null, dense: Tensor]> {
    const handle = this.#usable();
    checkOptions(
      prompts,
      ['input_points', 'input_labels', 'input_boxes', 'input_masks'],
      'get_prompt_embeddings',
    );
    const options = nativePrompts(prompts, null);
    if (options.inputPoints && !options.inputLabels)
      throw new RangeError('If points are provided, labels must also be provided.');
    const { sparse, dense } = await callNative(() => handle.getPromptEmbeddings(options));
    return [sparse && new Tensor(sparse), new Tensor(dense)];
  }

  /** The positional embedding of every image position: (1, channels, height, width). Mirrors the method of this name. */
  async get_image_wide_positional_embeddings(): Promise<Tensor> {
    const handle = this.#usable();
    return new Tensor(await callNative(() => handle.getImageWidePositionalEmbeddings()));
  }

  /** Number of weights. Mirrors `PreTrainedModel.num_parameters`. @throws DISPOSED. */
  num_parameters(): number {
    return this.#usable().parameterCount;
  }

  /** Whether `dispose` has been called. */
  get disposed(): boolean {
    return this.#native.disposed;
  }

  /** Lets go of the weights; calls in flight finish, later ones throw DISPOSED. Safe twice. */
  dispose(): void {
    this.#native.dispose();
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  #usable(): NativeTrackerModel {
    if (this.#native.disposed) throw new Sam3TrackerError('DISPOSED', 'This model has been disposed.');
    return this.#native;
  }

  #guidance(given: Sam3TrackerModelInputs): {
    attentionSimilarity: NativeTensor | null;
    targetEmbedding: NativeTensor | null;
  } {
    const [height, width] = this.config.vision_config.backbone_feature_sizes.slice(-1)[0];
    const { hidden_size } = this.config.mask_decoder_config;
    const similarity = checkGuidance(
      given.attention_similarity,
      'attention_similarity',
      height * width,
      `[images * objects, heads, tokens, ${height * width}], each axis or 1`,
    );
    const target = checkGuidance(
      given.target_embedding,
      'target_embedding',
      hidden_size,
      `[images, objects, tokens, ${hidden_size}], each axis or 1`,
    );
    return { attentionSimilarity: handleOf(similarity), targetEmbedding: handleOf(target) };
  }

  #outputOptions(given: { output_hidden_states?: boolean; output_attentions?: boolean }): {
    outputHiddenStates: boolean;
    outputAttentions: boolean;
    eagerAttention: boolean;
  } {
    return {
      outputHiddenStates: optionalBoolean(
        given.output_hidden_states,
        'output_hidden_states',
        this.config.output_hidden_states ?? false,
      ),
      outputAttentions: optionalBoolean(
        given.output_attentions,
        'output_attentions',
        this.config.output_attentions ?? false,
      ),
      eagerAttention: this.attn_implementation === 'eager',
    };
  }
}

function pixelValuesOf(value: Tensor | { pixel_values: Tensor }): unknown {
  return Tensor.isTensor(value)
    ? value
    : ((value as { pixel_values?: Tensor } | null)?.pixel_values ?? value);
}

function nativePrompts(prompts: Sam3TrackerPrompts, images: number | null): NativePrompts {
  const { points, labels, boxes, masks } = checkPrompts(prompts, images);
  return {
    inputPoints: handleOf(points),
    inputLabels: handleOf(labels),
    inputBoxes: handleOf(boxes),
    inputMasks: handleOf(masks),
  };
}
