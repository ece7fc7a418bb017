/** Outlines of binary masks as polygons. */
import { mask_area, mask_to_box, runsOf } from './masks';
import type { CocoRLE, MaskLike, RLE } from './mask-types';
import { insideRuns } from './rle';

/** Corners in turn, [x1, y1, x2, y2, ...] in pixels of the picture: COCO's form. */
export type Polygon = number[];

/** A part of a mask, with one pixel outside around it. */
interface Window {
  data: Uint8Array;
  width: number;
  height: number;
  /** Position of the window's first pixel in the mask. */
  left: number;
  top: number;
}

function windowOf(mask: MaskLike | RLE | CocoRLE): Window | null {
  const runs = runsOf(mask, 'mask');
  if (mask_area(mask) === 0) return null;
  const [x1, y1, x2, y2] = mask_to_box(mask);
  const [width, height] = [x2 - x1 + 3, y2 - y1 + 3];
  const data = new Uint8Array(width * height);
  const [rows] = runs.size;
  for (const [start, end] of insideRuns(runs))
    for (let position = start; position < end; position++)
      data[((position % rows) - y1 + 1) * width + Math.floor(position / rows) - x1 + 1] = 1;
  return { data, width, height, left: x1 - 1, top: y1 - 1 };
}

/** Steps along the edges between pixels: right, down, left, up. The mask is to the right of each step. */
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];

/** Whether the pixel ahead of corner (x, y), on the right or on the left of direction `step`, is inside. */
function isInsideAhead({ data, width }: Window, x: number, y: number, step: number, right: boolean): boolean {
  // The four pixels around a corner, clockwise from the one at its lower right.
  const around = right ? step : (step + 3) % 4;
  const column = around === 0 || around === 3 ? x : x - 1;
  const row = around === 0 || around === 1 ? y : y - 1;
  return data[row * width + column] !== 0;
}

/**
 * Follows the edge of a 4-connected part from the upper left corner of its pixel (x, y), whose upper neighbour is
 * outside. Marks the upper edges that it passes.
 */
function follow(
  window: Window,
  x: number,
  y: number,
  passed: Uint8Array,
): { polygon: Polygon; area: number } {
  const polygon: Polygon = [];
  const start = [x, y];
  let step = 0;
  let area = 0;
  do {
    if (step === 0) passed[y * window.width + x] = 1;
    const [fromX, fromY] = [x, y];
    x += STEP_X[step];
    y += STEP_Y[step];
    area += fromX * y - x * fromY;
    // Keep to the pixels that share a side: at a corner where two touch, turn towards the own one.
    let next = step;
    if (!isInsideAhead(window, x, y, step, true)) next = (step + 1) % 4;
    else if (isInsideAhead(window, x, y, step, false)) next = (step + 3) % 4;
    if (next !== step) polygon.push(x + window.left, y + window.top);
    step = next;
  } while (x !== start[0] || y !== start[1] || step !== 0);
  return { polygon, area };
}

/**
 * The outlines of a mask (H, W) or an encoding: one polygon for each part whose pixels hang together by their sides.
 * They run along the edges of pixels, so that a single pixel at (0, 0) is [1, 0, 1, 1, 0, 1, 0, 0], clockwise, with
 * corners only where they turn. Holes are not said: COCO's polygons have none.
 *
 * @returns parts in the order of their uppermost rows; none for an empty mask.
 * @throws TypeError and RangeError as mask_to_rle and rle_to_mask.
 */
export function mask_to_polygons(mask: MaskLike | RLE | CocoRLE): Polygon[] {
  const window = windowOf(mask);
  if (!window) return [];
  const { data, width, height } = window;
  const passed = new Uint8Array(data.length);
  const polygons: Polygon[] = [];
  for (let y = 1; y < height; y++)
    for (let x = 1; x < width; x++) {
      const index = y * width + x;
      if (data[index] === 0 || data[index - width] !== 0 || passed[index] !== 0) continue;
      const { polygon, area } = follow(window, x, y, passed);
      // The edge of a hole runs the other way round.
      if (area > 0) polygons.push(polygon);
    }
  return polygons;
}
