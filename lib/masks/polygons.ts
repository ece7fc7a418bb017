/** Outlines of binary masks as polygons. */
import { mask_area, mask_to_box, rleOf } from './masks';
import type { CocoRLE, MaskLike, RLE } from './types';
import { insideRuns, type RLEMask } from './rle';

/** Corners in turn, [x1, y1, x2, y2, ...] in pixels of the image: COCO's form. */
export type Polygon = number[];

/** A part of a mask, with one pixel outside around it at least. */
interface Window {
  /** Row-major; 0 outside. */
  data: Uint8Array;
  width: number;
  /** Position of the window's first pixel in the mask. */
  left: number;
  top: number;
  /** Positions in `data` of pixels whose upper neighbour is outside, ascending. */
  tops: Uint32Array;
}

function windowOf(mask: MaskLike | RLE | CocoRLE): Window | null {
  const rle = rleOf(mask, 'mask');
  if (mask_area(rle as RLE | RLEMask) === 0) return null;
  const [x1, y1, x2, y2] = mask_to_box(rle as RLE | RLEMask);
  // Rows of whole four pixels, which are gone through at once below.
  const width = Math.ceil((x2 - x1 + 3) / 4) * 4;
  const data = new Uint8Array(width * (y2 - y1 + 3));
  const [rows] = rle.size;
  const begins: number[] = [];
  // First only where columns change, then each row from the one above, as decodeRle.
  for (const [start, end] of insideRuns(rle)) {
    let row = start % rows;
    for (let x = (start - row) / rows - x1 + 1, left = end - start; left > 0; x++, row = 0) {
      const stop = Math.min(row + left, rows);
      const begin = (row - y1 + 1) * width + x;
      data[begin] ^= 1;
      data[(stop - y1 + 1) * width + x] ^= 1;
      begins.push(begin);
      left -= stop - row;
    }
  }
  const cells = new Uint32Array(data.buffer);
  const row = width / 4;
  for (let index = row; index < cells.length; index++) cells[index] ^= cells[index - row];
  // Runs that follow each other without a gap are one.
  const tops = Uint32Array.from(begins.filter((begin) => data[begin - width] === 0)).sort();
  return { data, width, left: x1 - 1, top: y1 - 1, tops };
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

/** A pixel inside whose upper edge belongs to an outline that is done. */
const PASSED = 2;

/**
 * Follows the edge of a 4-connected part from the upper left corner of its pixel (x, y), whose upper neighbour is
 * outside. Marks the pixels whose upper edges it passes.
 */
function follow(window: Window, x: number, y: number): { polygon: Polygon; area: number } {
  const polygon: Polygon = [];
  const start = [x, y];
  let step = 0;
  let area = 0;
  do {
    if (step === 0) window.data[y * window.width + x] = PASSED;
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
  const { data, width, tops } = window;
  const polygons: Polygon[] = [];
  for (const index of tops) {
    if (data[index] === PASSED) continue;
    const { polygon, area } = follow(window, index % width, Math.floor(index / width));
    // The edge of a hole runs the other way round.
    if (area > 0) polygons.push(polygon);
  }
  return polygons;
}
