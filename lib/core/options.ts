/** Checks of options, for the whole package: each returns the value with its type, or throws what it expected. */
import { isDType } from './dtype';
import { wrongType, wrongValue } from './errors';
import type {
  ArrayWithDims,
  Device,
  DeviceMapOption,
  DeviceOption,
  DTypeOption,
  ImageSize,
  ReturnTensors,
} from './types';

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
      `Unknown option "${name}" for ${where}. ` +
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
 * A size in pixels, [height, width]: two positive integers.
 *
 * @throws TypeError for anything but two numbers; RangeError for a size that is not a positive integer.
 */
export function checkSize(value: unknown, name: string): ImageSize {
  const items: unknown[] | null =
    Array.isArray(value) || (ArrayBuffer.isView(value) && !(value instanceof DataView))
      ? Array.from(value as ArrayLike<unknown>)
      : null;
  if (items?.length !== 2) throw wrongType('[height, width]', name, value);
  return [
    checkInteger(items[0], `${name}[0] (height)`, { min: 1 }),
    checkInteger(items[1], `${name}[1] (width)`, { min: 1 }),
  ];
}

const DEVICE_FORMS = '"auto", "cpu", "cuda", "cuda:N" or a device number N';

/**
 * One device: 'cuda' becomes 'cuda:0', N becomes 'cuda:N', as torch.device reads them.
 *
 * @throws TypeError for another type; RangeError for a string or number that names no device.
 */
export function checkDevice(value: unknown, name: string): Device | 'auto' {
  if (typeof value === 'number') return `cuda:${checkInteger(value, name, { min: 0, max: 127 })}`;
  if (typeof value !== 'string') throw wrongType(DEVICE_FORMS, name, value);
  if (value === 'auto' || value === 'cpu') return value;
  if (value === 'cuda') return 'cuda:0';
  const match = /^cuda:(0|[1-9]\d{0,2})$/.exec(value);
  if (!match || Number(match[1]) > 127) throw wrongValue(DEVICE_FORMS, name, value);
  return value as Device;
}

/** Where a model goes: both names may be left out. */
export interface DeviceOptions {
  device?: DeviceOption | null;
  device_map?: DeviceMapOption | null;
}

/**
 * The device that `device` and transformers' `device_map` name together.
 *
 * @param options both may be left out ('auto' then); both given must agree. A map puts the whole model on one
 *   device: `{ '': 'cuda:0' }`.
 * @throws TypeError and RangeError as `checkDevice`; RangeError for two that differ.
 */
export function parseDevice(options: DeviceOptions): Device | 'auto' {
  const { device, device_map } = options as { device?: unknown; device_map?: unknown };
  const direct = device === undefined || device === null ? null : checkDevice(device, 'device');
  if (device_map === undefined || device_map === null) return direct ?? 'auto';
  let mapped: Device | 'auto';
  if (isPlainObject(device_map)) {
    const keys = Object.keys(device_map);
    if (keys.length !== 1 || keys[0] !== '')
      throw wrongValue(
        "a device or { '': device }",
        'device_map',
        device_map,
        'A model lies on one device as a whole.',
      );
    mapped = checkDevice(device_map[''], "device_map['']");
  } else {
    mapped = checkDevice(device_map, 'device_map');
  }
  if (direct !== null && direct !== mapped)
    throw wrongValue(
      `the same device as device (${direct})`,
      'device_map',
      device_map,
      'Leave one of them out.',
    );
  return mapped;
}

/** The element types that a model computes in. */
export const MODEL_DTYPES = ['auto', 'float32', 'float16', 'bfloat16'] as const;

/** What a model computes in: both names may be left out. */
export interface DTypeOptions {
  dtype?: DTypeOption | null;
  torch_dtype?: DTypeOption | null;
}

/**
 * The element type that `dtype` and its older name `torch_dtype` name together.
 *
 * @param options both may be left out ('auto' then, as in transformers); both given must agree.
 * @throws TypeError for another type; RangeError for another name, or for two that differ.
 */
export function parseDtype(options: DTypeOptions): DTypeOption {
  const given = (['dtype', 'torch_dtype'] as const)
    .filter((name) => options[name] !== undefined && options[name] !== null)
    .map((name) => checkOneOf(options[name], MODEL_DTYPES, name));
  if (given.length === 2 && given[0] !== given[1])
    throw wrongValue(
      `the same type as dtype (${given[0]})`,
      'torch_dtype',
      given[1],
      'Leave one of them out.',
    );
  return given[0] ?? 'auto';
}

/**
 * What `return_tensors` asks for where it is set.
 *
 * @throws RangeError with transformers' own message for another name; TypeError for another type.
 */
export function checkTensorType(value: unknown): ReturnTensors {
  if (value === 'pt' || value === 'np') return value;
  if (typeof value !== 'string') throw wrongType('"pt" or "np"', 'return_tensors', value);
  if (value === 'mlx')
    throw new RangeError('Unable to convert output to MLX tensors format, MLX is not installed.');
  throw new RangeError(`${value} is not a valid TensorType, please select one of ['pt', 'np', 'mlx']`);
}

/**
 * What `return_tensors` asks for; unset (undefined or null) is 'pt'.
 *
 * @throws as checkTensorType.
 */
export function checkReturnTensors(value: unknown): ReturnTensors {
  return value === undefined || value === null ? 'pt' : checkTensorType(value);
}

/**
 * What the arguments of a `to` name: a device, a dtype, or both, as one object or one after the other.
 *
 * @throws TypeError for anything that names neither.
 */
export function readTarget(
  target: unknown,
  second: unknown,
  where: string,
): { device?: unknown; dtype?: unknown } {
  if (second !== undefined) {
    if ((typeof target !== 'string' && typeof target !== 'number') || isDType(target))
      throw wrongType('a device before a dtype', where, target);
    return { device: target, dtype: second };
  }
  if (isDType(target)) return { dtype: target };
  if (typeof target === 'string' || typeof target === 'number') return { device: target };
  const wanted = checkOptions(target ?? null, ['device', 'dtype'], where);
  if (wanted.device === undefined && wanted.dtype === undefined)
    throw wrongType('a device, a dtype or an object of both', where, target);
  return wanted;
}
