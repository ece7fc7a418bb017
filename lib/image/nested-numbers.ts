/**
 * Points, labels and boxes as a caller gives them, to checked nested lists: the private methods of transformers'
 * `Sam3TrackerProcessor`, messages included. No Tensors here: only lists, typed arrays, and arrays with dims.
 */
import { typeName, wrongType, wrongValue } from '../core/errors';
import { isArrayWithDims, isPlainObject } from '../core/validate';
import type { ArrayWithDims } from '../core/types';

/** Numbers in nested lists; a typed array, or one with dims, may stand anywhere for a list of its shape. */
export type NestedNumbers =
  number | bigint | boolean | ArrayBufferView | ArrayWithDims | readonly NestedNumbers[];

/** Nested lists with numbers at the leaves. */
export type NestedList = (number | NestedList)[];

/** The three kinds of prompts. */
export type PromptKind = 'points' | 'labels' | 'boxes';

const EXPECTED: Record<PromptKind, { depth: number; format: string; coordinates: number | null }> = {
  points: {
    depth: 4,
    format: '[image level, object level, point level, point coordinates]',
    coordinates: 2,
  },
  labels: { depth: 3, format: '[image level, object level, point level]', coordinates: null },
  boxes: { depth: 3, format: '[image level, box level, box coordinates]', coordinates: 4 },
};

const isTypedArray = (value: unknown): value is ArrayLike<number | bigint> & ArrayBufferView =>
  ArrayBuffer.isView(value) && !(value instanceof DataView);

/** The shape that a typed array or an array with dims has; null for anything else. */
function dimsOf(value: unknown, name: string): readonly number[] | null {
  if (isTypedArray(value)) return [value.length];
  if (!isArrayWithDims(value)) return null;
  const { data, dims } = value;
  if (!Array.isArray(data) && !isTypedArray(data))
    throw wrongType('an array of numbers', `${name}.data`, data);
  if (!Array.isArray(dims) || !dims.every((dim) => Number.isSafeInteger(dim) && dim >= 0))
    throw wrongType('an array of axis lengths', `${name}.dims`, dims);
  const count = (dims as number[]).reduce((product, dim) => product * dim, 1);
  if (data.length !== count)
    throw wrongValue(`${count} elements for dims [${dims.join(', ')}]`, `${name}.data`, data.length);
  return dims as number[];
}

/** As Python names the type of a value, in the reference's message. */
function pythonType(value: unknown): string {
  if (typeof value === 'string') return "<class 'str'>";
  if (isPlainObject(value)) return "<class 'dict'>";
  return `<class '${typeName(value)}'>`;
}

function leaf(value: unknown, name: string): number {
  if (typeof value === 'number') return value;
  if (typeof value === 'bigint' || typeof value === 'boolean') return Number(value);
  if (value === null || value === undefined) throw wrongType('a number', name, value);
  throw new TypeError(`Unsupported data type: ${pythonType(value)}`);
}

/** Nested lists from any mix of lists, typed arrays and arrays with dims (`_convert_to_nested_list`). */
export function toNestedList(value: unknown, name: string): number | NestedList {
  if (Array.isArray(value)) return value.map((item, index) => toNestedList(item, `${name}[${index}]`));
  const dims = dimsOf(value, name);
  if (dims === null) return leaf(value, name);
  const data = (isTypedArray(value) ? value : (value as ArrayWithDims).data) as ArrayLike<unknown>;
  let next = 0;
  const build = (axis: number): number | NestedList =>
    axis === dims.length
      ? leaf(data[next], `${name}.data[${next++}]`)
      : Array.from({ length: dims[axis] }, () => build(axis + 1));
  return build(0);
}

/**
 * How deep lists are nested, along the first item of each (`_get_nesting_level`); or where lists may be empty, along the
 * first that has items.
 */
function nestingLevel(value: unknown, name: string, mayBeEmpty: boolean): number {
  if (Array.isArray(value)) {
    const items = value as unknown[];
    const first = (mayBeEmpty && items.find((item) => !Array.isArray(item) || item.length > 0)) || items[0];
    return items.length === 0 ? 1 : 1 + nestingLevel(first, name, mayBeEmpty);
  }
  return dimsOf(value, name)?.length ?? 0;
}

/**
 * Checks the nesting of one kind of prompt and converts it to nested lists. Mirrors `_validate_single_input`.
 *
 * @param value the prompts of all images.
 * @param kind which prompts.
 * @param mayBeEmpty whether some images may have none.
 * @returns null for a prompt that was not given.
 * @throws RangeError with the reference's message for another nesting or another number of coordinates; TypeError for
 *   anything but lists and arrays of numbers.
 */
export function validatePrompt(value: unknown, kind: PromptKind, mayBeEmpty = false): NestedList | null {
  if (value === null || value === undefined) return null;
  const { depth, format, coordinates } = EXPECTED[kind];
  const name = `input_${kind}`;
  const dims = dimsOf(value, name);
  if (dims !== null) {
    if (dims.length !== depth)
      throw new RangeError(
        `Input ${kind} must be a tensor/array with ${depth} dimensions. The expected nesting format is ${format}. ` +
          `Got ${dims.length} dimensions.`,
      );
    if (coordinates !== null && dims[depth - 1] !== coordinates)
      throw wrongCoordinates(kind, dims[depth - 1]);
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
  const list = toNestedList(value, name) as NestedList;
  checkLevels(list, kind, name, 1);
  return list;
}

function wrongCoordinates(kind: PromptKind, count: number): RangeError {
  const expected = EXPECTED[kind].coordinates;
  return new RangeError(
    `Input ${kind} must be a tensor/array with ${expected} as the last dimension, got ${count}.`,
  );
}

/** Every item lies at the depth that the first one has: where the reference would stop inside torch, or pad. */
function checkLevels(list: NestedList, kind: PromptKind, name: string, level: number): void {
  const { depth, coordinates } = EXPECTED[kind];
  if (level === depth) {
    const inner = list.findIndex((item) => typeof item !== 'number');
    if (inner >= 0) throw wrongType('a number', `${name}[${inner}]`, list[inner]);
    // A point without coordinates is padding to the reference; one with another number would be filled up silently.
    const isPadding = kind === 'points' && list.length === 0;
    if (coordinates !== null && list.length !== coordinates && !isPadding)
      throw wrongCoordinates(kind, list.length);
    return;
  }
  list.forEach((item, index) => {
    if (typeof item === 'number')
      throw wrongType(`a list (${EXPECTED[kind].format})`, `${name}[${index}]`, item);
    checkLevels(item, kind, `${name}[${index}]`, level + 1);
  });
}

/** The largest length at each level (`_get_nested_dimensions`). */
export function nestedDimensions(list: NestedList): number[] {
  const dims = [list.length];
  for (const item of list) {
    if (typeof item === 'number') continue;
    nestedDimensions(item).forEach((dim, level) => {
      dims[level + 1] = Math.max(dims[level + 1] ?? 0, dim);
    });
  }
  return dims;
}

/** Prompts as nested lists, checked against each other. */
export interface CheckedPrompts {
  points: NestedList | null;
  labels: NestedList | null;
  boxes: NestedList | null;
}

/**
 * Checks all prompts of a call, each by itself and against each other, in the reference's order.
 *
 * @throws RangeError with the reference's messages; TypeError as `validatePrompt`.
 */
export function checkPrompts(
  input_points: unknown,
  input_labels: unknown,
  input_boxes: unknown,
  allow_ragged_boxes = false,
): CheckedPrompts {
  const points = validatePrompt(input_points, 'points');
  const labels = validatePrompt(input_labels, 'labels');
  const boxes = validatePrompt(input_boxes, 'boxes', allow_ragged_boxes);
  if (points && labels) {
    const pointDims = nestedDimensions(points).slice(0, 3);
    const labelDims = nestedDimensions(labels).slice(0, 3);
    if (pointDims.length !== labelDims.length || pointDims.some((dim, level) => dim !== labelDims[level]))
      throw new RangeError(
        'Input points and labels have inconsistent dimensions. Please ensure they have the same dimensions.',
      );
  }
  const maxBoxes = boxes ? (nestedDimensions(boxes)[1] ?? 0) : 0;
  if (
    !allow_ragged_boxes &&
    boxes &&
    boxes.length >= 2 &&
    boxes.some((image) => (image as NestedList).length < maxBoxes)
  )
    throw new RangeError(
      'Input boxes have inconsistent dimensions that would require padding, ' +
        'but boxes cannot be padded due to model limitations. ' +
        'Please ensure all images have the same number of boxes.',
    );
  return { points, labels, boxes };
}
