/** One image through segment-everything: crops, batches of points, and which of the masks stay. */
import { performance } from 'node:perf_hooks';
import { wrongValue } from '../core/errors';
import {
  batchMemory,
  type GeneratedMask,
  type MaskBatch,
  type MaskBatchResult,
} from '../model/generate-masks';
import type { Box } from '../masks/types';
import { addon, callNative } from '../native/binding';
import { RawImage } from '../image/raw-image';
import { RLEMask } from '../masks/rle';
import type { Tensor } from '../tensor';
import type { ImageSize } from '../core/types';
import { abortable } from '../core/async';
import { generate_crop_boxes, type Crop } from './crop-boxes';
import type { MaskGenerationProgress, MaskGenerationSettings } from './mask-generation-options';

/** What of a model the pipeline needs: a Sam3TrackerModel, or what stands for one. */
export interface MaskGenerationModel {
  /** As Sam3TrackerModel's. */
  get_image_embeddings(pixel_values: Tensor): Promise<Tensor[]>;
  /** As Sam3TrackerModel's. */
  generate_masks(batch: MaskBatch): Promise<MaskBatchResult>;
}

/** What of an image processor the pipeline needs: a Sam3ImageProcessor. */
export interface MaskGenerationImageProcessor {
  /** The model's input in pixels. */
  readonly size: { height?: number; width?: number; longest_edge?: number } | null;
  (image: RawImage): Promise<{ pixel_values: Tensor }>;
}

/** A mask with where it was found. */
export interface FoundMask extends Omit<GeneratedMask, 'point'> {
  /** Which crop it comes from. */
  crop: Crop;
  /** The point that asked for it, [x, y] in pixels of the image. */
  point: [x: number, y: number];
}

/** An image on its way through the pipeline. */
export interface MaskGenerationRun {
  model: MaskGenerationModel;
  image_processor: MaskGenerationImageProcessor;
  image: RawImage;
  settings: MaskGenerationSettings;
  /** Most points that a batch may have for the sake of memory. */
  pointLimit: number;
}

/**
 * Most points that a batch of a model may have for the sake of memory.
 *
 * @param model whose configuration says what a point takes.
 * @param settings of the call.
 * @param settings.max_memory in bytes; null for no limit.
 * @throws RangeError where one point takes more.
 */
export function pointLimitOf(
  model: Parameters<typeof batchMemory>[0],
  { max_memory }: Pick<MaskGenerationSettings, 'max_memory'>,
): number {
  if (max_memory === null) return Infinity;
  const { least, points } = batchMemory(model, max_memory);
  if (max_memory < least)
    throw wrongValue(`at least ${Math.ceil(least)} bytes, what one point takes,`, 'max_memory', max_memory);
  return points;
}

/** [height, width] of the model's input, as transformers' pipeline finds it. */
function targetSize({ size }: MaskGenerationImageProcessor): ImageSize {
  const height = size?.longest_edge ?? size?.height;
  const width = size?.longest_edge ?? size?.width;
  if (height === undefined || width === undefined)
    throw wrongValue('a height and a width', 'size of the image processor', size);
  return [height, width];
}

function boundsOf(image: RawImage, { box_of_interest }: MaskGenerationSettings): Box {
  if (!box_of_interest) return [0, 0, image.width, image.height];
  if (box_of_interest[2] > image.width || box_of_interest[3] > image.height)
    throw wrongValue(
      `a box inside the image (${image.width} x ${image.height})`,
      'box_of_interest',
      box_of_interest,
    );
  return box_of_interest;
}

/** The part of an image; the image itself where that is all of it. */
function cropImage(image: RawImage, [x1, y1, x2, y2]: Box): RawImage {
  const { data, width, height, channels } = image;
  if (x2 - x1 === width && y2 - y1 === height) return image;
  const rowBytes = (x2 - x1) * channels;
  const cropped = new Uint8Array(rowBytes * (y2 - y1));
  for (let y = y1; y < y2; y++) {
    const start = (y * width + x1) * channels;
    cropped.set(data.subarray(start, start + rowBytes), (y - y1) * rowBytes);
  }
  return new RawImage(cropped, x2 - x1, y2 - y1, channels);
}

async function embed(run: MaskGenerationRun, crop: Crop): Promise<Tensor[]> {
  const { pixel_values } = await run.image_processor(cropImage(run.image, crop.box));
  try {
    run.settings.signal?.throwIfAborted();
    return await run.model.get_image_embeddings(pixel_values);
  } finally {
    pixel_values.dispose();
  }
}

function disposeAll(tensors: readonly Tensor[]): void {
  for (const tensor of tensors) tensor.dispose();
}

/** The masks of one batch, with the crop that they come from. */
function locate(
  masks: readonly GeneratedMask[],
  batch: Float32Array,
  crop: Crop,
  scale: number[],
): FoundMask[] {
  return masks.map(({ point, ...mask }) => ({
    ...mask,
    crop,
    point: [crop.box[0] + batch[2 * point] * scale[0], crop.box[1] + batch[2 * point + 1] * scale[1]],
  }));
}

/**
 * Gives the masks that pass the filters, batch by batch; an empty list for a batch without any.
 *
 * @param run the image and what is asked of it.
 * @param progress is brought up to date, and handed to the caller's callback, after each batch.
 * @throws what the model and the image processor throw; RangeError for a box of interest outside the image; the
 *   signal's reason.
 */
export async function* generateBatches(
  run: MaskGenerationRun,
  progress: MaskGenerationProgress,
): AsyncGenerator<FoundMask[], void, undefined> {
  const { model, image, settings } = run;
  const { signal } = settings;
  signal?.throwIfAborted();
  const bounds = boundsOf(image, settings);
  const target = targetSize(run.image_processor);
  const crops = generate_crop_boxes(bounds, target, settings);
  progress.points_total = crops.reduce((sum, { points }) => sum + points.length / 2, 0);
  for (const crop of crops) {
    const began = performance.now();
    const image_embeddings = await abortable(embed(run, crop), signal, disposeAll);
    progress.seconds.encode += (performance.now() - began) / 1000;
    try {
      const batchSize = Math.min(settings.points_per_batch ?? crop.points.length / 2, run.pointLimit);
      const scale = [(crop.box[2] - crop.box[0]) / target[1], (crop.box[3] - crop.box[1]) / target[0]];
      for (let start = 0; start < crop.points.length; start += 2 * batchSize) {
        const points = crop.points.slice(start, start + 2 * batchSize);
        const batch: MaskBatch = {
          ...settings,
          image_embeddings,
          points,
          crop_box: crop.box,
          bounds,
          original_size: [image.height, image.width],
        };
        const found = await abortable(model.generate_masks(batch), signal);
        const { masks } = found;
        progress.points_done += points.length / 2;
        progress.masks_kept += masks.length;
        progress.seconds.decode += found.decode_seconds;
        progress.seconds.filter += found.filter_seconds;
        progress.seconds.upsample += found.upsample_seconds;
        settings.progress_callback?.(structuredClone(progress));
        yield locate(masks, points, crop, scale);
        signal?.throwIfAborted();
      }
    } finally {
      disposeAll(image_embeddings);
    }
  }
}

/** Where a mask is, right and bottom excluded: of a single pixel, row or column, too, an area. */
const extent = ({ box: [x1, y1, x2, y2] }: FoundMask): Box => [x1, y1, x2 + 1, y2 + 1];

/**
 * The masks that stay of overlapping ones, best first by `scoreOf`, equal ones in their order. As transformers counts,
 * with `reference`, a box without its last column and row, so that masks of one pixel, row or column overlap with none.
 *
 * @throws the signal's reason, at once; the native job ends later, by itself.
 */
export async function suppressOverlaps(
  masks: readonly FoundMask[],
  { crops_nms_thresh, reference, signal }: MaskGenerationSettings,
  scoreOf: (mask: FoundMask) => number,
): Promise<FoundMask[]> {
  if (masks.length === 0) return [];
  const job = callNative(() =>
    addon().suppressOverlaps({
      boxes: masks.map((mask) => (reference === 'transformers' ? mask.box : extent(mask))),
      scores: masks.map(scoreOf),
      iou_threshold: crops_nms_thresh,
    }),
  );
  const kept = await abortable(job, signal);
  return kept.map((index) => masks[index]);
}

const byScore = ({ score }: FoundMask): number => score;

/**
 * Masks with small holes filled and small sprinkles removed, and which of them that changed.
 *
 * @throws the signal's reason, at once; the native job ends later, by itself.
 */
export async function removeSmallRegions(
  masks: readonly FoundMask[],
  { min_mask_region_area: min_area, signal }: MaskGenerationSettings,
): Promise<{ mask: FoundMask; changed: boolean }[]> {
  if (masks.length === 0) return [];
  const size = masks[0].mask.size;
  const job = callNative(() =>
    addon().removeSmallRegions({ masks: masks.map(({ mask }) => mask.counts), size, min_area }),
  );
  const cleaned = await abortable(job, signal);
  return cleaned.map(({ counts, box, changed }, index) => ({
    mask: changed ? { ...masks[index], mask: new RLEMask(size, counts), box } : masks[index],
    changed,
  }));
}

/** Small regions out of the masks; of those that overlap afterwards, untouched ones are preferred, as SAM does. */
async function withoutSmallRegions(
  masks: readonly FoundMask[],
  settings: MaskGenerationSettings,
): Promise<FoundMask[]> {
  if (settings.min_mask_region_area === 0) return [...masks];
  const cleaned = await removeSmallRegions(masks, settings);
  const untouched = new Map(cleaned.map(({ mask, changed }) => [mask, changed ? 0 : 1]));
  return suppressOverlaps(
    cleaned.map(({ mask }) => mask),
    settings,
    (mask) => untouched.get(mask) ?? 0,
  );
}

const cropArea = ({ box }: Crop): number => (box[2] - box[0]) * (box[3] - box[1]);

/**
 * All masks of an image, best predicted IoU first: what is left after overlapping ones are suppressed, in each crop by
 * predicted IoU and between crops in favour of the smaller one, as SAM does; or all together by predicted IoU, as
 * transformers does.
 *
 * @throws as generateBatches.
 */
export async function generateAll(
  run: MaskGenerationRun,
  progress: MaskGenerationProgress,
): Promise<FoundMask[]> {
  const { settings } = run;
  const { reference, signal } = settings;
  const byCrop = new Map<Crop, FoundMask[]>();
  for await (const masks of generateBatches(run, progress))
    for (const mask of masks) {
      const ofCrop = byCrop.get(mask.crop);
      if (ofCrop) ofCrop.push(mask);
      else byCrop.set(mask.crop, [mask]);
    }
  const began = performance.now();
  let kept: FoundMask[];
  if (reference === 'transformers') {
    kept = await suppressOverlaps([...byCrop.values()].flat(), settings, byScore);
  } else {
    kept = [];
    for (const masks of byCrop.values())
      for (const mask of await suppressOverlaps(masks, settings, byScore)) kept.push(mask);
    if (byCrop.size > 1) kept = await suppressOverlaps(kept, settings, ({ crop }) => 1 / cropArea(crop));
  }
  kept = await withoutSmallRegions(kept, settings);
  signal?.throwIfAborted();
  progress.seconds.suppress += (performance.now() - began) / 1000;
  settings.progress_callback?.(structuredClone(progress));
  return kept.sort((a, b) => b.score - a.score);
}
