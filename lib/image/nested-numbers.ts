/** Numbers in lists, as sizes and prompts come: nested lists, typed arrays, arrays with dims and Tensors, in any mix. */
import { types } from 'node:util';
import { bracketed, wrongType, wrongValue } from '../core/errors';
import { checkDims, isArrayWithDims } from '../core/options';
import { Tensor, numbersOf } from '../tensor';
import type { ArrayWithDims } from '../core/types';

/** Numbers in nested lists; a typed array, or one with dims, may stand anywhere for a list of its shape. */
export type NestedNumbers =
  number | bigint | boolean | ArrayBufferView | ArrayWithDims | readonly NestedNumbers[];

/** Most numbers of Tensors and arrays, which are far smaller there than in a list: 128 MiB once read. */
export const MOST_NUMBERS = 2 ** 24;

/** What nested numbers have to be: rows of a fixed width, in lists of lists. */
export interface RowForm {
  /** Name of the argument, for errors. */
  name: string;
  /** What the lists around the rows hold, outermost first: for points images, objects, points. */
  axes: readonly string[];
  /** Numbers in a row; null where single numbers stand in place of rows. */
  width: number | null;
  /** Whether a row may be empty: it is left out then. */
  mayBeEmpty?: boolean;
  /** The error for what is neither a list nor a number; default a TypeError that names the place. */
  wrongElement?: (value: unknown) => Error;
  /** The error for a row of another width. */
  wrongWidth: (width: number, name: string) => Error;
}

const isTypedArray = (value: unknown): value is ArrayLike<number | bigint> & ArrayBufferView =>
  types.isTypedArray(value);

const isNumber = (value: unknown): value is number | bigint | boolean =>
  typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean';

interface NumberArray {
  dims: readonly number[];
  elements: ArrayLike<unknown> | Tensor;
}

/** What stands for a list of numbers, with its shape; null for anything else. The name is asked for by errors alone. */
function asArray(value: unknown, nameOf: () => string): NumberArray | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  if (Tensor.isTensor(value)) return { dims: value.dims, elements: value };
  if (isTypedArray(value)) return { dims: [value.length], elements: value };
  if (!isArrayWithDims(value)) return null;
  const { data, dims } = value;
  if (!Array.isArray(data) && !isTypedArray(data))
    throw wrongType('an array of numbers', `${nameOf()}.data`, data);
  return { dims: checkDims(dims, data.length, `${nameOf()}.`), elements: data };
}

/** The shape of what stands for a list of numbers; null for anything else. @throws as `Rows`. */
export function dimsOf(value: unknown, name: string): readonly number[] | null {
  return asArray(value, () => name)?.dims ?? null;
}

/**
 * The rows of nested numbers, flattened. Lists may differ in length. Tensors on the CPU are read at once, those on other
 * devices by `load`; an array without elements costs nothing, whatever its other dims.
 */
export class Rows {
  /** The largest length at each level above the rows (`_get_nested_dimensions`). */
  readonly dims: number[];
  // Indices of each row, one a level, and its numbers; row after row.
  readonly #places: number[] = [];
  readonly #values: number[] = [];
  readonly #form: RowForm;
  /** Names of the axes, and the width of a row. */
  readonly #shape: readonly (string | number)[];
  readonly #pending: { tensor: Tensor; start: number }[] = [];
  /** The indices that lead to what is being read. */
  readonly #path: number[] = [];
  readonly #nameOf = (): string => `${this.#form.name}${this.#path.map((index) => `[${index}]`).join('')}`;

  /**
   * Reads and flattens.
   *
   * @throws TypeError for anything but lists and arrays of numbers; RangeError for arrays of other dims, and rows of
   *   another width; Sam3TrackerError DISPOSED.
   */
  constructor(value: unknown, form: RowForm) {
    this.#form = form;
    this.#shape = form.width === null ? form.axes : [...form.axes, form.width];
    this.dims = form.axes.map(() => 0);
    this.#read(value);
  }

  /** Whether all numbers are there: false until `load` where Tensors are on other devices. */
  get isLoaded(): boolean {
    return this.#pending.length === 0;
  }

  /** Fetches the numbers of Tensors on other devices. @throws as `Tensor.cpu`. */
  async load(): Promise<void> {
    const copies = this.#pending.splice(0).map(async ({ tensor, start }) => {
      using onHost = await tensor.cpu();
      numbersOf(onHost).forEach((value, index) => (this.#values[start + index] = value));
    });
    await Promise.all(copies);
  }

  /** How many rows there are, padding left out. */
  get count(): number {
    return this.#values.length / (this.#form.width ?? 1);
  }

  /** How many numbers there are. */
  get length(): number {
    return this.#values.length;
  }

  /** How many numbers there are once all lists of a level are as long as the longest. */
  get paddedLength(): number {
    return this.dims.reduce((product, dim) => product * dim, this.#form.width ?? 1);
  }

  /**
   * Visits the rows: the numbers of each, its index at every level above it, and where it begins in the padded array.
   * Both lists are used again for the next row.
   */
  forEach(visit: (row: number[], place: number[], offset: number) => void): void {
    const { length } = this.dims;
    const width = this.#form.width ?? 1;
    const row = new Array<number>(width).fill(0);
    const place = new Array<number>(length).fill(0);
    for (let index = 0; index < this.count; index++) {
      let position = 0;
      for (let level = 0; level < length; level++) {
        place[level] = this.#places[index * length + level];
        position = position * this.dims[level] + place[level];
      }
      for (let axis = 0; axis < width; axis++) row[axis] = this.#values[index * width + axis];
      visit(row, place, position * width);
    }
  }

  #read(value: unknown): void {
    const { axes } = this.#form;
    const level = this.#path.length;
    const array = asArray(value, this.#nameOf);
    if (array) return this.#readArray(array);
    if (level === this.#shape.length) this.#values.push(this.#toNumber(value, this.#nameOf));
    else if (Array.isArray(value)) {
      for (let index = 0; index < value.length; index++) {
        this.#path.push(index);
        this.#read(value[index]);
        this.#path.pop();
      }
      if (level < axes.length) this.#grow(level, value.length);
      else if (!this.#isRow(value.length)) return;
    } else this.#refuse(value, `a list, dims (${this.#shape.slice(level).join(', ')}),`, this.#nameOf);
    if (level === axes.length) this.#places.push(...this.#path);
  }

  /** Whether a list of so many numbers is a row, and not one that may be left out. */
  #isRow(length: number): boolean {
    const { width, mayBeEmpty, wrongWidth } = this.#form;
    if (length === width) return true;
    if (length === 0 && mayBeEmpty) return false;
    throw wrongWidth(length, this.#nameOf());
  }

  #readArray(array: NumberArray): void {
    const { axes } = this.#form;
    const level = this.#path.length;
    const expected = this.#shape.slice(level);
    // As nested lists, an array without elements ends at its first axis of length 0.
    const empty = array.dims.indexOf(0);
    const dims = empty < 0 ? array.dims : array.dims.slice(0, empty + 1);
    if (empty < 0 ? dims.length !== expected.length : dims.length > expected.length)
      throw new RangeError(
        `Expected dims (${expected.join(', ')}) for ${this.#nameOf()} but received dims ${bracketed(array.dims)}.`,
      );
    const above = dims.slice(0, axes.length - level);
    above.forEach((length, axis) => this.#grow(level + axis, length));
    const [last] = dims.slice(above.length);
    if (last !== undefined) this.#isRow(last);
    if (empty >= 0) return;
    this.#readElements(array);
    if (level <= axes.length) this.#place(this.#path, above);
  }

  #readElements({ dims, elements }: NumberArray): void {
    const count = this.length + dims.reduce((product, dim) => product * dim, 1);
    if (count > MOST_NUMBERS) throw wrongValue(`at most ${MOST_NUMBERS} numbers`, this.#form.name, count);
    if (Tensor.isTensor(elements)) {
      if (elements.device === 'cpu') for (const value of numbersOf(elements)) this.#values.push(value);
      else {
        this.#pending.push({ tensor: elements, start: this.#values.length });
        for (let left = dims.reduce((product, dim) => product * dim, 1); left > 0; left--)
          this.#values.push(0);
      }
    } else
      for (let index = 0; index < elements.length; index++)
        this.#values.push(this.#toNumber(elements[index], () => `${this.#nameOf()}.data[${index}]`));
  }

  /** The places of the rows of an array with these dims above its rows, in row-major order. */
  #place(start: readonly number[], dims: readonly number[]): void {
    const place = [...start, ...dims.map(() => 0)];
    for (let left = dims.reduce((product, dim) => product * dim, 1); left > 0; left--) {
      for (const index of place) this.#places.push(index);
      for (let axis = dims.length - 1; axis >= 0 && ++place[start.length + axis] === dims[axis]; axis--)
        place[start.length + axis] = 0;
    }
  }

  #toNumber(value: unknown, nameOf: () => string): number {
    return isNumber(value) ? Number(value) : this.#refuse(value, 'a number', nameOf);
  }

  #refuse(value: unknown, what: string, nameOf: () => string): never {
    const { wrongElement } = this.#form;
    const isOther = value !== null && value !== undefined && !Array.isArray(value) && !isNumber(value);
    throw wrongElement && isOther ? wrongElement(value) : wrongType(what, nameOf(), value);
  }

  #grow(level: number, length: number): void {
    this.dims[level] = Math.max(this.dims[level], length);
  }
}
