/** Types that every layer shares. */
import type { DTypeAlias } from './dtype';

/** A size in pixels, [height, width] as in transformers. */
export type ImageSize = [height: number, width: number];

/** Numbers with their shape, outermost axis first: what a NumPy array is in Python. Row-major. */
export interface ArrayWithDims<T extends ArrayLike<number | bigint> = ArrayLike<number | bigint>> {
  /** The elements, row-major. */
  readonly data: T;
  /** Length of each axis, outermost first. */
  readonly dims: readonly number[];
}

/** Where a model or a tensor is: the CPU or one CUDA device. */
export type Device = 'cpu' | `cuda:${number}`;

/** What a `device` option takes: 'auto' is CUDA where there is one; 'cuda' is its first device; N is `cuda:N`. */
export type DeviceOption = 'auto' | 'cpu' | 'cuda' | `cuda:${number}` | number;

/** What a `device_map` option takes: a device, or transformers' form that puts the whole model on one. */
export type DeviceMapOption =
  | DeviceOption
  | {
      /** Where the whole model goes. */
      '': DeviceOption;
    };

/** What a `dtype` option takes, under torch's or transformers.js' names: 'auto' is the checkpoint's own. */
export type DTypeOption = 'auto' | 'float32' | 'float16' | 'bfloat16' | DTypeAlias;

/** What `return_tensors` takes: 'pt' for Tensors (the default), 'np' for typed arrays with dims. */
export type ReturnTensors = 'pt' | 'np';

/** Removes `readonly` methods from a class, leaving the fields that an options object may set. */
export type FieldsOf<T> = {
  -readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? never : K]?: T[K];
};
