/** Checks of the options that mean the same everywhere: sizes, devices, dtypes, `return_tensors` and what `to` takes. */
import { types } from 'node:util';
import { canonicalDType, isDType } from './dtype';
import type { DTypeAlias } from './dtype';
import { wrongType, wrongValue } from './errors';
import { checkInteger, checkOneOf, checkOptions, isPlainObject } from './options';
import type { Device, DeviceMapOption, DeviceOption, DTypeOption, ImageSize, ReturnTensors } from './types';

/**
 * A size in pixels, [height, width]: two positive integers.
 *
 * @throws TypeError for anything but two numbers; RangeError for a size that is not a positive integer.
 */
export function checkSize(value: unknown, name: string): ImageSize {
  const items: unknown[] | null =
    Array.isArray(value) || types.isTypedArray(value) ? Array.from(value as ArrayLike<unknown>) : null;
  if (items?.length !== 2) throw wrongType('[height, width]', name, value);
  return [
    checkInteger(items[0], `${name}[0] (height)`, { min: 1 }),
    checkInteger(items[1], `${name}[1] (width)`, { min: 1 }),
  ];
}

/** Counts pass through 32-bit arithmetic, as in pycocotools. */
export const MAX_PIXELS = 2 ** 31 - 1;

/** Checks that runs can count the pixels of a size. @throws RangeError for more. */
export function checkPixels(size: readonly number[], name: string): void {
  if (size[0] * size[1] > MAX_PIXELS)
    throw wrongValue(`at most ${MAX_PIXELS} pixels`, name, size[0] * size[1]);
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
export function parseDtype(options: DTypeOptions): Exclude<DTypeOption, DTypeAlias> {
  const given = (['dtype', 'torch_dtype'] as const)
    .filter((name) => options[name] !== undefined && options[name] !== null)
    .map((name) => checkOneOf(canonicalDType(options[name]), MODEL_DTYPES, name));
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
 * What the arguments of a `to` name: a device, a dtype, or both, as one object or one after the other; transformers.js'
 * names of dtypes are replaced.
 *
 * @throws TypeError for anything that names neither.
 */
export function readTarget(
  target: unknown,
  second: unknown,
  where: string,
): { device?: unknown; dtype?: unknown } {
  const first = canonicalDType(target);
  if (second !== undefined) {
    if ((typeof first !== 'string' && typeof first !== 'number') || isDType(first))
      throw wrongType('a device before a dtype', where, target);
    return { device: first, dtype: canonicalDType(second) };
  }
  if (isDType(first)) return { dtype: first };
  if (typeof first === 'string' || typeof first === 'number') return { device: first };
  const wanted = checkOptions(target ?? null, ['device', 'dtype'], where);
  if (wanted.device === undefined && wanted.dtype === undefined)
    throw wrongType('a device, a dtype or an object of both', where, target);
  return { device: wanted.device, dtype: canonicalDType(wanted.dtype) };
}
