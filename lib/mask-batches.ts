/** One batch of segment-everything: points on one part of a picture to the masks that pass the filters. */
import type { Sam3TrackerConfig } from './configuration-sam3-tracker';
import type { DType } from './dtype';
import type { Box } from './mask-types';
import { checkImageEmbeddings } from './model-inputs';
import { callNative, type NativeTrackerModel } from './native';
import { RLEMask } from './rle';
import { Tensor } from './tensor';
import type { ImageSize } from './types';

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
  /** Seconds of all that follows it: scores, stretching, encoding. */
  filter_seconds: number;
}

/** What generate_masks needs to know of its model. */
interface ModelOfBatch {
  readonly config: Sam3TrackerConfig;
  readonly dtype: DType;
  readonly attn_implementation: string;
}

/** Runs `Sam3TrackerModel.generate_masks`. */
export async function generateMaskBatch(
  handle: NativeTrackerModel,
  model: ModelOfBatch,
  batch: MaskBatch,
): Promise<MaskBatchResult> {
  const embeddings = checkImageEmbeddings(batch.image_embeddings, model.config, model.dtype);
  using points = new Tensor('float32', batch.points, [batch.points.length / 2, 2]);
  const found = await callNative(() =>
    handle.generateMasks({
      imageEmbeddings: embeddings.map((tensor) => tensor.handle),
      points: points.handle,
      multimaskOutput: batch.multimask_output,
      eagerAttention: model.attn_implementation === 'eager',
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
    masks: found.masks.map(({ index, score, stabilityScore, box, runs }) => ({
      mask: new RLEMask(batch.picture_size, runs),
      score,
      stability_score: stabilityScore,
      box,
      point: Math.floor(index / masksOfPoint),
    })),
    decode_seconds: found.decodeSeconds,
    filter_seconds: found.filterSeconds,
  };
}

/** Maps of the decoder taken to be alive at once for every point of a batch: an estimate from its graph, never measured. */
const LIVE_MAPS = { keys: 8, half: 4, full: 3, masks: 3 };

/**
 * Bytes that one point takes in a batch, about: the decoder's maps of the image for it, and its masks.
 *
 * @param model whose configuration says how large they are.
 */
export function bytesPerPoint(model: Pick<ModelOfBatch, 'config' | 'dtype'>): number {
  const { config, dtype } = model;
  const { hidden_size, num_multimask_outputs } = config.mask_decoder_config;
  const sizes = config.vision_config.backbone_feature_sizes.slice(-3);
  const [full, half, keys] = sizes.map(([height, width]) => height * width);
  const elements =
    LIVE_MAPS.keys * keys * hidden_size +
    LIVE_MAPS.half * half * (hidden_size / 4) +
    LIVE_MAPS.full * full * (hidden_size / 8) +
    LIVE_MAPS.masks * full * (num_multimask_outputs + 1);
  return elements * (dtype === 'float32' ? 4 : 2);
}
