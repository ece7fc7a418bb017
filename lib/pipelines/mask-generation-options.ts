/** The arguments of the mask-generation pipeline: names, defaults, checks. */
import { wrongType, wrongValue } from '../core/errors';
import type { MaskFilter } from '../model/generate-masks';
import type { Box } from '../masks/types';
import {
  checkBoolean,
  checkInteger,
  checkNumber,
  checkOneOf,
  checkOptions,
  isPlainObject,
} from '../core/options';
import { checkLayers, type CropOptions } from './crop-boxes';
import { isAbortSignal } from '../core/kinds';

/** What `masks` of a result holds: masks that unpack when read, COCO's compressed encodings, or polygons. */
export type MaskOutputMode = 'binary' | 'coco_rle' | 'polygons';

/** Seconds of the stages of a run. */
export interface MaskGenerationSeconds {
  /** Preprocessing and the vision encoder. */
  encode: number;
  /** The prompt encoder and the decoder. */
  decode: number;
  /** Filters: predicted IoU, stability, edges of crops. */
  filter: number;
  /** Stretching and run-length encoding, one pass that counts what the stability is made of, too. */
  upsample: number;
  /** Suppression of duplicates, small regions. */
  suppress: number;
}

/** How far a run is. */
export interface MaskGenerationProgress {
  /** Points asked about so far. */
  points_done: number;
  /** Points to ask about in all. */
  points_total: number;
  /** Masks that have passed the filters so far; some will go as duplicates at the end. */
  masks_kept: number;
  /** Where the time went so far. */
  seconds: MaskGenerationSeconds;
}

/**
 * Arguments of one call, under transformers' names and with its defaults; those of a model's own
 * mask_generation_config.json come before them. What transformers has not is marked so.
 */
export interface MaskGenerationOptions<Mode extends MaskOutputMode = MaskOutputMode> {
  /** Points that the decoder takes at once; null for all. Default 64. */
  points_per_batch?: number | null;
  /** Points along each side of the image, and of its crops: 1 to 1024, at most 2^22 in all. Default 32. */
  points_per_crop?: number;
  /** Layers of crops, besides the whole image: layer n has 4 ** n. 0 to 7; default 0. */
  crops_n_layers?: number;
  /** Overlap of the first layer's crops, as a part of the shorter side. From 0, below 1; default 512 / 1500. */
  crop_overlap_ratio?: number;
  /** Layer n has points_per_crop / factor ** n points along each side, rounded down. At least 1; default 1. */
  crop_n_points_downscale_factor?: number;
  /** Masks go whose predicted IoU is not above it. 0 to 1 (0: none go); default 0.88. */
  pred_iou_thresh?: number;
  /** Masks go whose stability score is not above it. 0 to 1 (0: none go); default 0.95. */
  stability_score_thresh?: number;
  /** How far to either side of mask_threshold the stability score counts pixels; on logits. Default 1. */
  stability_score_offset?: number;
  /** Pixels with logits above it are inside. Default 0. */
  mask_threshold?: number;
  /** Fill holes of at most so many low-resolution pixels. Default null: none. */
  max_hole_area?: number | null;
  /** Remove sprinkles of at most so many low-resolution pixels. Default null: none. */
  max_sprinkle_area?: number | null;
  /** Of two masks whose boxes overlap with an IoU above it, the better one stays. 0 to 1; default 0.7. */
  crops_nms_thresh?: number;
  /** Whether the result has `rle_mask`. Default false. */
  output_rle_mask?: boolean;
  /** Whether the result has `bounding_boxes`. Default false. */
  output_bboxes_mask?: boolean;
  /** Seconds to wait for an image from the web; null for those of RawImage.read. Default null. */
  timeout?: number | null;
  /**
   * 'transformers' lays the points and suppresses duplicates as its pipeline does, with its default thresholds. Default
   * null: points cover the whole image, and of duplicates the one from the smaller crop stays. (Not in transformers.)
   */
  reference?: 'transformers' | null;
  /** Points of one's own instead of even grids: [x, y] in 0 to 1 of a crop, one list for each layer. (SAM2's.) */
  point_grids?: readonly (readonly (readonly number[])[])[] | null;
  /** Fill holes and remove sprinkles of fewer pixels of the image than this. Default 0: none. (SAM2's.) */
  min_mask_region_area?: number;
  /** Several masks for each point, or the one that fits best. Default true. (SAM2's.) */
  multimask_output?: boolean;
  /** What `masks` holds. Default 'binary'. (SAM2's.) */
  output_mode?: Mode;
  /** Look at this part alone: xyxy in pixels of the image, right and bottom excluded. Default null: all of it. */
  box_of_interest?: readonly number[] | null;
  /**
   * Bytes that a batch may take besides the model, about: fewer points are decoded at once. On a GPU these are the
   * decoder's maps and masks; the chunk of full-size logits that is upsampled at a time (256 MiB in float32, more only
   * for a single larger mask), what is counted of it, and the labels of holes and sprinkles come on top.
   * Default null: no limit.
   */
  max_memory?: number | null;
  /**
   * Ends the call early: it rejects at once with the signal's reason, an AbortError by default. The points that are being
   * decoded (16 of a batch on the CPU in float32, rounded up to a multiple of the threads; else all of it) or the image that is being encoded cannot be stopped:
   * they hold their memory until they are done, and calls of the model wait for them.
   */
  signal?: AbortSignal | null;
  /** Called after each batch, and by a call once more at its end. What it throws ends the call. */
  progress_callback?: ((progress: MaskGenerationProgress) => void) | null;
}

/** All arguments, checked and filled. */
export interface MaskGenerationSettings extends MaskFilter, CropOptions {
  points_per_batch: number | null;
  crops_nms_thresh: number;
  output_rle_mask: boolean;
  output_bboxes_mask: boolean;
  timeout: number | null;
  min_mask_region_area: number;
  multimask_output: boolean;
  output_mode: MaskOutputMode;
  box_of_interest: Box | null;
  max_memory: number | null;
  signal: AbortSignal | null;
  progress_callback: ((progress: MaskGenerationProgress) => void) | null;
}

/** What a model's mask_generation_config.json may set: the arguments that are plain values and no matter of one call. */
export type MaskGenerationDefaults = Omit<
  MaskGenerationOptions,
  'signal' | 'progress_callback' | 'reference' | 'box_of_interest' | 'timeout' | 'output_mode'
>;

/** Layers beyond which crops, each of which is encoded, are counted in tens of thousands. */
export const MAX_LAYERS = 7;

/** A million points. */
export const MOST_POINTS_PER_SIDE = 1024;

const DEFAULTS = {
  points_per_batch: 64,
  points_per_crop: 32,
  crops_n_layers: 0,
  crop_overlap_ratio: 512 / 1500,
  crop_n_points_downscale_factor: 1,
  pred_iou_thresh: 0.88,
  stability_score_thresh: 0.95,
  stability_score_offset: 1,
  mask_threshold: 0,
  max_hole_area: null,
  max_sprinkle_area: null,
  crops_nms_thresh: 0.7,
  output_rle_mask: false,
  output_bboxes_mask: false,
  timeout: null,
  reference: null,
  point_grids: null,
  min_mask_region_area: 0,
  multimask_output: true,
  output_mode: 'binary',
  box_of_interest: null,
  max_memory: null,
  signal: null,
  progress_callback: null,
} satisfies Required<MaskGenerationOptions>;

const NAMES = Object.keys(DEFAULTS);

/** Arguments for which null is a value of its own, or no value. */
const NULLABLE = NAMES.filter((name) => DEFAULTS[name as keyof typeof DEFAULTS] === null).concat(
  'points_per_batch',
);

const UNIT = { min: 0, max: 1 };
const AREA = { min: 0 };

function checkPointsPerBatch(value: unknown): number | null {
  if (value === null) return null;
  if (typeof value === 'number' && value <= 0)
    throw new RangeError(
      'Cannot have points_per_batch<=0. Must be >=1 to returned batched outputs. ' +
        'To return all points at once, set points_per_batch to None',
    );
  return checkInteger(value, 'points_per_batch');
}

function checkOverlapRatio(value: unknown): number {
  const ratio = checkNumber(value, 'crop_overlap_ratio', UNIT);
  if (ratio === 1) throw wrongValue('a number from 0, below 1,', 'crop_overlap_ratio', value);
  return ratio;
}

function checkPointGrids(value: unknown, layers: number): number[][][] | null {
  if (value === null) return null;
  if (!Array.isArray(value)) throw wrongType('a list of lists of [x, y], one a layer', 'point_grids', value);
  if (value.length !== layers + 1)
    throw wrongValue(`${layers + 1} lists of points (crops_n_layers + 1)`, 'point_grids', value);
  return value.map((grid: unknown, layer) => {
    const name = `point_grids[${layer}]`;
    if (!Array.isArray(grid)) throw wrongType('a list of [x, y]', name, grid);
    if (grid.length === 0) throw wrongValue('at least one point', name, grid);
    return grid.map((point: unknown, index) => {
      if (!Array.isArray(point) || point.length !== 2) throw wrongType('[x, y]', `${name}[${index}]`, point);
      return point.map((coordinate) => checkNumber(coordinate, `${name}[${index}]`, UNIT));
    });
  });
}

function checkBoxOfInterest(value: unknown): Box | null {
  if (value === null) return null;
  if (!Array.isArray(value) || value.length !== 4)
    throw wrongType('[x1, y1, x2, y2]', 'box_of_interest', value);
  const box = value.map((side, index) => checkInteger(side, `box_of_interest[${index}]`, { min: 0 }));
  if (box[2] <= box[0] || box[3] <= box[1]) throw wrongValue('x1 < x2 and y1 < y2', 'box_of_interest', value);
  return box as Box;
}

function checkSignal(value: unknown): AbortSignal | null {
  if (value === null || isAbortSignal(value)) return value;
  throw wrongType('an AbortSignal', 'signal', value);
}

function checkCallback(value: unknown): MaskGenerationSettings['progress_callback'] {
  if (value === null || typeof value === 'function')
    return value as MaskGenerationSettings['progress_callback'];
  throw wrongType('a function', 'progress_callback', value);
}

/**
 * Checks and fills the arguments of a call.
 *
 * @param options what the caller passed.
 * @param defaults the model's own, which come before transformers' (unless `reference` asks for those).
 * @throws TypeError for other kinds and unknown names; RangeError for values out of range, with transformers' message
 *   for points_per_batch, and for point_grids together with points_per_crop.
 */
export function checkMaskGenerationOptions(
  options: unknown,
  defaults: MaskGenerationDefaults,
): MaskGenerationSettings {
  const given = checkOptions(options, NAMES, 'the mask-generation pipeline');
  for (const [name, value] of Object.entries(given))
    if (value === null && !NULLABLE.includes(name)) throw wrongType('a value', name, value);
  const set = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  const reference =
    (set.reference ?? null) === null ? null : checkOneOf(set.reference, ['transformers'], 'reference');
  const all: Record<string, unknown> = { ...DEFAULTS, ...(reference ? {} : defaults), ...set };
  const layers = checkInteger(all.crops_n_layers, 'crops_n_layers', { min: 0, max: MAX_LAYERS });
  if ((set.point_grids ?? null) !== null && set.points_per_crop !== undefined)
    throw new RangeError('Expected points_per_crop or point_grids but received both.');
  const settings: MaskGenerationSettings = {
    points_per_batch: checkPointsPerBatch(all.points_per_batch),
    points_per_crop: checkInteger(all.points_per_crop, 'points_per_crop', {
      min: 1,
      max: MOST_POINTS_PER_SIDE,
    }),
    crops_n_layers: layers,
    crop_overlap_ratio: checkOverlapRatio(all.crop_overlap_ratio),
    crop_n_points_downscale_factor: checkNumber(
      all.crop_n_points_downscale_factor,
      'crop_n_points_downscale_factor',
      { min: 1 },
    ),
    pred_iou_thresh: checkNumber(all.pred_iou_thresh, 'pred_iou_thresh', UNIT),
    stability_score_thresh: checkNumber(all.stability_score_thresh, 'stability_score_thresh', UNIT),
    stability_score_offset: checkNumber(all.stability_score_offset, 'stability_score_offset', { min: 0 }),
    mask_threshold: checkNumber(all.mask_threshold, 'mask_threshold'),
    max_hole_area: checkNumber(all.max_hole_area ?? 0, 'max_hole_area', AREA),
    max_sprinkle_area: checkNumber(all.max_sprinkle_area ?? 0, 'max_sprinkle_area', AREA),
    crops_nms_thresh: checkNumber(all.crops_nms_thresh, 'crops_nms_thresh', UNIT),
    output_rle_mask: checkBoolean(all.output_rle_mask, 'output_rle_mask'),
    output_bboxes_mask: checkBoolean(all.output_bboxes_mask, 'output_bboxes_mask'),
    timeout: all.timeout === null ? null : checkNumber(all.timeout, 'timeout', { min: 0 }),
    reference,
    point_grids: checkPointGrids(all.point_grids, layers),
    min_mask_region_area: checkInteger(all.min_mask_region_area, 'min_mask_region_area', AREA),
    multimask_output: checkBoolean(all.multimask_output, 'multimask_output'),
    output_mode: checkOneOf(all.output_mode, ['binary', 'coco_rle', 'polygons'], 'output_mode'),
    box_of_interest: checkBoxOfInterest(all.box_of_interest),
    max_memory: all.max_memory === null ? null : checkInteger(all.max_memory, 'max_memory', { min: 1 }),
    signal: checkSignal(all.signal),
    progress_callback: checkCallback(all.progress_callback),
  };
  checkLayers(settings);
  return settings;
}

const PER_CALL = ['signal', 'progress_callback', 'reference', 'box_of_interest', 'timeout', 'output_mode'];

/** The names in MaskGenerationDefaults. */
export const MASK_GENERATION_DEFAULTS: readonly string[] = NAMES.filter((name) => !PER_CALL.includes(name));

/**
 * Checks the arguments that a model brings along.
 *
 * @param defaults such as a parsed mask_generation_config.json.
 * @throws TypeError and RangeError as checkMaskGenerationOptions; TypeError for what only a call can say.
 */
export function checkMaskGenerationDefaults(defaults: unknown): MaskGenerationDefaults {
  if (!isPlainObject(defaults)) throw wrongType('an object', 'the defaults of mask generation', defaults);
  checkOptions(defaults, MASK_GENERATION_DEFAULTS, 'the defaults of mask generation');
  checkMaskGenerationOptions(defaults, {});
  return defaults;
}
