/** The crops of an image and the points on them: transformers' `generate_crop_boxes`. */
import { wrongValue } from '../core/errors';
import type { Box } from '../masks/types';
import type { ImageSize } from '../core/types';

/** A part of an image with the points to ask about. */
export interface Crop {
  /** xyxy in pixels of the image, right and bottom excluded. */
  box: Box;
  /** 0 for the whole image; layer n has 4 ** n crops. */
  layer: number;
  /** x and y of each point in turn, in pixels of the model's input. */
  points: Float32Array;
}

/** How crops and points are laid. */
export interface CropOptions {
  /** Layers of crops, besides the whole image. */
  crops_n_layers: number;
  /** Overlap in the first layer, as a part of the shorter side; halved in each further one. */
  crop_overlap_ratio: number;
  /** Points along each side of the whole image. */
  points_per_crop: number;
  /** Layer n has points_per_crop / factor ** n points along each side, rounded down. */
  crop_n_points_downscale_factor: number;
  /** [x, y] of points in 0 to 1 of a crop, one list a layer; null for even grids. */
  point_grids: readonly (readonly (readonly number[])[])[] | null;
  /** 'transformers' scales both axes by the longer side, as its pipeline does; null covers the whole image. */
  reference: 'transformers' | null;
}

/** What says how many points a layer has. */
type LayerOptions = Pick<
  CropOptions,
  'crops_n_layers' | 'points_per_crop' | 'crop_n_points_downscale_factor' | 'point_grids'
>;

/** Most points of an image and its crops together: hours of work, and 32 MiB before it begins. */
export const MOST_POINTS = 2 ** 22;

/** Points evenly spaced in 0 to 1, x and y in turn, row by row. Mirrors `_build_point_grid`, float32 as there. */
function buildPointGrid(perSide: number): Float32Array {
  const offset = Math.fround(1 / (2 * perSide));
  const end = Math.fround(1 - 1 / (2 * perSide));
  const step = perSide > 1 ? Math.fround(Math.fround(end - offset) / (perSide - 1)) : 0;
  // torch.linspace counts from both ends towards the middle.
  const side = Float32Array.from({ length: perSide }, (_, index) =>
    index < Math.floor(perSide / 2) || perSide === 1
      ? offset + Math.fround(step * index)
      : end - Math.fround(step * (perSide - 1 - index)),
  );
  const grid = new Float32Array(2 * perSide * perSide);
  for (let index = 0; index < perSide * perSide; index++) {
    grid[2 * index] = side[index % perSide];
    grid[2 * index + 1] = side[Math.floor(index / perSide)];
  }
  return grid;
}

/** Points along each side of a layer's crops. */
function pointsPerSide(layer: number, options: LayerOptions): number {
  const factor = options.crop_n_points_downscale_factor ** layer;
  const perSide = Math.floor(options.points_per_crop / factor);
  if (perSide < 1)
    throw wrongValue(
      `at most ${options.points_per_crop} (points_per_crop) in the power of ${layer} (crops_n_layers)`,
      'crop_n_points_downscale_factor',
      options.crop_n_points_downscale_factor,
      `Layer ${layer} would have no points.`,
    );
  return perSide;
}

/**
 * Refuses layers without points, and more points than can be asked about.
 *
 * @param options how points are laid.
 * @throws RangeError for the first layer that would have none, and for more than `MOST_POINTS` points.
 */
export function checkLayers(options: LayerOptions): void {
  const { point_grids } = options;
  let points = 0;
  for (let layer = 0; layer <= options.crops_n_layers; layer++)
    points += 4 ** layer * (point_grids ? point_grids[layer].length : pointsPerSide(layer, options) ** 2);
  if (points > MOST_POINTS)
    throw wrongValue(
      `at most ${MOST_POINTS} points on the image and its crops`,
      point_grids ? 'point_grids' : 'points_per_crop and crops_n_layers',
      points,
    );
}

function gridOfLayer(layer: number, options: CropOptions): Float32Array {
  if (options.point_grids) return Float32Array.from(options.point_grids[layer].flat());
  return buildPointGrid(pointsPerSide(layer, options));
}

/** The boxes of all layers within `bounds`. Mirrors `_generate_per_layer_crops`; empty ones, of tiny images, go. */
function cropBoxes(
  bounds: Box,
  { crops_n_layers, crop_overlap_ratio }: CropOptions,
): { box: Box; layer: number }[] {
  const [left, top] = bounds;
  const width = bounds[2] - left;
  const height = bounds[3] - top;
  const crops = [{ box: bounds, layer: 0 }];
  for (let layer = 1; layer <= crops_n_layers; layer++) {
    const perSide = 2 ** layer;
    const overlap = Math.trunc(crop_overlap_ratio * Math.min(height, width) * (2 / perSide));
    const cropWidth = Math.ceil((overlap * (perSide - 1) + width) / perSide);
    const cropHeight = Math.ceil((overlap * (perSide - 1) + height) / perSide);
    for (let column = 0; column < perSide; column++)
      for (let row = 0; row < perSide; row++) {
        const x = (cropWidth - overlap) * column;
        const y = (cropHeight - overlap) * row;
        if (x >= width || y >= height) continue;
        const right = Math.min(x + cropWidth, width);
        const bottom = Math.min(y + cropHeight, height);
        crops.push({ box: [left + x, top + y, left + right, top + bottom], layer });
      }
  }
  return crops;
}

/** What one pixel of a crop is in pixels of the model's input, [x, y]. */
function scaleOf([x1, y1, x2, y2]: Box, target: ImageSize, reference: CropOptions['reference']): number[] {
  const [width, height] = [x2 - x1, y2 - y1];
  if (reference === null) return [target[1] / width, target[0] / height];
  // _normalize_coordinates: as if the image were resized with its proportions kept.
  const scale = target[0] / Math.max(height, width);
  return [Math.trunc(width * scale + 0.5) / width, Math.trunc(height * scale + 0.5) / height];
}

/**
 * The whole of `bounds` and the crops of further layers, with their points. Mirrors `generate_crop_boxes`.
 *
 * @param bounds the image, or the part of it that is looked at: xyxy in pixels, right and bottom excluded.
 * @param target_size [height, width] of the model's input in pixels.
 * @param options checked.
 * @throws RangeError where a layer would have no points.
 */
export function generate_crop_boxes(bounds: Box, target_size: ImageSize, options: CropOptions): Crop[] {
  const grids = Array.from({ length: options.crops_n_layers + 1 }, (_, layer) => gridOfLayer(layer, options));
  return cropBoxes(bounds, options).map(({ box, layer }) => {
    const size = [box[2] - box[0], box[3] - box[1]];
    const scale = scaleOf(box, target_size, options.reference);
    const points = grids[layer].map(
      (value, index) => Math.fround(value * size[index % 2]) * scale[index % 2],
    );
    return { box, layer, points };
  });
}
