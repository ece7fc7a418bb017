/** Checked points, labels and boxes to the padded, normalised arrays that the model takes. */
import { describe, wrongValue } from '../core/errors';
import { nestedDimensions, type NestedList } from './prompts';

/** -10 padding, -1 no point, 0 background, 1 foreground, 2 and 3 corners of a box. */
const LABELS = [-10, -1, 0, 1, 2, 3];

/** How coordinates are scaled to the model's image. */
export interface Normalization {
  /** [height, width] of each picture in pixels. */
  sizes: readonly (readonly [number, number])[];
  /** Side of the model's square image in pixels. */
  targetSize: number;
  /** Coordinates with this value stay as they are. */
  padValue: number;
  /**
   * How the scale is rounded: 'exact' divides once, as Python does; 'reciprocal' multiplies by a rounded 1 / size, as
   * torch does once the sizes are a tensor. They differ in the last bit.
   */
  division: 'exact' | 'reciprocal';
}

/** new / old as the reference computes it, in float32. */
function scaleOf(size: number, { targetSize, division }: Normalization): number {
  return division === 'exact'
    ? Math.fround(targetSize / size)
    : Math.fround(Math.fround(1 / Math.fround(size)) * Math.fround(targetSize));
}

function checkFinite(values: readonly number[], name: string): void {
  const index = values.findIndex((value) => !Number.isFinite(Math.fround(value)));
  if (index >= 0) throw wrongValue('finite coordinates (float32)', `${name}[${index}]`, values[index]);
}

function checkImageCount(list: NestedList, name: string, { sizes }: Pick<Normalization, 'sizes'>): void {
  if (list.length !== sizes.length)
    throw new RangeError(
      `${name} is for ${list.length} image${list.length === 1 ? '' : 's'}, but there ${
        sizes.length === 1 ? 'is 1 image' : `are ${sizes.length} images`
      }.`,
    );
}

/** Visits the cells of a padded (images, objects, points) block in row-major order; null where there is padding. */
function forEachCell(
  list: NestedList,
  dims: number[],
  visit: (cell: number | NestedList | null, at: number[]) => void,
): void {
  for (let image = 0; image < dims[0]; image++)
    for (let object = 0; object < dims[1]; object++)
      for (let point = 0; point < dims[2]; point++) {
        const objects = list[image] as NestedList;
        const points = objects[object] as NestedList | undefined;
        visit(points?.[point] ?? null, [image, object, point]);
      }
}

function paddedDims(list: NestedList, name: string): number[] {
  const dims = nestedDimensions(list).slice(0, 3);
  if (dims.length < 3 || dims.includes(0))
    throw wrongValue('at least one point of one object of one image', name, list);
  return dims;
}

/**
 * Points, padded and normalised.
 *
 * @returns float32, (images, objects, points, 2), x then y in pixels of the model's image.
 * @throws RangeError for no points at all, another number of images, or coordinates that are not finite.
 */
export function preparePoints(
  points: NestedList,
  how: Normalization,
): { data: Float32Array; dims: number[] } {
  const dims = paddedDims(points, 'input_points');
  checkImageCount(points, 'input_points', how);
  const data = new Float32Array(dims[0] * dims[1] * dims[2] * 2);
  const pad = Math.fround(how.padValue);
  let next = 0;
  forEachCell(points, dims, (cell, at) => {
    const given = cell as [number, number] | [] | null;
    let [x, y] = [pad, pad];
    if (given !== null && given.length === 2) {
      checkFinite(given, `input_points[${at.join('][')}]`);
      [x, y] = [Math.fround(given[0]), Math.fround(given[1])];
      // The reference leaves a point alone where either coordinate has the padding's value.
      if (x !== pad && y !== pad) {
        const [height, width] = how.sizes[at[0]];
        x = Math.fround(x * scaleOf(width, how));
        y = Math.fround(y * scaleOf(height, how));
        checkFinite([x, y], `the normalised input_points[${at.join('][')}]`);
      }
    }
    data[next++] = x;
    data[next++] = y;
  });
  return { data, dims: [...dims, 2] };
}

/**
 * Labels, padded.
 *
 * @returns int64, (images, objects, points).
 * @throws RangeError for no labels at all, another number of images, or a label that is not -10, -1, 0, 1, 2 or 3 (or
 *   the padding's value).
 */
export function prepareLabels(
  labels: NestedList,
  how: Pick<Normalization, 'sizes' | 'padValue'>,
): { data: BigInt64Array; dims: number[] } {
  const dims = paddedDims(labels, 'input_labels');
  checkImageCount(labels, 'input_labels', how);
  const data = new BigInt64Array(dims[0] * dims[1] * dims[2]);
  let next = 0;
  forEachCell(labels, dims, (cell, at) => {
    const label = (cell as number | null) ?? how.padValue;
    if (label !== how.padValue && !LABELS.includes(label))
      throw new RangeError(
        `Expected one of ${LABELS.join(', ')} for input_labels[${at.join('][')}] but received ${describe(label)}.`,
      );
    data[next++] = BigInt(label);
  });
  return { data, dims };
}

/**
 * Boxes, normalised; missing ones are filled with the padding's value.
 *
 * @returns float32, (images, boxes, 4), x1, y1, x2, y2 in pixels of the model's image.
 * @throws RangeError for no boxes at all, another number of images, or coordinates that are not finite.
 */
export function prepareBoxes(boxes: NestedList, how: Normalization): { data: Float32Array; dims: number[] } {
  const dims = nestedDimensions(boxes).slice(0, 2);
  if (dims.length < 2 || dims.includes(0)) throw wrongValue('at least one box', 'input_boxes', boxes);
  checkImageCount(boxes, 'input_boxes', how);
  const data = new Float32Array(dims[0] * dims[1] * 4).fill(how.padValue);
  boxes.forEach((image, imageIndex) => {
    const [height, width] = how.sizes[imageIndex];
    const scales = [scaleOf(width, how), scaleOf(height, how)];
    (image as NestedList).forEach((item, boxIndex) => {
      const box = item as number[];
      const name = `input_boxes[${imageIndex}][${boxIndex}]`;
      checkFinite(box, name);
      const normalised = box.map((value, axis) => Math.fround(Math.fround(value) * scales[axis % 2]));
      checkFinite(normalised, `the normalised ${name}`);
      data.set(normalised, (imageIndex * dims[1] + boxIndex) * 4);
    });
  });
  return { data, dims: [...dims, 4] };
}
