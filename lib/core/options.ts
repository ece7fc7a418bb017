/** Checks of options, for the whole package: each returns the value with its type, or throws what it expected. */
import { bracketed, shorten, wrongType, wrongValue } from './errors';
import type { ArrayWithDims } from './types';

/** Bounds of a number, both included. */
export interface Bounds {
  min?: number;
  max?: number;
}

/** Whether a value is an object literal (or has no prototype): what an options argument must be. */
export function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== 'object' || value === null) return false;
  const prototype: unknown = Object.getPrototypeOf(value);
  // An object from another realm (a worker's vm, a test runner) has that realm's Object.prototype.
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

/** Whether a value has the form of elements with dims, which stands for a NumPy array; neither is checked here. */
export function isArrayWithDims(value: unknown): value is ArrayWithDims {
  return isPlainObject(value) && 'data' in value && 'dims' in value;
}

/** Insertions, deletions, replacements and swaps of neighbours that turn one word into the other. */
function editDistance(a: string, b: string): number {
  let beforePrevious: number[] = [];
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replaced = previous[column - 1] + (a[row - 1] === b[column - 1] ? 0 : 1);
      let best = Math.min(replaced, previous[column] + 1, current[column - 1] + 1);
      if (row > 1 && column > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1])
        best = Math.min(best, beforePrevious[column - 2] + 1);
      current.push(best);
    }
    beforePrevious = previous;
    previous = current;
  }
  return previous[b.length];
}

/**
 * The known name that a mistyped one most likely meant, compared without case and underscores.
 *
 * @returns the nearest name at most a third of its letters away, or null.
 */
export function likelyName(name: string, known: readonly string[]): string | null {
  // The work grows with the product of the lengths, and nobody mistypes a long one.
  if (name.length > 60) return null;
  const plain = (text: string): string => text.toLowerCase().replace(/[_-]/g, '');
  let best: string | null = null;
  let bestDistance = Infinity;
  for (const candidate of known) {
    const distance = editDistance(plain(name), plain(candidate));
    if (distance < bestDistance && distance <= Math.max(1, Math.floor(candidate.length / 3))) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
}

/**
 * Checks that `options` is a plain object with known names only.
 *
 * @param options what the caller passed; undefined stands for no options.
 * @param allowed every name that `where` takes.
 * @param where the function, as the error names it.
 * @returns the options, an empty object for undefined.
 * @throws TypeError for anything but an object, and for an unknown name, with the likely spelling.
 */
export function checkOptions(
  options: unknown,
  allowed: readonly string[],
  where: string,
): Record<string, unknown> {
  if (options === undefined) return {};
  if (!isPlainObject(options)) throw wrongType('an object of options', where, options);
  for (const name of Object.keys(options)) {
    if (allowed.includes(name)) continue;
    const likely = likelyName(name, allowed);
    throw new TypeError(
      `Unknown option "${shorten(name, 60)}" for ${where}. ` +
        (likely ? `Did you mean "${likely}"?` : `It takes: ${allowed.join(', ')}.`),
    );
  }
  return options;
}

function describeBounds({ min, max }: Bounds): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? '' : ` of at most ${max}`;
}

function checkBounds(value: number, what: string, name: string, bounds: Bounds): number {
  if (value < (bounds.min ?? -Infinity) || value > (bounds.max ?? Infinity))
    throw wrongValue(`${what}${describeBounds(bounds)}`, name, value);
  return value;
}

/**
 * A finite number within bounds.
 *
 * @throws TypeError for another type; RangeError for NaN, an infinity, or a number outside the bounds.
 */
export function checkNumber(value: unknown, name: string, bounds: Bounds = {}): number {
  if (typeof value !== 'number') throw wrongType(`a number${describeBounds(bounds)}`, name, value);
  if (!Number.isFinite(value)) throw wrongValue(`a finite number${describeBounds(bounds)}`, name, value);
  return checkBounds(value, 'a number', name, bounds);
}

/**
 * An integer within bounds, exactly representable.
 *
 * @throws TypeError for another type; RangeError for a fraction, NaN, an infinity, or one outside the bounds.
 */
export function checkInteger(value: unknown, name: string, bounds: Bounds = {}): number {
  if (typeof value !== 'number') throw wrongType(`an integer${describeBounds(bounds)}`, name, value);
  if (!Number.isSafeInteger(value)) throw wrongValue(`an integer${describeBounds(bounds)}`, name, value);
  return checkBounds(value, 'an integer', name, bounds);
}

/** A boolean. @throws TypeError for anything else. */
export function checkBoolean(value: unknown, name: string): boolean {
  if (typeof value !== 'boolean') throw wrongType('a boolean', name, value);
  return value;
}

/** A boolean option with its default, which null stands for too. @throws TypeError for anything else. */
export function optionalBoolean(value: unknown, name: string, byDefault: boolean): boolean {
  return value === undefined || value === null ? byDefault : checkBoolean(value, name);
}

/** A string with at least one character. @throws TypeError for another type; RangeError for an empty one. */
export function checkString(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongType('a string', name, value);
  if (value === '') throw wrongValue('a string that is not empty', name, value);
  return value;
}

/** One of a list of strings. @throws TypeError for another type; RangeError for another string. */
export function checkOneOf<T extends string>(value: unknown, allowed: readonly T[], name: string): T {
  const what = `one of ${allowed.map((item) => JSON.stringify(item)).join(', ')}`;
  if (typeof value !== 'string') throw wrongType(what, name, value);
  if (!(allowed as readonly string[]).includes(value)) throw wrongValue(what, name, value);
  return value as T;
}

/**
 * Dims that so many elements fill: the length of each axis, outermost first.
 *
 * @param dims what the caller passed.
 * @param elements how many elements there are.
 * @param prefix what errors put before the names `data` and `dims`.
 * @throws TypeError for another type; RangeError for lengths that are no integers of at least 0, or another product.
 */
export function checkDims(dims: unknown, elements: number, prefix: string): number[] {
  if (!Array.isArray(dims)) throw wrongType('an array of axis lengths', `${prefix}dims`, dims);
  const lengths = dims.map((dim, axis) => checkInteger(dim, `${prefix}dims[${axis}]`, { min: 0 }));
  const count = lengths.reduce((product, length) => product * length, 1);
  if (elements !== count)
    throw wrongValue(`${count} elements for dims ${bracketed(lengths)}`, `${prefix}data`, elements);
  return lengths;
}

/**
 * A typed array whose length was checked before.
 *
 * @throws RangeError where its buffer was transferred or shrank since: it would read as nothing, or as zeros.
 */
export function checkIntact<T extends ArrayLike<unknown>>(array: T, length: number, name: string): T {
  if (array.length !== length)
    throw new RangeError(
      `The buffer of ${name} was transferred or resized: ${array.length} of ${length} elements are left.`,
    );
  return array;
}
