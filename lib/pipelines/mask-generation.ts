/** Segment everything: mirrors transformers' `pipelines/mask_generation.py`. */
import { setImmediate as nextTurn } from 'node:timers/promises';
import { UntypedCallable } from '../core/callable';
import { wrongType } from '../core/errors';
import { Sam3ImageProcessor } from '../image/image-processing-sam3';
import type { Box, CocoRLE, RLE } from '../masks/types';
import type { Sam3TrackerModel } from '../model/modeling-sam3-tracker';
import { mask_to_polygons, type Polygon } from '../masks/polygons';
import { RawImage, checkImageSource, type RawImageInput } from '../image/raw-image';
import type { RLEMask } from '../masks/rle';
import {
  checkMaskGenerationDefaults,
  checkMaskGenerationOptions,
  type MaskGenerationDefaults,
  type MaskGenerationOptions,
  type MaskGenerationProgress,
  type MaskGenerationSettings,
  type MaskOutputMode,
} from './mask-generation-options';
import {
  generateAll,
  generateBatches,
  pointLimitOf,
  removeSmallRegions,
  suppressOverlaps,
  type FoundMask,
  type MaskGenerationImageProcessor,
  type MaskGenerationModel,
} from './mask-generation-run';
import { abortable, mapInTurns } from '../core/async';
import { isURL } from '../core/kinds';
import { guardMethods } from '../core/receivers';

/** What `masks` holds for each `output_mode`. */
export interface MaskOutputs {
  /** A mask that unpacks when it is read. */
  binary: RLEMask;
  /** A compressed encoding. */
  coco_rle: CocoRLE;
  /** The outlines of its parts, without their holes: those of a mask with holes hold more pixels than the mask. */
  polygons: Polygon[];
}

/** The masks of one image, best predicted IoU first; empty lists where there are none. */
export interface MaskGenerationOutput<Mode extends MaskOutputMode = 'binary'> {
  /** As `output_mode` says; of the whole image. */
  masks: MaskOutputs[Mode][];
  /** Predicted IoU of each. */
  scores: number[];
  /** Uncompressed encodings, where `output_rle_mask` asks for them. */
  rle_mask?: RLE[];
  /** xyxy in pixels, first and last column and row inside, where `output_bboxes_mask` asks for them. */
  bounding_boxes?: Box[];
}

/** A mask as `stream` yields it. */
export interface StreamedMask<Mode extends MaskOutputMode = 'binary'> {
  /** As `output_mode` says; of the whole image. */
  mask: MaskOutputs[Mode];
  /** Predicted IoU. */
  score: number;
  /** Pixels above mask_threshold plus the offset, per pixels above mask_threshold minus it. */
  stability_score: number;
  /** xyxy in pixels of the image, first and last column and row inside. */
  bounding_box: Box;
  /** Pixels of the image inside. */
  area: number;
  /** The point that asked for it, [x, y] in pixels of the image. */
  point: [x: number, y: number];
  /** The part of the image that it was found in: xyxy in pixels, right and bottom excluded. */
  crop_box: Box;
}

/** What a pipeline is made of. Defaults of a model's own (mask_generation_config.json) come with a model's name only. */
export interface MaskGenerationComponents {
  /** Finds the masks; stays the caller's to dispose. */
  model: Sam3TrackerModel;
  /** Prepares images for it. */
  image_processor: Sam3ImageProcessor;
}

/** Some images of a list failed: `errors` says which way, `results` has the others. */
export class MaskGenerationError extends AggregateError {
  /** The class's own. */
  override readonly name = 'MaskGenerationError';
  /** One for each image of the list; null for those that failed. */
  readonly results: (MaskGenerationOutput<MaskOutputMode> | null)[];
  /** One for each image of the list; null for those that did not fail. */
  readonly image_errors: (Error | null)[];

  /**
   * The error of a list of images.
   *
   * @param results one for each image, null where it failed.
   * @param image_errors one for each image, null where it did not fail.
   */
  constructor(results: (MaskGenerationOutput<MaskOutputMode> | null)[], image_errors: (Error | null)[]) {
    const failed = image_errors.flatMap((error, index) => (error ? [{ error, index }] : []));
    const first = failed[0];
    super(
      failed.map(({ error }) => error),
      `${failed.length} of ${results.length} images failed, the first of them images[${first.index}]: ` +
        `${first.error.message} The results of the others are in this error's results.`,
      { cause: first.error },
    );
    this.results = results;
    this.image_errors = image_errors;
  }
}

/** One image, or several. */
type Calls = <const Mode extends MaskOutputMode = 'binary'>(
  image: RawImageInput,
  options?: MaskGenerationOptions<Mode>,
) => Promise<MaskGenerationOutput<Mode>>;

type ListCalls = <const Mode extends MaskOutputMode = 'binary'>(
  images: readonly RawImageInput[],
  options?: MaskGenerationOptions<Mode>,
) => Promise<MaskGenerationOutput<Mode>[]>;

/** The typed calls of the pipeline: see the class. */
export interface MaskGenerationPipeline extends Calls, ListCalls {}

const isList = (value: unknown): value is readonly RawImageInput[] => Array.isArray(value);

/**
 * Finds the masks of everything in an image: a grid of points is asked about, unsure, unstable and double masks go.
 * Mirrors transformers' `MaskGenerationPipeline`; `pipeline('mask-generation')` makes one. Call it with an image
 * (whatever RawImage.read takes) or a list of images: `await generator('photo.jpg', { points_per_batch: 64 })`.
 *
 * The work is native and off the JavaScript thread, one batch of points a job. On the CPU no mask is ever held at full
 * size, so that memory does not grow with the image; on a GPU masks of up to 67 million pixels together (at least one)
 * are upsampled at a time. `masks` of a result unpack when their `data` is read.
 *
 * A call rejects with TypeError and RangeError for arguments, with transformers' message for points_per_batch; with the
 * signal's reason (an AbortError) once `signal` is aborted; with what RawImage.read, the image processor and the model
 * throw. What is no image at all ends a call before it begins; else a list is gone through to its end: then MaskGenerationError has the failed images' errors and the results of
 * the others.
 */
export class MaskGenerationPipeline extends UntypedCallable {
  /** The task, as transformers names it. */
  readonly task = 'mask-generation';
  /** Finds the masks. */
  readonly model: Sam3TrackerModel;
  /** Prepares images for it. */
  readonly image_processor: Sam3ImageProcessor;
  /** Arguments that calls take where they say nothing else, before transformers' defaults. */
  readonly defaults: Readonly<MaskGenerationDefaults>;
  readonly #ownsModel: boolean;

  /**
   * A pipeline around a loaded model.
   *
   * @param components the model and its image processor.
   * @param defaults arguments of calls that come before transformers' defaults.
   * @param ownsModel whether `dispose` disposes of the model. Default false.
   * @throws TypeError for other components and unknown arguments; RangeError for arguments out of range.
   */
  constructor(
    components: MaskGenerationComponents,
    defaults: MaskGenerationDefaults = {},
    ownsModel: boolean = false,
  ) {
    super();
    const { model, image_processor } = components;
    if (typeof model?.generate_masks !== 'function') throw wrongType('a Sam3TrackerModel', 'model', model);
    if (!(image_processor instanceof Sam3ImageProcessor))
      throw wrongType('a Sam3ImageProcessor', 'image_processor', image_processor);
    this.model = model;
    this.image_processor = image_processor;
    this.defaults = checkMaskGenerationDefaults(defaults);
    this.#ownsModel = ownsModel;
  }

  /**
   * Yields masks as they are found, batch by batch: of masks that overlap (crops_nms_thresh) the one found first stays,
   * and within a batch the better one. A call, which knows all masks before it chooses, may choose otherwise.
   * Leaving the loop early ends the work.
   *
   * @param image whatever RawImage.read takes; one image.
   * @param options as of a call; output_rle_mask and output_bboxes_mask change nothing here.
   * @throws as a call.
   */
  async *stream<const Mode extends MaskOutputMode = 'binary'>(
    image: RawImageInput,
    options: MaskGenerationOptions<Mode> = {},
  ): AsyncGenerator<StreamedMask<Mode>, void, undefined> {
    const settings = checkMaskGenerationOptions(options, this.defaults);
    const pointLimit = pointLimitOf(this.model, settings);
    const run = this.#run(await readImage(image, settings), settings, pointLimit);
    const yielded: FoundMask[] = [];
    for await (const found of generateBatches(run, newProgress())) {
      const masks =
        settings.min_mask_region_area > 0
          ? (await removeSmallRegions(found, settings)).map(({ mask }) => mask)
          : found;
      // Those that came before outdo every later one.
      const before = new Set(yielded);
      const kept = await suppressOverlaps([...yielded, ...masks], settings, (mask) =>
        before.has(mask) ? 2 : mask.score,
      );
      for (const mask of kept.filter((one) => !before.has(one))) {
        yielded.push(mask);
        yield {
          mask: outputOf(mask, settings.output_mode) as MaskOutputs[Mode],
          score: mask.score,
          stability_score: mask.stability_score,
          bounding_box: mask.box,
          area: mask.mask.area,
          point: mask.point,
          crop_box: mask.crop.box,
        };
      }
    }
  }

  /** Lets go of the model, where `pipeline` loaded it; a model that was passed in stays its owner's. Safe twice. */
  dispose(): void {
    if (this.#ownsModel) this.model.dispose();
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** What a call runs. */
  protected async _call(
    images: RawImageInput | readonly RawImageInput[],
    options?: MaskGenerationOptions,
  ): Promise<unknown> {
    const settings = checkMaskGenerationOptions(options, this.defaults);
    // What is wrong with the call is wrong with every image.
    const pointLimit = pointLimitOf(this.model, settings);
    if (!isList(images)) return this.#generate(images, settings, pointLimit);
    // Before the hours that the others may take. By index: a list may have holes.
    for (let index = 0; index < images.length; index++) checkImageSource(images[index], `images[${index}]`);
    const callback = watchCallback(settings.progress_callback);
    const ofImage = { ...settings, progress_callback: callback.progress_callback };
    const results: (MaskGenerationOutput<MaskOutputMode> | null)[] = [];
    const errors: (Error | null)[] = [];
    for (const image of images) {
      try {
        results.push(await this.#generate(image, ofImage, pointLimit));
        errors.push(null);
      } catch (error) {
        if (callback.threw || settings.signal?.aborted || this.model.disposed) throw error;
        results.push(null);
        errors.push(error as Error);
        // Thousands of images that fail at once must not hold up the event loop.
        await nextTurn();
      }
    }
    if (errors.some((error) => error !== null)) throw new MaskGenerationError(results, errors);
    return results;
  }

  async #generate(
    input: RawImageInput,
    settings: MaskGenerationSettings,
    pointLimit: number,
  ): Promise<MaskGenerationOutput<MaskOutputMode>> {
    const image = await readImage(input, settings);
    const found = await generateAll(this.#run(image, settings, pointLimit), newProgress());
    const { signal } = settings;
    const output: MaskGenerationOutput<MaskOutputMode> = {
      masks: await mapInTurns(found, signal, (mask) => outputOf(mask, settings.output_mode)),
      scores: found.map(({ score }) => score),
    };
    if (settings.output_rle_mask) output.rle_mask = await mapInTurns(found, signal, ({ mask }) => mask.rle);
    if (settings.output_bboxes_mask) output.bounding_boxes = found.map(({ box }) => box);
    return output;
  }

  #run(
    image: RawImage,
    settings: MaskGenerationSettings,
    pointLimit: number,
  ): Parameters<typeof generateAll>[0] {
    return {
      model: this.model satisfies MaskGenerationModel,
      image_processor: this.image_processor satisfies MaskGenerationImageProcessor,
      image,
      settings,
      pointLimit,
    };
  }
}

guardMethods(MaskGenerationPipeline);

type ProgressCallback = MaskGenerationOptions['progress_callback'];

/** A caller's progress callback, and whether it has thrown: that ends a call, whichever image it is at. */
export interface WatchedCallback {
  /** To be called in its place. */
  readonly progress_callback: Exclude<ProgressCallback, undefined>;
  /** Whether it has thrown. */
  threw: boolean;
}

/** Watches a progress callback. */
export function watchCallback(callback: ProgressCallback): WatchedCallback {
  if (!callback) return { progress_callback: null, threw: false };
  const watched: WatchedCallback = {
    threw: false,
    progress_callback: (progress) => {
      try {
        callback(progress);
      } catch (error) {
        watched.threw = true;
        throw error;
      }
    },
  };
  return watched;
}

/**
 * Reads an image.
 *
 * @param input whatever RawImage.read takes.
 * @param settings of the call.
 * @param settings.timeout seconds to wait for what is fetched.
 * @param settings.signal ends it early.
 * @throws as RawImage.read; Sam3TrackerError DOWNLOAD_FAILED after the timeout; the signal's reason.
 */
export async function readImage(
  input: RawImageInput,
  { timeout, signal }: Pick<MaskGenerationSettings, 'timeout' | 'signal'>,
): Promise<RawImage> {
  signal?.throwIfAborted();
  // Only what is fetched can keep one waiting; other images may take no options.
  if (typeof input !== 'string' && !isURL(input)) return abortable(RawImage.read(input), signal);
  return RawImage.read(input, {
    ...(signal && { signal }),
    ...(timeout !== null && { timeout }),
  });
}

function newProgress(): MaskGenerationProgress {
  return {
    points_done: 0,
    points_total: 0,
    masks_kept: 0,
    seconds: { encode: 0, decode: 0, filter: 0, upsample: 0, suppress: 0 },
  };
}

function outputOf({ mask }: FoundMask, mode: MaskOutputMode): MaskOutputs[MaskOutputMode] {
  if (mode === 'coco_rle') return mask.coco_rle;
  return mode === 'polygons' ? mask_to_polygons(mask) : mask;
}
