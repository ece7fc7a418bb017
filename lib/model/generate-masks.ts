/** One batch of segment-everything: points on one part of an image to the masks that pass the filters. */
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import { checkPixels, checkSize } from '../core/device';
import type { DType } from '../core/dtype';
import { wrongType, wrongValue } from '../core/errors';
import { isAbortSignal, isArrayOf } from '../core/kinds';
import { checkBoolean, checkInteger, checkNumber } from '../core/options';
import type { Bounds } from '../core/options';
import type { Box } from '../masks/types';
import { checkImageEmbeddings } from './inputs';
import {
  addon,
  callNative,
  callNativeSync,
  type NativeCancelFlag,
  type NativeTrackerModel,
} from '../native/binding';
import { RLEMask } from '../masks/rle';
import { Tensor } from '../tensor';
import type { ImageSize } from '../core/types';

/** What of a batch's masks is kept. */
export interface MaskFilter {
  /** Masks pass with a predicted IoU above it, 0 to 1; 0 lets all pass. */
  pred_iou_thresh: number;
  /** Masks pass with a stability score above it, 0 to 1; 0 lets all pass. */
  stability_score_thresh: number;
  /** On logits, to either side of mask_threshold: where the stability score counts pixels. */
  stability_score_offset: number;
  /** On logits: pixels above it are inside. */
  mask_threshold: number;
  /** Holes of at most so many low-resolution pixels are filled; 0: none. */
  max_hole_area: number;
  /** Sprinkles of at most so many low-resolution pixels are removed; 0: none. */
  max_sprinkle_area: number;
}

/** Points on one part of an image. */
export interface MaskBatch extends MaskFilter {
  /** What get_image_embeddings gave for this part, one image. */
  image_embeddings: readonly Tensor[];
  /** x and y of each point in turn, in pixels of the model's square input. */
  points: Float32Array;
  /** Several masks a point, or the one that fits best. */
  multimask_output: boolean;
  /** The part, xyxy in pixels of the image, right and bottom excluded. */
  crop_box: Box;
  /** Masks at the part's edge go, unless it is an edge of these bounds too: xyxy, right and bottom excluded. */
  bounds: Box;
  /** [height, width] of the whole image in pixels. */
  original_size: ImageSize;
  /** Ends the work early: after the points that are under way, or at once where it has not begun. */
  signal?: AbortSignal | null;
}

/** A mask that passed. */
export interface GeneratedMask {
  /** Of the whole image. */
  mask: RLEMask;
  /** The model's own estimate of the mask's IoU. */
  score: number;
  /** Pixels above the threshold plus the offset, per pixels above the threshold minus it; NaN without the latter. */
  stability_score: number;
  /** xyxy in pixels of the image, first and last column and row inside. */
  box: Box;
  /** Which of the batch's points asked for it. */
  point: number;
}

/** The masks of a batch, and where its time went. */
export interface MaskBatchResult {
  /** In the order of points, and of a point's masks. */
  masks: GeneratedMask[];
  /** Seconds of the decoder. */
  decode_seconds: number;
  /** Seconds of the filters: predicted IoU, stability, edges of crops. */
  filter_seconds: number;
  /** Seconds of upsampling and encoding, one pass that counts what the stability is made of, too. */
  upsample_seconds: number;
}

/** What generate_masks needs to know of its model. */
interface ModelOfBatch {
  readonly config: Sam3TrackerConfig;
  readonly dtype: DType;
  readonly attn_implementation: string;
}

/** Runs a job that looks at a flag while it runs, and rejects with the signal's reason where that ended it. */
async function cancellable<T>(
  signal: AbortSignal | null | undefined,
  start: (flag: NativeCancelFlag | null) => Promise<T>,
): Promise<T> {
  if (!signal) return callNative(() => start(null));
  signal.throwIfAborted();
  const flag = addon().makeCancelFlag();
  const cancel = (): void => addon().cancel(flag);
  signal.addEventListener('abort', cancel);
  try {
    const result = await callNative(() => start(flag));
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Pixels of a side: beyond what images have, and as far as native code counts. */
export const LONGEST_SIDE = 2 ** 24;

function checkBox(value: unknown, name: string, [height, width]: ImageSize): Box {
  if (!Array.isArray(value) || value.length !== 4) throw wrongType('[x1, y1, x2, y2]', name, value);
  const [x1, y1, x2, y2] = value.map((side, index) =>
    checkInteger(side, `${name}[${index}]`, { min: 0, max: index % 2 === 0 ? width : height }),
  );
  if (x1 >= x2 || y1 >= y2) throw wrongValue('x1 < x2 and y1 < y2', name, value);
  return [x1, y1, x2, y2];
}

/**
 * A batch, checked: what goes to native code, and nothing else. The pipeline passes its other settings along.
 *
 * @throws TypeError for a field of another kind; RangeError for a value out of range.
 */
function readBatch(batch: unknown): Omit<MaskBatch, 'image_embeddings' | 'signal'> {
  if (typeof batch !== 'object' || batch === null)
    throw wrongType('an object', 'Sam3TrackerModel.generate_masks', batch);
  const given = batch as { [Name in keyof MaskBatch]: unknown };
  const { points, signal } = given;
  if (signal !== undefined && signal !== null && !isAbortSignal(signal))
    throw wrongType('an AbortSignal', 'signal', signal);
  if (!isArrayOf(points, Float32Array)) throw wrongType('a Float32Array', 'points', points);
  if (points.length % 2 !== 0) throw wrongValue('x and y of each point', 'points', points.length);
  const original_size = checkSize(given.original_size, 'original_size');
  checkPixels(original_size, 'original_size');
  for (const side of original_size) checkInteger(side, 'original_size', { max: LONGEST_SIDE });
  const number = (name: keyof MaskBatch, bounds?: Bounds): number => checkNumber(given[name], name, bounds);
  return {
    points,
    multimask_output: checkBoolean(given.multimask_output, 'multimask_output'),
    original_size,
    crop_box: checkBox(given.crop_box, 'crop_box', original_size),
    bounds: checkBox(given.bounds, 'bounds', original_size),
    pred_iou_thresh: number('pred_iou_thresh'),
    stability_score_thresh: number('stability_score_thresh'),
    stability_score_offset: number('stability_score_offset', { min: 0 }),
    mask_threshold: number('mask_threshold'),
    max_hole_area: number('max_hole_area', { min: 0 }),
    max_sprinkle_area: number('max_sprinkle_area', { min: 0 }),
  };
}

/** Runs `Sam3TrackerModel.generate_masks`. */
export async function generateMaskBatch(
  handle: NativeTrackerModel,
  model: ModelOfBatch,
  batch: MaskBatch,
): Promise<MaskBatchResult> {
  const options = readBatch(batch);
  const embeddings = checkImageEmbeddings(batch.image_embeddings, model.config, model.dtype);
  const images = embeddings[0].dims[0];
  if (images !== 1) throw wrongValue('the embeddings of one image', 'image_embeddings', images);
  using points = new Tensor('float32', options.points, [options.points.length / 2, 2]);
  const found = await cancellable(batch.signal, (cancel_flag) =>
    handle.generateMasks({
      ...options,
      cancel_flag,
      image_embeddings: embeddings.map((tensor) => tensor.handle),
      points: points.handle,
      eager_attention: model.attn_implementation === 'eager',
    }),
  );
  const masksOfPoint = options.multimask_output ? model.config.mask_decoder_config.num_multimask_outputs : 1;
  return {
    ...found,
    masks: found.masks.map(({ index, counts, ...mask }) => ({
      ...mask,
      mask: new RLEMask(options.original_size, counts),
      point: Math.floor(index / masksOfPoint),
    })),
  };
}

/** About how many bytes a batch of one point takes besides the model and the embeddings, and how many points take `max_memory`. */
export function batchMemory(
  model: ModelOfBatch & { readonly device: string },
  max_memory: number,
): { least: number; points: number } {
  const { vision_config, mask_decoder_config } = model.config;
  return callNativeSync(() =>
    addon().batchMemory({
      device: model.device,
      dtype: model.dtype,
      eager_attention: model.attn_implementation === 'eager',
      backbone_feature_sizes: vision_config.backbone_feature_sizes,
      hidden_size: mask_decoder_config.hidden_size,
      num_multimask_outputs: mask_decoder_config.num_multimask_outputs,
      max_memory,
    }),
  );
}
