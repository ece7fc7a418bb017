/**
 * Points, labels and boxes as a caller gives them, to the padded and normalised arrays that the model takes: the private
 * methods of transformers' `Sam3TrackerProcessor`, messages included.
 */
import { describe, typeName, wrongType, wrongValue } from '../core/errors';
import { isPlainObject } from '../core/options';
import { Rows, dimsOf, type RowForm } from '../image/nested-numbers';
import type { ArrayWithDims, ImageSize } from '../core/types';

/** The three kinds of prompts. */
export type PromptKind = 'points' | 'labels' | 'boxes';

/** As Python names the type of a value, in the reference's message. */
function pythonType(value: unknown): string {
  if (typeof value === 'string') return "<class 'str'>";
  if (isPlainObject(value)) return "<class 'dict'>";
  return `<class '${typeName(value)}'>`;
}

const formOf = (kind: PromptKind, axes: string[], width: number | null): RowForm => ({
  name: `input_${kind}`,
  axes,
  width,
  // A point without coordinates is padding to the reference.
  mayBeEmpty: kind === 'points',
  wrongElement: (value) => new TypeError(`Unsupported data type: ${pythonType(value)}`),
  wrongWidth: (found) =>
    new RangeError(`Input ${kind} must be a tensor/array with ${width} as the last dimension, got ${found}.`),
});

const FORMS: Record<PromptKind, RowForm & { format: string }> = {
  points: {
    ...formOf('points', ['images', 'objects', 'points'], 2),
    format: '[image level, object level, point level, point coordinates]',
  },
  labels: {
    ...formOf('labels', ['images', 'objects', 'points'], null),
    format: '[image level, object level, point level]',
  },
  boxes: {
    ...formOf('boxes', ['images', 'boxes'], 4),
    format: '[image level, box level, box coordinates]',
  },
};

/** -10 padding, -1 no point, 0 background, 1 foreground, 2 and 3 corners of a box. */
const LABELS = [-10, -1, 0, 1, 2, 3];

/** Most numbers that padding adds to a kind of prompt, a few milliseconds' work: lists of a few kilobytes ask for gigabytes of it. */
export const MOST_PADDING = 2 ** 22;

/**
 * How deep lists are nested, along the first item of each (`_get_nesting_level`); or where lists may be empty, along the
 * first that has items.
 */
function nestingLevel(value: unknown, name: string, mayBeEmpty: boolean): number {
  let level = 0;
  for (let next = value; ; level++) {
    if (!Array.isArray(next)) return level + (dimsOf(next, name)?.length ?? 0);
    if (next.length === 0) return level + 1;
    const items = next as unknown[];
    next = (mayBeEmpty && items.find((item) => !Array.isArray(item) || item.length > 0)) || items[0];
  }
}

/**
 * Reads one kind of prompt and checks its nesting. Mirrors `_validate_single_input`.
 *
 * @param value the prompts of all images.
 * @param kind which prompts.
 * @param mayBeEmpty whether some images may have none.
 * @returns null for a prompt that was not given.
 * @throws RangeError with the reference's message for another nesting or another number of coordinates; else as `Rows`.
 */
export function readPrompt(value: unknown, kind: PromptKind, mayBeEmpty = false): Rows | null {
  if (value === null || value === undefined) return null;
  const form = FORMS[kind];
  const { name, axes, width, format } = form;
  const depth = axes.length + (width === null ? 0 : 1);
  const dims = dimsOf(value, name);
  if (dims !== null) {
    if (dims.length !== depth)
      throw new RangeError(
        `Input ${kind} must be a tensor/array with ${depth} dimensions. The expected nesting format is ${format}. ` +
          `Got ${dims.length} dimensions.`,
      );
    if (width !== null && dims[depth - 1] !== width) throw form.wrongWidth(dims[depth - 1], name);
  } else if (Array.isArray(value)) {
    const level = nestingLevel(value, name, mayBeEmpty);
    if (level !== depth)
      throw new RangeError(
        `Input ${kind} must be a nested list with ${depth} levels. The expected nesting format is ${format}. ` +
          `Got ${level} levels.`,
      );
  } else {
    throw wrongType(`a nested list, a Tensor or { data, dims } (${format})`, name, value);
  }
  return new Rows(value, form);
}

/** Prompts, checked against each other; null for those that were not given. */
export interface Prompts {
  points: Rows | null;
  labels: Rows | null;
  boxes: Rows | null;
}

/**
 * Reads all prompts of a call and checks each by itself and against each other, in the reference's order.
 *
 * @throws RangeError with the reference's messages, and for prompts without any point or box; else as `readPrompt`.
 */
export function readPrompts(
  input_points: unknown,
  input_labels: unknown,
  input_boxes: unknown,
  allow_ragged_boxes = false,
): Prompts {
  const points = readPrompt(input_points, 'points');
  const labels = readPrompt(input_labels, 'labels');
  const boxes = readPrompt(input_boxes, 'boxes', allow_ragged_boxes);
  if (points && labels && points.dims.some((dim, level) => dim !== labels.dims[level]))
    throw new RangeError(
      'Input points and labels have inconsistent dimensions. Please ensure they have the same dimensions.',
    );
  if (!allow_ragged_boxes && boxes && boxes.count < boxes.dims[0] * boxes.dims[1])
    throw new RangeError(
      'Input boxes have inconsistent dimensions that would require padding, ' +
        'but boxes cannot be padded due to model limitations. ' +
        'Please ensure all images have the same number of boxes.',
    );
  for (const [name, rows] of Object.entries({ input_points: points, input_labels: labels }))
    checkDims(rows, name, 'at least one point of one object of one image');
  checkDims(boxes, 'input_boxes', 'at least one box');
  return { points, labels, boxes };
}

function checkDims(rows: Rows | null, name: string, least: string): void {
  if (!rows) return;
  const dims = rows.dims.join(', ');
  if (rows.dims.includes(0))
    throw new RangeError(`Expected ${least} for ${name} but received dims [${dims}].`);
  if (rows.paddedLength - rows.length > MOST_PADDING)
    throw new RangeError(
      `Expected at most ${MOST_PADDING} numbers of padding for ${name} but received ${rows.length} numbers, whose lists ` +
        `are padded to dims [${dims}].`,
    );
}

/** How coordinates are scaled to the model's image. */
export interface Normalization {
  /** [height, width] of each image in pixels. */
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

function checkFinite(values: readonly number[], name: string, place: readonly number[]): void {
  for (let index = 0; index < values.length; index++) {
    if (Number.isFinite(Math.fround(values[index]))) continue;
    throw wrongValue(
      'finite coordinates (float32)',
      `${name}[${[...place, index].join('][')}]`,
      values[index],
    );
  }
}

function checkImageCount({ dims: [count] }: Rows, name: string, sizes: readonly unknown[]): void {
  if (count !== sizes.length)
    throw new RangeError(
      `${name} is for ${count} image${count === 1 ? '' : 's'}, but there ${
        sizes.length === 1 ? 'is 1 image' : `are ${sizes.length} images`
      }.`,
    );
}

/**
 * Points or boxes, padded and normalised. Mirrors `_pad_nested_list` and `_normalize_tensor_coordinates`.
 *
 * @returns float32, (images, objects, points, 2) or (images, boxes, 4): x before y, in pixels of the model's image.
 * @throws RangeError for another number of images, or coordinates that are not finite.
 */
export function prepareCoordinates(
  rows: Rows,
  kind: 'points' | 'boxes',
  how: Normalization,
): ArrayWithDims<Float32Array> {
  const { name, width } = FORMS[kind];
  checkImageCount(rows, name, how.sizes);
  const pad = Math.fround(how.padValue);
  const scales = how.sizes.map(([height, width]) => [scaleOf(width, how), scaleOf(height, how)]);
  const data = new Float32Array(rows.paddedLength).fill(pad);
  const normalised = `the normalised ${name}`;
  rows.forEach((row, place, offset) => {
    checkFinite(row, name, place);
    for (let axis = 0; axis < row.length; axis++) row[axis] = Math.fround(row[axis]);
    // The reference leaves a point alone where either coordinate has the padding's value.
    if (kind === 'boxes' || !row.includes(pad))
      for (let axis = 0; axis < row.length; axis++)
        row[axis] = Math.fround(row[axis] * scales[place[0]][axis % 2]);
    checkFinite(row, normalised, place);
    for (let axis = 0; axis < row.length; axis++) data[offset + axis] = row[axis];
  });
  return { data, dims: [...rows.dims, width as number] };
}

/**
 * Labels, padded.
 *
 * @returns int64, (images, objects, points).
 * @throws RangeError for another number of images, or a label that is not -10, -1, 0, 1, 2 or 3 (or the padding's value).
 */
export function prepareLabels(
  rows: Rows,
  { sizes, padValue }: Pick<Normalization, 'sizes' | 'padValue'>,
): ArrayWithDims<BigInt64Array> {
  const { name } = FORMS.labels;
  checkImageCount(rows, name, sizes);
  const data = new BigInt64Array(rows.paddedLength).fill(BigInt(padValue));
  rows.forEach(([label], place, offset) => {
    if (label !== padValue && !LABELS.includes(label))
      throw new RangeError(
        `Expected one of ${LABELS.join(', ')} for ${name}[${place.join('][')}] but received ${describe(label)}.`,
      );
    data[offset] = BigInt(label);
  });
  return { data, dims: rows.dims };
}

/**
 * Checks the sizes that the image processor found against the images and the sizes that the caller named.
 *
 * @throws RangeError with the reference's message where nested lists of images hide their number; RangeError for named
 *   sizes that the images do not have, which the reference drops.
 */
export function checkSizesAgainst(
  sizes: readonly ImageSize[],
  images: unknown,
  named: readonly ImageSize[] | null,
): void {
  if (Array.isArray(images) && sizes.length !== 1 && sizes.length !== images.length)
    throw new RangeError(
      'original_sizes must be of length 1 or len(images). If you are passing a single image, you must pass a single ' +
        'original_size.',
    );
  if (named === null) return;
  const agrees =
    named.length === sizes.length &&
    named.every(([height, width], index) => height === sizes[index][0] && width === sizes[index][1]);
  if (!agrees)
    throw new RangeError(
      `original_sizes ${describe(named)} are not the sizes of the images, ${describe(sizes)}. Leave them out.`,
    );
}

/** Sizes as the field that is returned: int64, or, where one is no integer, as torch and NumPy read floats. */
export function sizesArray(
  sizes: readonly ImageSize[],
  asNumPy: boolean,
): ArrayWithDims<BigInt64Array | Float32Array | Float64Array> & { type: 'int64' | 'float32' | 'float64' } {
  const values = sizes.flat();
  const dims = [sizes.length, 2];
  if (values.every(Number.isInteger))
    return { type: 'int64', data: BigInt64Array.from(values.map(BigInt)), dims };
  return asNumPy
    ? { type: 'float64', data: Float64Array.from(values), dims }
    : { type: 'float32', data: Float32Array.from(values), dims };
}
