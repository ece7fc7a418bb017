/** The image processor: images of any size to `pixel_values` (transformers' image_processing_sam3.py). */
import { Callable } from '../core/callable';
import type { TensorData } from '../core/dtype';
import { wrongType } from '../core/errors';
import { acceptCopies } from '../core/kinds';
import { saveFiles } from '../core/files';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { HUB_OPTIONS, splitHubOptions } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { readImageProcessorConfig } from '../checkpoint/settings';
import type { ImagesInput } from './inputs';
import { preprocessImages, preprocessMaps } from './preprocess';
import {
  IMAGE_PROCESSOR_OPTIONS,
  checkSettings,
  checkSteps,
  settleSize,
  type ImageProcessorSettings,
  type Sam3ImageProcessorOptions,
} from './options';
import {
  postProcessMasks,
  type MasksInput,
  type MaskDType,
  type PostProcessArguments,
  type SizesInput,
} from './post-process-masks';
import { PythonFloat, toPythonJson } from '../core/json';
import type { Tensor } from '../tensor';
import type { ArrayWithDims, ImageSize } from '../core/types';
import { checkOptions, checkString, isPlainObject } from '../core/options';
import { guardMethods } from '../core/receivers';

/** Options of one call: settings that replace the processor's own for this call, and segmentation maps. */
export interface Sam3ImageProcessorCallOptions extends Sam3ImageProcessorOptions {
  /** Integer maps, (height, width) each, resized to `mask_size` by the nearest pixel into `labels`. */
  segmentation_maps?: ImagesInput | null;
}

/** What the image processor returns; `T` follows `return_tensors`. */
export interface ImageFeatures<T = Tensor> {
  /** (images, channels, height, width), float32 unless neither rescaled nor normalised. */
  pixel_values: T;
  /** [height, width] in pixels of each image as it came in. */
  original_sizes: ImageSize[];
  /** (images, height, width), int64: only where segmentation maps were given. */
  labels?: T;
}

type WithReturn<T> = Omit<Sam3ImageProcessorCallOptions, 'return_tensors'> & T;

const DEFAULTS: Readonly<ImageProcessorSettings> = {
  do_convert_rgb: true,
  do_resize: true,
  size: { height: 1008, width: 1008 },
  default_to_square: true,
  resample: 2,
  do_center_crop: null,
  crop_size: null,
  do_rescale: true,
  rescale_factor: 1 / 255,
  do_normalize: true,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  do_pad: null,
  pad_size: null,
  mask_size: { height: 288, width: 288 },
  input_data_format: null,
  data_format: null,
  device: null,
  disable_grouping: null,
  image_seq_length: null,
  return_tensors: 'pt',
};

// Keys of the file that are no settings, as transformers drops them.
const DROPPED_KEYS = ['feature_extractor_type', 'processor_class', 'image_processor_type'];

const FLOAT_KEYS = ['rescale_factor', 'image_mean', 'image_std'];

/** The settings are plain fields and may be changed; the next call checks them. See Sam3ImageProcessorOptions. */
export interface Sam3ImageProcessor extends ImageProcessorSettings {
  (
    images: ImagesInput,
    options: WithReturn<{ return_tensors: 'np' }>,
  ): Promise<ImageFeatures<ArrayWithDims<TensorData>>>;
  (images: ImagesInput, options: WithReturn<{ return_tensors: null }>): Promise<ImageFeatures<Tensor[]>>;
  (images: ImagesInput, options?: WithReturn<{ return_tensors?: 'pt' }>): Promise<ImageFeatures>;
}

/**
 * Turns images into the model's input, with the numbers of transformers' Sam3ImageProcessor. Call it:
 * `await image_processor(images, { segmentation_maps, ...settings })`.
 */
export class Sam3ImageProcessor extends Callable<
  [images: ImagesInput, options?: Sam3ImageProcessorCallOptions],
  Promise<ImageFeatures<unknown>>
> {
  /** Names of the model inputs that a call gives. */
  readonly model_input_names = ['pixel_values'];

  readonly #unknown: Record<string, unknown> = {};

  /**
   * A processor with the given settings.
   *
   * @param options settings; what is left out takes transformers' default, and null stays null: a step that is null is
   *   not done.
   * @throws TypeError for an unknown setting or another type; RangeError for a value out of range.
   */
  constructor(options: Sam3ImageProcessorOptions = {}) {
    super();
    Object.assign(this, structuredClone(DEFAULTS), checkSettings(options, 'Sam3ImageProcessor'));
    this.size = settleSize(this.size, this.default_to_square);
  }

  /**
   * A processor with the settings of a dictionary, such as a parsed preprocessor_config.json. Unknown keys are kept
   * for `to_dict`. Mirrors `ImageProcessingMixin.from_dict`.
   *
   * @param image_processor_dict settings by name.
   * @param overrides settings that replace those of the dictionary.
   * @throws TypeError and RangeError as the constructor.
   */
  static from_dict(
    image_processor_dict: Record<string, unknown>,
    overrides: Sam3ImageProcessorOptions = {},
  ): Sam3ImageProcessor {
    if (!isPlainObject(image_processor_dict))
      throw wrongType('an object', 'image_processor_dict', image_processor_dict);
    checkOptions(overrides, IMAGE_PROCESSOR_OPTIONS, 'Sam3ImageProcessor.from_dict');
    const entries = Object.entries(image_processor_dict);
    const isSetting = (name: string): boolean =>
      (IMAGE_PROCESSOR_OPTIONS as readonly string[]).includes(name);
    const settings = Object.fromEntries(entries.filter(([name]) => isSetting(name)));
    const replaced = Object.entries(overrides).filter(([, value]) => value !== undefined);
    const processor = new Sam3ImageProcessor({ ...settings, ...Object.fromEntries(replaced) });
    for (const [name, value] of entries)
      if (!isSetting(name) && !DROPPED_KEYS.includes(name)) processor.#unknown[name] = structuredClone(value);
    return processor;
  }

  /**
   * Reads a processor's settings: from the `image_processor` part of processor_config.json where there is one, else
   * from preprocessor_config.json. Mirrors `ImageProcessingMixin.from_pretrained`.
   *
   * @param pretrained_model_name_or_path a directory, a JSON file, the id of a model that this package ships, or that of
   *   a repository on the Hugging Face hub.
   * @param options the hub's (`HubOptions`), and settings that replace those of the file.
   * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_INVALID and the hub's, as `Sam3TrackerConfig.from_pretrained`;
   *   TypeError and RangeError as the constructor.
   */
  static from_pretrained(
    pretrained_model_name_or_path: string,
    options?: Sam3ImageProcessorOptions & HubOptions,
  ): Promise<Sam3ImageProcessor>;
  /** From files that are open. @internal */
  static from_pretrained(
    files: string | PretrainedFiles,
    options?: Sam3ImageProcessorOptions & HubOptions,
  ): Promise<Sam3ImageProcessor>;
  /** The one behind both. */
  static async from_pretrained(
    name_or_files: string | PretrainedFiles,
    options: Sam3ImageProcessorOptions & HubOptions = {},
  ): Promise<Sam3ImageProcessor> {
    const names = [...IMAGE_PROCESSOR_OPTIONS, ...HUB_OPTIONS];
    checkOptions(options, names, 'Sam3ImageProcessor.from_pretrained');
    const [hubOptions, overrides] = splitHubOptions(options);
    const source = await openPretrained(name_or_files, hubOptions);
    return Sam3ImageProcessor.from_dict(await readImageProcessorConfig(source), overrides);
  }

  /**
   * The settings, without those that are null by default and still are; the unknown keys of the file; and
   * `image_processor_type`: a deep copy.
   */
  to_dict(): Record<string, unknown> {
    const dict: Record<string, unknown> = { ...this.#unknown };
    for (const name of IMAGE_PROCESSOR_OPTIONS) {
      const value = this[name];
      // transformers keeps its class's own default_to_square and return_tensors out of the file.
      const isImplied =
        (name === 'default_to_square' || name === 'return_tensors') && value === DEFAULTS[name];
      // What was set to null stays so in the file; where null is the default it is left out.
      if (!isImplied && (value !== null || DEFAULTS[name] !== null)) dict[name] = value;
    }
    return structuredClone({ ...dict, image_processor_type: 'Sam3ImageProcessor' });
  }

  /** JSON text, the bytes that transformers writes: keys sorted, floats as Python shows them. */
  to_json_string(): string {
    const dict = this.to_dict();
    for (const name of FLOAT_KEYS) {
      const value = dict[name] as number | number[] | null;
      if (value !== null)
        dict[name] = Array.isArray(value)
          ? value.map((item) => new PythonFloat(item))
          : new PythonFloat(value);
    }
    return `${toPythonJson(dict)}\n`;
  }

  /** Plain values for `JSON.stringify`: `to_dict`. */
  toJSON(): Record<string, unknown> {
    return this.to_dict();
  }

  /**
   * Writes preprocessor_config.json into a directory, which is made where it is missing. Mirrors `save_pretrained`.
   *
   * @returns the path of the file, in a list.
   * @throws Sam3TrackerError FILE_INVALID where a file has the directory's name, FILE_NOT_WRITTEN.
   */
  async save_pretrained(save_directory: string): Promise<string[]> {
    checkString(save_directory, 'save_directory');
    return saveFiles(save_directory, [{ name: 'preprocessor_config.json', content: this.to_json_string() }]);
  }

  /**
   * Brings low-resolution masks to the size of their images, and makes them boolean. Mirrors
   * `Sam3ImageProcessor.post_process_masks`; unlike there, holes and sprinkles really are filled and removed.
   *
   * @param masks logits: a Tensor (images, objects, masks, height, width), or a list of Tensors or typed arrays with
   *   dims, (objects, masks, height, width) each.
   * @param original_sizes [height, width] in pixels of each image: lists, or a Tensor (images, 2).
   * @param args `mask_threshold` (on logits, default 0), `binarize` (default true), `max_hole_area`,
   *   `max_sprinkle_area` (in low-resolution pixels, default 0: none), `apply_non_overlapping_constraints` (default
   *   false), positional or as one object. An array or Tensor in the first place is transformers.js'
   *   reshaped_input_sizes and is ignored; an object may follow it.
   * @returns one Tensor an image, (objects, masks, height, width): bool, or the masks' own type without `binarize`.
   * @throws TypeError for another type or an unknown option; RangeError for counts or dims that do not fit.
   */
  post_process_masks<const A extends PostProcessArguments = []>(
    masks: MasksInput,
    original_sizes: SizesInput,
    ...args: A
  ): Promise<Tensor<MaskDType<A>>[]> {
    return postProcessMasks(masks, original_sizes, args) as Promise<Tensor<MaskDType<A>>[]>;
  }

  protected async _call(
    images: ImagesInput,
    options: Sam3ImageProcessorCallOptions = {},
  ): Promise<ImageFeatures<unknown>> {
    const names = [...IMAGE_PROCESSOR_OPTIONS, 'segmentation_maps'];
    const { segmentation_maps = null, ...given } = checkOptions(options, names, 'Sam3ImageProcessor');
    const merged = IMAGE_PROCESSOR_OPTIONS.map((name) => {
      const value = given[name];
      return [name, value === undefined ? (this[name] ?? null) : value];
    });
    const settings = checkSettings(
      Object.fromEntries(merged),
      'Sam3ImageProcessor',
    ) as ImageProcessorSettings;
    settings.size = settleSize(settings.size, settings.default_to_square);
    checkSteps(settings);
    const features: ImageFeatures<unknown> = await preprocessImages(images, settings);
    if (segmentation_maps !== null) features.labels = await preprocessMaps(segmentation_maps, settings);
    return features;
  }
}

acceptCopies(Sam3ImageProcessor, 'Sam3ImageProcessor');
guardMethods(Sam3ImageProcessor);
