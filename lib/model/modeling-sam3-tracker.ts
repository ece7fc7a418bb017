/** The model: mirrors transformers' `modeling_sam3_tracker.py` over the native components. */
import { types } from 'node:util';
import { generateMaskBatch, type MaskBatch, type MaskBatchResult } from './generate-masks';
import {
  checkGuidance,
  checkImageEmbeddings,
  checkPixelValues,
  checkPromptTensors,
  readForwardInputs,
} from './inputs';
import type { NamedImageEmbeddings, Sam3TrackerModelInputs, Sam3TrackerPrompts } from './inputs';
import {
  Sam3TrackerImageSegmentationOutput,
  Sam3TrackerMasksOutput,
  Sam3TrackerVisionEncoderOutput,
  forwardFields,
  handleOf,
  lent,
  tensorFields,
  tensorsOf,
} from './outputs';
import type { ModelOutputTuple } from './outputs';
import { wrongType } from '../core/errors';
import { callNative } from '../native/binding';
import type { NativeForwardOptions, NativePrompts, NativeTensor } from '../native/binding';
import { readPostProcessOptions } from '../image/post-process-masks';
import type { ModelDType } from '../core/dtype';
import type { PostProcessArguments, SizesInput } from '../image/post-process-masks';
import { Sam3TrackerPreTrainedModel } from './pretrained-model';
import { Tensor } from '../tensor';
import { checkOptions, optionalBoolean } from '../core/options';
import { guardMethods } from '../core/receivers';

/** What `get_image_features` takes besides the images. */
export interface ImageFeaturesOptions {
  /** Also return the hidden states (default: the configuration's, false). */
  output_hidden_states?: boolean;
  /** Also return attentions (default: the configuration's, false). */
  output_attentions?: boolean;
}

const FEATURE_OPTIONS = ['output_hidden_states', 'output_attentions', 'return_dict'];

/** Arguments of a call that gives named fields, which is the configuration's default unless that was changed. */
export type ForObject<T> = T & {
  /** Whether to return named fields; default the configuration's, which is true unless it was changed. */
  return_dict?: true | null;
};
/** Arguments of a call that gives a tuple, as an array. */
export type ForTuple<T> = T & {
  /** Whether to return named fields: no. */
  return_dict: false;
};
/** Arguments of a call that gives the one or the other. */
export type ForEither<T> = T & {
  /** Whether to return named fields. */
  return_dict: boolean | null;
};

/** The typed calls of a model: as `forward`. */
export interface Sam3TrackerModel {
  (inputs: ForTuple<Sam3TrackerModelInputs>): Promise<ModelOutputTuple>;
  (inputs: ForObject<Sam3TrackerModelInputs>): Promise<Sam3TrackerImageSegmentationOutput>;
  (inputs: ForEither<Sam3TrackerModelInputs>): Promise<Sam3TrackerImageSegmentationOutput | ModelOutputTuple>;
}

/**
 * SAM3 Tracker: masks for points, boxes and masks on an image. Mirrors transformers' `Sam3TrackerModel`; an instance
 * is called like a function: `const outputs = await model(inputs)`. Calls run one after the other on the model's own
 * thread. `from_pretrained` loads one; `new Sam3TrackerModel(config)` has random weights.
 */
export class Sam3TrackerModel extends Sam3TrackerPreTrainedModel {
  protected _call(
    inputs: ForEither<Sam3TrackerModelInputs>,
  ): Promise<Sam3TrackerImageSegmentationOutput | ModelOutputTuple> {
    return this.forward(inputs);
  }

  /** `forward` with a tuple as its result: the fields that are not null, in their order, as an array. */
  forward(inputs: ForTuple<Sam3TrackerModelInputs>): Promise<ModelOutputTuple>;
  /**
   * Masks for the prompts of one or several images. Mirrors `Sam3TrackerModel.forward`. Tensors on another device are
   * moved to the model's. `original_sizes`, `reshaped_input_sizes` and `labels` are ignored, so that what the
   * processor returns can be passed as it is.
   *
   * @throws RangeError with the reference's messages, and for shapes that do not fit; TypeError for other kinds and
   *   for unknown names; Sam3TrackerError DISPOSED, OUT_OF_MEMORY, NATIVE_ERROR.
   */
  forward(inputs: ForObject<Sam3TrackerModelInputs>): Promise<Sam3TrackerImageSegmentationOutput>;
  /** `forward` where `return_dict` is known at run time only. */
  forward(
    inputs: ForEither<Sam3TrackerModelInputs>,
  ): Promise<Sam3TrackerImageSegmentationOutput | ModelOutputTuple>;
  /** The one behind all of them. */
  forward(inputs: Sam3TrackerModelInputs): Promise<Sam3TrackerImageSegmentationOutput | ModelOutputTuple> {
    return this.withNative(async (handle) => {
      const given = readForwardInputs(inputs);
      const { options, embeddings } = this.#forwardOptions(given);
      // null stands for true here, and for the configuration's default in get_image_features, as there.
      const asTuple = given.return_dict !== null && this.#asTuple(given);
      const result = await callNative(() => handle.forward(options));
      const output = lent(
        new Sam3TrackerImageSegmentationOutput(forwardFields(result, embeddings)),
        embeddings,
      );
      return asTuple ? output.to_tuple() : output;
    });
  }

  /**
   * `forward` and `post_process_masks` in one job: from prompts to masks in the size of the images, with the same
   * numbers as in two.
   *
   * @param inputs as those of `forward`; `original_sizes` are the images', [height, width] in pixels each.
   * @param args `mask_threshold` (on logits, default 0) and so on, as `post_process_masks` takes them after the sizes.
   * @returns what `forward` returns, and the masks: bool, or logits with `binarize: false`.
   * @throws as `forward` and `Sam3ImageProcessor.post_process_masks`; TypeError for return_dict.
   */
  predict_masks(
    inputs: Sam3TrackerModelInputs & { original_sizes: SizesInput },
    ...args: PostProcessArguments
  ): Promise<Sam3TrackerMasksOutput> {
    return this.withNative(async (handle) => {
      const given = readForwardInputs(inputs);
      if (given.return_dict !== undefined)
        throw wrongType('no return_dict', 'predict_masks', given.return_dict);
      const { options, embeddings, images } = this.#forwardOptions(given);
      const read = readPostProcessOptions(given.original_sizes as SizesInput, args, images);
      const post_process = types.isPromise(read) ? await read : read;
      const result = await callNative(() => handle.forward({ ...options, post_process }));
      const { masks, ...fields } = forwardFields(result, embeddings);
      const finished = masks as Tensor<'bool' | ModelDType>[];
      return lent(new Sam3TrackerMasksOutput({ ...fields, masks: finished }), embeddings);
    });
  }

  #forwardOptions(given: Sam3TrackerModelInputs): {
    options: NativeForwardOptions;
    embeddings: Tensor<ModelDType>[] | null;
    images: number;
  } {
    const pixels = given.pixel_values ? checkPixelValues(given.pixel_values, this.config) : null;
    const embeddings = given.image_embeddings
      ? checkImageEmbeddings(given.image_embeddings, this.config, this.dtype)
      : null;
    const images = pixels ? pixels.dims[0] : embeddings![0].dims[0];
    const options = {
      ...nativePrompts(given, images),
      pixel_values: handleOf(pixels),
      image_embeddings: embeddings && embeddings.map((tensor) => tensor.handle),
      multimask_output: optionalBoolean(given.multimask_output, 'multimask_output', true),
      ...this.#guidance(given),
      ...this.#outputOptions(given),
      post_process: null,
    };
    return { options, embeddings, images };
  }

  /** `get_image_features` with a tuple as its result: the fields that are not null, in their order, as an array. */
  get_image_features(
    pixel_values: Tensor | { pixel_values: Tensor },
    options: ForTuple<ImageFeaturesOptions>,
  ): Promise<ModelOutputTuple>;
  /**
   * The vision encoder's features. Mirrors `Sam3TrackerModel.get_image_features`: flattened maps, the decoder's
   * projections applied to the two finest.
   *
   * @param pixel_values (images, channels, height, width), or what the processor returned.
   * @param options which fields, and in which form.
   * @throws as `forward`.
   */
  get_image_features(
    pixel_values: Tensor | { pixel_values: Tensor },
    options?: ForObject<ImageFeaturesOptions>,
  ): Promise<Sam3TrackerVisionEncoderOutput>;
  /** `get_image_features` where `return_dict` is known at run time only. */
  get_image_features(
    pixel_values: Tensor | { pixel_values: Tensor },
    options: ForEither<ImageFeaturesOptions>,
  ): Promise<Sam3TrackerVisionEncoderOutput | ModelOutputTuple>;
  /** The one behind all of them. */
  get_image_features(
    pixel_values: Tensor | { pixel_values: Tensor },
    options: ImageFeaturesOptions & { return_dict?: boolean | null } = {},
  ): Promise<Sam3TrackerVisionEncoderOutput | ModelOutputTuple> {
    return this.withNative(async (handle) => {
      checkOptions(options, FEATURE_OPTIONS, 'get_image_features');
      const pixels = checkPixelValues(pixelValuesOf(pixel_values), this.config).handle;
      const outputOptions = this.#outputOptions(options);
      const asTuple = this.#asTuple(options);
      const features = await callNative(() =>
        handle.getImageFeatures({ pixel_values: pixels, ...outputOptions }),
      );
      const output = new Sam3TrackerVisionEncoderOutput(tensorFields(features));
      return asTuple ? output.to_tuple() : output;
    });
  }

  /**
   * The embeddings of images, for any number of later clicks on them. Mirrors `Sam3TrackerModel.get_image_embeddings`.
   *
   * @param pixel_values (images, channels, height, width).
   * @returns one (images, channels, height, width) a level, finest first, on the model's device.
   * @throws as `forward`.
   */
  get_image_embeddings(pixel_values: Tensor): Promise<Tensor[]>;
  /**
   * The same in transformers.js' form: from what the processor returned to `image_embeddings.0` and so on, which can be
   * spread into the model's inputs, or passed as their `image_embeddings`.
   */
  get_image_embeddings(inputs: { pixel_values: Tensor }): Promise<NamedImageEmbeddings>;
  /** The one behind both. */
  get_image_embeddings(
    pixel_values: Tensor | { pixel_values: Tensor },
  ): Promise<Tensor[] | NamedImageEmbeddings> {
    return this.withNative(async (handle) => {
      const pixels = checkPixelValues(pixelValuesOf(pixel_values), this.config).handle;
      const eager_attention = this.attn_implementation === 'eager';
      const levels = tensorsOf(
        await callNative(() => handle.getImageEmbeddings({ pixel_values: pixels, eager_attention })),
      );
      if (Tensor.isTensor(pixel_values)) return levels;
      const named = levels.map((level, index) => [`image_embeddings.${index}`, level]);
      return Object.fromEntries(named) as NamedImageEmbeddings;
    });
  }

  /**
   * The embeddings of prompts. Mirrors `Sam3TrackerModel.get_prompt_embeddings`, which neither resizes masks nor
   * fills in labels.
   *
   * @returns [sparse, dense]: (images, objects, tokens, channels) or null without points and boxes, and
   *   (images, channels, height, width); with one mask an object (images * objects, channels, height, width).
   * @throws RangeError for points without labels, with the reference's message; else as `forward`.
   */
  get_prompt_embeddings(prompts: Sam3TrackerPrompts = {}): Promise<[sparse: Tensor | null, dense: Tensor]> {
    return this.withNative(async (handle) => {
      checkOptions(
        prompts,
        ['input_points', 'input_labels', 'input_boxes', 'input_masks'],
        'get_prompt_embeddings',
      );
      const options = nativePrompts(prompts, null);
      if (options.input_points && !options.input_labels)
        throw new RangeError('If points are provided, labels must also be provided.');
      const { sparse, dense } = await callNative(() => handle.getPromptEmbeddings(options));
      return [sparse && new Tensor(sparse), new Tensor(dense)];
    });
  }

  /** The positional embedding of every image position: (1, channels, height, width). Mirrors the method of this name. */
  get_image_wide_positional_embeddings(): Promise<Tensor> {
    return this.withNative(
      async (handle) => new Tensor(await callNative(() => handle.getImageWidePositionalEmbeddings())),
    );
  }

  /**
   * Masks of single points on an image, decoded and filtered in one job: a batch of segment-everything. See
   * `MaskGenerationPipeline`, which calls it.
   *
   * @throws as `forward`; TypeError and RangeError for fields of the batch; the reason of an aborted signal, once the
   *   points that are under way are done.
   */
  generate_masks(batch: MaskBatch): Promise<MaskBatchResult> {
    return this.withNative((handle) => generateMaskBatch(handle, this, batch));
  }

  #asTuple(given: { return_dict?: unknown }): boolean {
    return !optionalBoolean(given.return_dict, 'return_dict', this.config.return_dict ?? true);
  }

  #guidance(given: Sam3TrackerModelInputs): {
    attention_similarity: NativeTensor | null;
    target_embedding: NativeTensor | null;
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
    return { attention_similarity: handleOf(similarity), target_embedding: handleOf(target) };
  }

  #outputOptions(given: { output_hidden_states?: boolean; output_attentions?: boolean }): {
    output_hidden_states: boolean;
    output_attentions: boolean;
    eager_attention: boolean;
  } {
    return {
      output_hidden_states: optionalBoolean(
        given.output_hidden_states,
        'output_hidden_states',
        this.config.output_hidden_states ?? false,
      ),
      output_attentions: optionalBoolean(
        given.output_attentions,
        'output_attentions',
        this.config.output_attentions ?? false,
      ),
      eager_attention: this.attn_implementation === 'eager',
    };
  }
}

guardMethods(Sam3TrackerModel);

function pixelValuesOf(value: Tensor | { pixel_values: Tensor }): unknown {
  return Tensor.isTensor(value)
    ? value
    : ((value as { pixel_values?: Tensor } | null)?.pixel_values ?? value);
}

function nativePrompts(prompts: Sam3TrackerPrompts, images: number | null): NativePrompts {
  const { points, labels, boxes, masks } = checkPromptTensors(prompts, images);
  return {
    input_points: handleOf(points),
    input_labels: handleOf(labels),
    input_boxes: handleOf(boxes),
    input_masks: handleOf(masks),
  };
}
