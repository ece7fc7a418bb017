/** Results as images: masks tinted and outlined over the image, with the prompts that asked for them. */
import { setImmediate } from 'node:timers/promises';
import { mapInTurns } from '../core/async';
import { wrongType, wrongValue } from '../core/errors';
import { RLEMask } from './rle';
import { mask_area, mask_planes } from './masks';
import { type Mask, type MaskLike } from './types';
import { RawImage } from '../image/raw-image';
import { checkInteger, checkIntact, checkNumber, checkOptions } from '../core/options';

/** A colour, each channel 0 to 255. */
export type Color = readonly [red: number, green: number, blue: number];

/** Options of draw_overlay. */
export interface OverlayOptions {
  /** Colours of the masks in their order, used over and over. Default: eight that differ well. */
  colors?: readonly Color[];
  /** Of the tint inside a mask, 0 to 1. Default 0.5. */
  opacity?: number;
  /** Masks that cover more than this part of the image, 0 to 1, are outlined and not tinted. Default 1: all are tinted. */
  maxTintedPart?: number;
  /** Of the outline, in pixels, drawn inside the mask's edge; 0 for none. Default: 1/200 of the shorter side. */
  contourWidth?: number;
  /** Clicks [x, y] in pixels of the image. Default none. */
  points?: readonly (readonly number[])[];
  /** One for each point: 1 positive (green), 0 negative (red); others are not drawn. Default: all 1. */
  labels?: readonly number[];
  /** Boxes xyxy in pixels of the image. Default none. */
  boxes?: readonly (readonly number[])[];
}

const DEFAULT_COLORS: readonly Color[] = [
  [30, 144, 255],
  [255, 140, 0],
  [0, 200, 83],
  [213, 0, 249],
  [255, 214, 0],
  [0, 229, 255],
  [255, 64, 129],
  [124, 179, 66],
];

const POSITIVE = '#00c853';
const NEGATIVE = '#d50000';

interface Overlay {
  colors: readonly Color[];
  opacity: number;
  maxTintedPart: number;
  contourWidth: number;
  points: readonly (readonly number[])[];
  labels: readonly number[];
  boxes: readonly (readonly number[])[];
}

function checkRows(value: unknown, length: number, what: string, name: string): number[][] {
  if (!Array.isArray(value)) throw wrongType(`a list of ${what}`, name, value);
  return value.map((row: unknown, index) => {
    if (!Array.isArray(row) || row.length !== length) throw wrongType(what, `${name}[${index}]`, row);
    return row.map((number: unknown, at) => checkNumber(number, `${name}[${index}][${at}]`));
  });
}

function checkOverlayOptions(options: OverlayOptions | undefined, image: RawImage): Overlay {
  const names = ['colors', 'opacity', 'maxTintedPart', 'contourWidth', 'points', 'labels', 'boxes'];
  const given = checkOptions(options, names, 'draw_overlay');
  const points = checkRows(given.points ?? [], 2, '[x, y]', 'points');
  const labels: unknown = given.labels ?? points.map(() => 1);
  if (!Array.isArray(labels)) throw wrongType('a list of numbers', 'labels', labels);
  if (labels.length !== points.length)
    throw wrongValue(`${points.length} labels, one for each point,`, 'labels', labels);
  const colors = checkRows(given.colors ?? DEFAULT_COLORS, 3, '[red, green, blue]', 'colors');
  if (colors.length === 0) throw wrongValue('at least one colour', 'colors', colors);
  colors.flat().forEach((value) => checkNumber(value, 'a channel of colors', { min: 0, max: 255 }));
  const shorter = Math.min(image.width, image.height);
  return {
    colors: colors as unknown as Color[],
    opacity: checkNumber(given.opacity ?? 0.5, 'opacity', { min: 0, max: 1 }),
    maxTintedPart: checkNumber(given.maxTintedPart ?? 1, 'maxTintedPart', { min: 0, max: 1 }),
    contourWidth: checkInteger(given.contourWidth ?? Math.max(1, Math.round(shorter / 200)), 'contourWidth', {
      min: 0,
    }),
    points,
    labels: labels.map((label, index) => checkInteger(label, `labels[${index}]`)),
    boxes: checkRows(given.boxes ?? [], 4, '[x1, y1, x2, y2]', 'boxes'),
  };
}

/** The pixels of a mask that lie at least `radius` pixels from its edge (and the image's), along both axes. */
function innerPixels({ data, dims: [height, width] }: Mask, radius: number): Uint8Array {
  const rows = new Uint8Array(data.length);
  for (let y = 0; y < height; y++) {
    const row = y * width;
    for (let x = 0; x < width; x++) {
      if (data[row + x] === 0) continue;
      const start = x;
      while (x < width && data[row + x] !== 0) x++;
      if (x - start > 2 * radius) rows.fill(1, row + start + radius, row + x - radius);
    }
  }
  const inner = new Uint8Array(data.length);
  const heights = new Int32Array(width); // of the columns of pixels that end in this row
  for (let index = 0, x = 0; index < rows.length; index++, x = index % width) {
    heights[x] = rows[index] === 0 ? 0 : heights[x] + 1;
    if (heights[x] > 2 * radius) inner[index - radius * width] = 1;
  }
  return inner;
}

/** A pixel of the layer: red, green, blue, alpha in the order of memory. */
const rgba = (color: Color, alpha: number): number =>
  new Uint32Array(Uint8Array.of(...color, alpha).buffer)[0];

function paintMask(layer: Uint32Array, mask: Mask, color: Color, { opacity, contourWidth }: Overlay): void {
  const [height, width] = mask.dims;
  const data = checkIntact(mask.data, height * width, 'masks');
  const inner = contourWidth === 0 ? data : innerPixels(mask, contourWidth);
  const tint = Math.round(opacity * 255);
  const [inside, outline] = [rgba(color, tint), rgba(color, 255)];
  for (let index = 0; index < data.length; index++) {
    // What is not tinted leaves the outlines below it.
    if (data[index] === 0 || (tint === 0 && inner[index] !== 0)) continue;
    layer[index] = inner[index] !== 0 ? inside : outline;
  }
}

function drawPrompts({ points, labels, boxes }: Overlay, width: number, height: number): string {
  const unit = Math.max(1, Math.min(width, height) / 200);
  const rectangles = boxes.map(
    ([x1, y1, x2, y2]) =>
      `<rect x="${Math.min(x1, x2)}" y="${Math.min(y1, y2)}" width="${Math.abs(x2 - x1)}" ` +
      `height="${Math.abs(y2 - y1)}" fill="none" stroke="${POSITIVE}" stroke-width="${unit}"/>`,
  );
  const circles = points.map(([x, y], index) => {
    if (labels[index] !== 0 && labels[index] !== 1) return '';
    const fill = labels[index] === 1 ? POSITIVE : NEGATIVE;
    // A click names the pixel: its middle is half a pixel further.
    return (
      `<circle cx="${x + 0.5}" cy="${y + 0.5}" r="${3 * unit}" fill="${fill}" stroke="white" ` +
      `stroke-width="${unit}"/>`
    );
  });
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `${rectangles.join('')}${circles.join('')}</svg>`
  );
}

/**
 * Draws masks over an image, tinted and outlined, larger ones first, and then the prompts.
 *
 * @param image the image; stays as it is.
 * @param masks (..., H, W) with H and W of the image, bool or uint8, as post_process_masks gives them; or a list of
 *   such. Every (H, W) plane is one mask.
 * @returns a new image of three channels.
 * @throws TypeError for arguments of another kind or unknown options; RangeError for masks of another size than the
 *   image, and for numbers out of range.
 */
export async function draw_overlay(
  image: RawImage,
  masks: MaskLike | readonly MaskLike[],
  options?: OverlayOptions,
): Promise<RawImage> {
  if (!(image instanceof RawImage)) throw wrongType('a RawImage', 'image', image);
  const overlay = checkOverlayOptions(options, image);
  const { width, height } = image;
  // An RLEMask is unpacked when it is painted, not before.
  const planes = (Array.isArray(masks) ? (masks as MaskLike[]) : [masks as MaskLike]).flatMap((mask) =>
    mask instanceof RLEMask ? [mask] : mask_planes(mask),
  );
  for (const { dims } of planes)
    if (dims[0] !== height || dims[1] !== width)
      throw wrongValue(`masks of the image's size (${height} x ${width})`, 'masks', dims);
  const painted = await mapInTurns(planes, null, (mask, index) => {
    return { mask, area: mask_area(mask), color: overlay.colors[index % overlay.colors.length] };
  });
  painted.sort((a, b) => b.area - a.area);
  const layer = new Uint32Array(width * height);
  for (const { mask, area, color } of painted) {
    const isTinted = area <= overlay.maxTintedPart * width * height;
    paintMask(layer, mask, color, isTinted ? overlay : { ...overlay, opacity: 0 });
    await setImmediate(); // many masks must not hold up the event loop
  }
  const { data } = await image
    .rgb()
    .toSharp()
    .composite([
      { input: Buffer.from(layer.buffer), raw: { width, height, channels: 4 }, limitInputPixels: false },
      { input: Buffer.from(drawPrompts(overlay, width, height)) },
    ])
    .removeAlpha()
    .raw()
    .toBuffer({ resolveWithObject: true });
  return new RawImage(data, width, height, 3);
}

/**
 * The old spelling of draw_overlay.
 *
 * @deprecated goes with the next version.
 */
export const drawOverlay = draw_overlay;
