/** One batch of segment-everything: points on one part of a picture to the masks that pass the filters. */
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import type { DType } from '../core/dtype';
import type { Box } from '../masks/types';
import { checkImageEmbeddings } from './inputs';
import { callNative, native, type NativeCancelFlag, type NativeTrackerModel } from '../native/binding';
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
  /** Specks of at most so many low-resolution pixels are removed; 0: none. */
  max_sprinkle_area: number;
}

/** Points on one part of a picture. */
export interface MaskBatch extends MaskFilter {
  /** What get_image_embeddings gave for this part, one image. */
  image_embeddings: readonly Tensor[];
  /** x and y of each point in turn, in pixels of the model's square input. */
  points: Float32Array;
  /** Several masks a point, or the one that fits best. */
  multimask_output: boolean;
  /** The part, xyxy in pixels of the picture, right and bottom excluded. */
  crop_box: Box;
  /** Masks at the part's edge go, unless it is an edge of these bounds too: xyxy, right and bottom excluded. */
  bounds: Box;
  /** [height, width] of the whole picture in pixels. */
  picture_size: ImageSize;
  /** Ends the work early: after the points that are under way, or at once where it has not begun. */
  signal?: AbortSignal | null;
}

/** A mask that passed. */
export interface GeneratedMask {
  /** Of the whole picture. */
  mask: RLEMask;
  /** The model's own estimate of the mask's IoU. */
  score: number;
  /** Pixels above the threshold plus the offset, per pixels above the threshold minus it; NaN without the latter. */
  stability_score: number;
  /** xyxy in pixels of the picture, first and last column and row inside. */
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
  /** Seconds of stretching and encoding, one pass that counts what the stability is made of, too. */
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
  const flag = native.makeCancelFlag();
  const cancel = (): void => native.cancel(flag);
  signal.addEventListener('abort', cancel);
  try {
    const result = await callNative(() => start(flag));
    signal.throwIfAborted();
    return result;
  } finally {
    signal.removeEventListener('abort', cancel);
  }
}

/** Runs `Sam3TrackerModel.generate_masks`. */
export async function generateMaskBatch(
  handle: NativeTrackerModel,
  model: ModelOfBatch,
  batch: MaskBatch,
): Promise<MaskBatchResult> {
  const embeddings = checkImageEmbeddings(batch.image_embeddings, model.config, model.dtype);
  using points = new Tensor('float32', batch.points, [batch.points.length / 2, 2]);
  const eager = model.attn_implementation === 'eager';
  const found = await cancellable(batch.signal, (cancelFlag) =>
    handle.generateMasks({
      cancelFlag,
      imageEmbeddings: embeddings.map((tensor) => tensor.handle),
      points: points.handle,
      multimaskOutput: batch.multimask_output,
      pointsAtOnce:
        pointsAtOnce({ device: handle.device, dtype: handle.dtype, eager }) ?? batch.points.length / 2,
      eagerAttention: eager,
      predIouThresh: batch.pred_iou_thresh,
      stabilityScoreThresh: batch.stability_score_thresh,
      stabilityScoreOffset: batch.stability_score_offset,
      maskThreshold: batch.mask_threshold,
      maxHoleArea: batch.max_hole_area,
      maxSprinkleArea: batch.max_sprinkle_area,
      cropBox: batch.crop_box,
      bounds: batch.bounds,
      pictureSize: batch.picture_size,
    }),
  );
  const masksOfPoint = batch.multimask_output ? model.config.mask_decoder_config.num_multimask_outputs : 1;
  return {
    masks: found.masks.map(({ index, score, stabilityScore, box, counts }) => ({
      mask: new RLEMask(batch.picture_size, counts),
      score,
      stability_score: stabilityScore,
      box,
      point: Math.floor(index / masksOfPoint),
    })),
    decode_seconds: found.decodeSeconds,
    filter_seconds: found.filterSeconds,
    upsample_seconds: found.upsampleSeconds,
  };
}

/** Points whose masks are held as logits at the same time, where the decoder takes points one by one anyway. */
const POINTS_AT_ONCE = 16;

/** What decides how a batch is decoded; of a model or of its handle. */
interface Decoding {
  readonly device: string;
  readonly dtype: string;
  /** Whether attention is computed as transformers' 'eager' does. */
  readonly eager: boolean;
}

/**
 * How many points are decoded before their masks are encoded and let go; null where the decoder takes a batch as one,
 * whose size is the caller's choice then.
 */
function pointsAtOnce({ device, dtype, eager }: Decoding): number | null {
  if (device !== 'cpu' || dtype !== 'float32' || eager) return null;
  // Points are shared out among the threads: whole multiples of these as they would be all at once.
  const { threads } = native.runtimeInfo();
  return Math.ceil(POINTS_AT_ONCE / threads) * threads;
}

/** Elements of a model's maps, finest first, and of a mask. */
interface MapSizes {
  full: number;
  half: number;
  keys: number;
  mask: number;
}

function mapSizes({ vision_config, mask_decoder_config }: Sam3TrackerConfig): MapSizes {
  const { hidden_size } = mask_decoder_config;
  const [full, half, keys] = vision_config.backbone_feature_sizes
    .slice(-3)
    .map(([height, width]) => height * width);
  return {
    full: full * (hidden_size / 8),
    half: half * (hidden_size / 4),
    keys: keys * hidden_size,
    mask: full,
  };
}

/** How many of each map are alive at once. */
type LiveMaps = Record<keyof MapSizes, number>;

/** Of a picture once, of each object that is under way, and of each mask of an object that is decoded. */
type LiveOfDecoder = Record<'picture' | 'object' | 'decoded', LiveMaps>;

/**
 * From measured peaks of the resident set, in the size of facebook/sam3 on the CPU, after a batch of another picture.
 * Points one by one (float32) with the kernels: 35 to 38 MiB for one, 66 to 67 for four, 118 to 121 for 16 and 130 to 150
 * for 64, with one thread and with two, where these make 42, 76, 152 and 152. Without the kernels, with the maps of an earlier
 * decoder: 36 to 59 MiB for one, 87 to 98 for 16 and for 64 with one thread, 101 to 124 with two, where these make 54, 101
 * and 126. Batches of 1, 12 and 24 decoded as one: 73, 546 and 1088 MiB in float32 with eager attention, 43, 446 and 715 in
 * bfloat16, where these make 74, 610 and 1195, and 55, 457 and 896.
 */
const LIVE = {
  /** Kernels of our own go through the image in tiles and keep nothing else of it. */
  withKernels: {
    picture: { full: 1, half: 1, keys: 3, mask: 0 },
    object: { full: 0, half: 0, keys: 1, mask: 0 },
    decoded: { full: 0, half: 0, keys: 0, mask: 5 },
  },
  withoutKernels: {
    picture: { full: 1, half: 1, keys: 2, mask: 0 },
    object: { full: 1, half: 1, keys: 2, mask: 0 },
    decoded: { full: 0, half: 0, keys: 0, mask: 2.5 },
  },
  /** Of a batch that is decoded as one. */
  asOne: {
    picture: { full: 1, half: 1, keys: 2, mask: 0 },
    object: { full: 2, half: 1, keys: 4, mask: 0 },
    decoded: { full: 0, half: 0, keys: 0, mask: 2.5 },
  },
} satisfies Record<string, LiveOfDecoder>;

/** Objects that the kernels take through the image together, or more where there are more threads. */
const OBJECTS_TOGETHER = 4;

/** How much memory the batches of a model take. */
export interface BatchMemory {
  /** Bytes that one point takes, about. */
  least: number;
  /** The most points that a batch may have to take about so many bytes; Infinity where more take no more. */
  pointsWithin: (bytes: number) => number;
}

/**
 * What batches take beside the model and the embeddings, about: the decoder's maps, and masks before they are encoded.
 *
 * @param model whose configuration says how large they are.
 */
export function memoryOfBatches(model: ModelOfBatch & Pick<Decoding, 'device'>): BatchMemory {
  const atOnce = pointsAtOnce({
    device: model.device,
    dtype: model.dtype,
    eager: model.attn_implementation === 'eager',
  });
  const { threads, hasDecoderKernels: kernels } = native.runtimeInfo();
  const live = LIVE[atOnce === null ? 'asOne' : kernels ? 'withKernels' : 'withoutKernels'];
  const sizes = mapSizes(model.config);
  // Half precision is float32 here and there.
  const elementBytes = model.dtype === 'float32' ? 4 : 3;
  const bytesOf = (maps: LiveMaps): number =>
    (Object.keys(sizes) as (keyof MapSizes)[]).reduce((sum, map) => sum + maps[map] * sizes[map], 0) *
    elementBytes;
  const [picture, object] = [bytesOf(live.picture), bytesOf(live.object)];
  const masks = bytesOf(live.decoded) * (model.config.mask_decoder_config.num_multimask_outputs + 1);
  const least = picture + object + masks;
  if (atOnce === null)
    return { least, pointsWithin: (bytes) => Math.floor((bytes - picture) / (object + masks)) };
  // Each thread has one object under way; the kernels have a few at least.
  const underWay = kernels ? Math.ceil(OBJECTS_TOGETHER / threads) * threads : threads;
  return {
    least,
    pointsWithin: (bytes) => {
      const left = bytes - picture;
      if (left >= underWay * object + atOnce * masks) return Infinity;
      const few = Math.floor(left / (object + masks));
      return few < underWay ? few : Math.floor((left - underWay * object) / masks);
    },
  };
}
