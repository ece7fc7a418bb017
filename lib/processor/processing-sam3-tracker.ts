/** The processor: images and prompts to the model's inputs (transformers' processing_sam3_tracker.py). */
import { BatchEncoding, type BatchField, type BatchFields } from './batch-encoding';
import { UntypedCallable } from '../core/callable';
import type { DType, TensorData } from '../core/dtype';
import { FORGOTTEN_AWAIT, typeName, wrongType, wrongValue } from '../core/errors';
import { saveFiles } from '../core/files';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { HUB_OPTIONS, splitHubOptions } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { Sam3ImageProcessor, type ImageFeatures } from '../image/image-processing-sam3';
import { type ImagesInput } from '../image/inputs';
import { type MasksInput, type SizesInput } from '../image/post-process-masks';
import { IMAGE_PROCESSOR_OPTIONS } from '../image/options';
import { readSizes } from '../image/sizes';
import type { MaskDType, PostProcessArguments } from '../image/post-process-masks';
import {
  checkWithoutImages,
  readArguments,
  type Exactly,
  type ProcessorResult,
  type Sam3TrackerProcessorOptions,
  type Sam3TrackerProcessorSettings,
} from './options';
import {
  checkSizesAgainst,
  prepareCoordinates,
  prepareLabels,
  readPrompts,
  sizesArray,
  type Normalization,
  type Prompts,
} from './prompts';
import { toPythonJson } from '../core/json';
import { readImageProcessorConfig, readProcessorConfig } from '../checkpoint/settings';
import { Tensor } from '../tensor';
import type { ArrayWithDims, ImageSize, ReturnTensors } from '../core/types';
import { checkReturnTensors } from '../core/device';
import { checkInteger, checkOptions, checkString, isPlainObject, optionalBoolean } from '../core/options';
import { guardMethods } from '../core/receivers';

/** The typed calls of a processor: see the class. */
export interface Sam3TrackerProcessor {
  <const O extends Omit<Sam3TrackerProcessorOptions, 'images'> = object>(
    images: ImagesInput,
    options?: Exactly<O>,
  ): Promise<ProcessorResult<O & Record<'images', ImagesInput>>>;
  <const O extends Sam3TrackerProcessorOptions>(options: Exactly<O>): Promise<ProcessorResult<O>>;
}

/**
 * Turns images and prompts into the model's inputs, with the numbers of transformers' Sam3TrackerProcessor. Call it:
 * `await processor({ images, input_points })`, or as in transformers.js `await processor(images, { input_points })`.
 *
 * A call throws RangeError with the reference's messages for a prompt of another nesting, points and labels of
 * different counts, or boxes of different counts; RangeError for prompts of another number of images, coordinates that
 * are not finite and unknown labels; TypeError for an unknown option or another type; and as Sam3ImageProcessor.
 */
export class Sam3TrackerProcessor extends UntypedCallable {
  /** Preprocesses the images and post-processes the masks. */
  readonly image_processor: Sam3ImageProcessor;
  /** Side of the square image that coordinates are normalised to, in pixels; null where `size` names no height. */
  readonly target_size: number | null;
  /** What missing points and labels are filled with; points that hold it are not normalised. */
  readonly point_pad_value: number;

  /**
   * A processor around an image processor.
   *
   * @param image_processor what prepares the images.
   * @param target_size side of the model's square image in pixels; default the image processor's height.
   * @param point_pad_value default -10, which the model knows as padding.
   * @throws TypeError for another image processor; TypeError and RangeError for numbers that are no integers.
   */
  constructor(
    image_processor: Sam3ImageProcessor,
    target_size?: number | null,
    point_pad_value?: number | null,
  );
  /** The same with both by name, as Python's keyword arguments. @throws as above; TypeError for other names. */
  constructor(
    image_processor: Sam3ImageProcessor,
    settings?: { target_size?: number | null; point_pad_value?: number | null },
  );
  constructor(image_processor: Sam3ImageProcessor, second?: number | null | object, third?: number | null) {
    super();
    const named = isPlainObject(second);
    if (named && third !== undefined)
      throw wrongType('no argument', 'the argument after the settings', third);
    const { target_size, point_pad_value } = checkOptions(
      named ? second : { target_size: second, point_pad_value: third },
      ['target_size', 'point_pad_value'],
      'Sam3TrackerProcessor',
    );
    if (!(image_processor instanceof Sam3ImageProcessor))
      throw new TypeError(
        `Received a ${typeName(image_processor)} for argument image_processor, but a ImageProcessingMixin was expected.`,
      );
    this.image_processor = image_processor;
    this.target_size =
      (target_size ?? null) === null
        ? (image_processor.size?.height ?? null)
        : checkInteger(target_size, 'target_size', { min: 1 });
    this.point_pad_value = checkInteger(point_pad_value ?? -10, 'point_pad_value');
  }

  /**
   * Reads processor_config.json and the image processor's settings. Mirrors `ProcessorMixin.from_pretrained`.
   *
   * @param pretrained_model_name_or_path a directory, the id of a model that this package ships, or that of a repository
   *   on the Hugging Face hub.
   * @param options the hub's (`HubOptions`), and what replaces the files' settings: the processor's own two, and the
   *   image processor's.
   * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_INVALID and the hub's, as `Sam3TrackerConfig.from_pretrained`;
   *   TypeError and RangeError as the constructors.
   */
  static from_pretrained(
    pretrained_model_name_or_path: string,
    options?: Sam3TrackerProcessorSettings & HubOptions,
  ): Promise<Sam3TrackerProcessor>;
  /** From files that are open. @internal */
  static from_pretrained(
    files: string | PretrainedFiles,
    options?: Sam3TrackerProcessorSettings & HubOptions,
  ): Promise<Sam3TrackerProcessor>;
  /** The one behind both. */
  static async from_pretrained(
    name_or_files: string | PretrainedFiles,
    options: Sam3TrackerProcessorSettings & HubOptions = {},
  ): Promise<Sam3TrackerProcessor> {
    const known = ['target_size', 'point_pad_value', ...IMAGE_PROCESSOR_OPTIONS, ...HUB_OPTIONS];
    checkOptions(options, known, 'Sam3TrackerProcessor.from_pretrained');
    const [hubOptions, settings] = splitHubOptions(options);
    const { target_size, point_pad_value, ...imageSettings } = settings;
    const source = await openPretrained(name_or_files, hubOptions);
    const image_processor = Sam3ImageProcessor.from_dict(
      await readImageProcessorConfig(source),
      imageSettings,
    );
    const saved = await readProcessorConfig(source);
    return new Sam3TrackerProcessor(
      image_processor,
      target_size ?? (saved.target_size as number | undefined),
      point_pad_value ?? (saved.point_pad_value as number | undefined),
    );
  }

  /** Names of the fields that a call with images gives. */
  get model_input_names(): string[] {
    return [...this.image_processor.model_input_names, 'original_sizes'];
  }

  /** The settings as plain values, the image processor's among them. Mirrors `to_dict`. */
  to_dict(): Record<string, unknown> {
    return { image_processor: this.image_processor.to_dict(), ...this.#ownSettings() };
  }

  /** JSON text, the bytes that transformers writes into processor_config.json. */
  to_json_string(): string {
    const own = toPythonJson(this.#ownSettings()).slice('{\n'.length);
    const nested = this.image_processor.to_json_string().trimEnd().replaceAll('\n', '\n  ');
    return `{\n  "image_processor": ${nested},\n${own}\n`;
  }

  /** Plain values for `JSON.stringify`: `to_dict`. */
  toJSON(): Record<string, unknown> {
    return this.to_dict();
  }

  /**
   * Writes processor_config.json, which holds the image processor too, into a directory, which is made where it is
   * missing. Mirrors `save_pretrained`.
   *
   * @returns the path of the file, in a list.
   * @throws Sam3TrackerError FILE_INVALID where a file has the directory's name, FILE_NOT_WRITTEN.
   */
  async save_pretrained(save_directory: string): Promise<string[]> {
    checkString(save_directory, 'save_directory');
    return saveFiles(save_directory, [{ name: 'processor_config.json', content: this.to_json_string() }]);
  }

  /** Brings low-resolution masks to the size of their images: see `Sam3ImageProcessor.post_process_masks`. */
  post_process_masks<const A extends PostProcessArguments = []>(
    masks: MasksInput,
    original_sizes: SizesInput,
    ...args: A
  ): Promise<Tensor<MaskDType<A>>[]> {
    return this.image_processor.post_process_masks(masks, original_sizes, ...args);
  }

  protected async _call(first?: unknown, second?: unknown): Promise<unknown> {
    const given = readArguments(first, second);
    if (given.images === null && given.original_sizes === null)
      throw new RangeError(`Either images or original_sizes must be provided. ${FORGOTTEN_AWAIT}`);
    const kind = checkReturnTensors(given.return_tensors);
    // Checked before the images are touched, which take the time.
    const prompts = readPrompts(
      given.input_points,
      given.input_labels,
      given.input_boxes,
      optionalBoolean(given.allow_ragged_boxes, 'allow_ragged_boxes', false),
    );
    const [named] = await Promise.all([
      given.original_sizes === null ? null : readSizes(given.original_sizes, false),
      prompts.points?.load(),
      prompts.labels?.load(),
      prompts.boxes?.load(),
    ]);
    if (named?.length === 0) throw wrongValue('the size of at least one image', 'original_sizes', named);
    if (given.images === null) {
      checkWithoutImages(given);
      return this.#encode({}, named as ImageSize[], prompts, given.return_tensors);
    }
    const images = given.images as ImagesInput;
    const options = { ...given.imageOptions, segmentation_maps: given.segmentation_maps };
    const features: ImageFeatures<BatchField> = await (kind === 'np'
      ? this.image_processor(images, { ...options, return_tensors: 'np' })
      : this.image_processor(images, { ...options, return_tensors: 'pt' }));
    try {
      const { original_sizes: sizes, ...fields } = features;
      checkSizesAgainst(sizes, images, named);
      return this.#encode(fields, sizes, prompts, given.return_tensors);
    } catch (error) {
      new BatchEncoding(features as unknown as BatchFields).dispose();
      throw error;
    }
  }

  #encode(
    fields: Omit<BatchFields<BatchField>, 'original_sizes'>,
    sizes: readonly ImageSize[],
    prompts: Prompts,
    return_tensors: ReturnTensors | null | undefined,
  ): BatchEncoding<BatchField> {
    const how = this.#normalization(sizes, prompts, return_tensors === 'pt' ? 'reciprocal' : 'exact');
    const points = prompts.points && prepareCoordinates(prompts.points, 'points', how);
    const labels = prompts.labels && prepareLabels(prompts.labels, how);
    const boxes = prompts.boxes && prepareCoordinates(prompts.boxes, 'boxes', how);
    const asField = (type: DType, array: ArrayWithDims<TensorData> | null): BatchField | undefined =>
      array === null ? undefined : return_tensors === 'np' ? array : new Tensor(type, array.data, array.dims);
    const { type, ...original } = sizesArray(sizes, return_tensors === 'np');
    return new BatchEncoding<BatchField>({
      ...fields,
      original_sizes: asField(type, original) as BatchField,
      input_points: asField('float32', points),
      input_labels: asField('int64', labels),
      input_boxes: asField('float32', boxes),
    });
  }

  #normalization(
    sizes: readonly ImageSize[],
    { points, boxes }: Prompts,
    division: Normalization['division'],
  ): Normalization {
    if (this.target_size === null && (points || boxes))
      throw new RangeError(
        'Points and boxes need a target_size: this image processor resizes to no fixed height. Give it to the ' +
          "processor's constructor.",
      );
    return { sizes, targetSize: this.target_size ?? 0, padValue: this.point_pad_value, division };
  }

  #ownSettings(): Record<string, unknown> {
    return {
      point_pad_value: this.point_pad_value,
      processor_class: 'Sam3TrackerProcessor',
      target_size: this.target_size,
    };
  }
}

guardMethods(Sam3TrackerProcessor);
