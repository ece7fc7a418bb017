/** `BatchEncoding`: what a processor returns (transformers' tokenization_utils_base.py). */
import { isFloating, type DType, type FloatingDType, type TensorData } from '../core/dtype';
import { Tensor } from '../tensor';
import type { ArrayWithDims, DeviceOption } from '../core/types';
import { readTarget } from '../core/device';
import { guardMethods } from '../core/receivers';

/** One field: a Tensor, or with return_tensors 'np' a typed array with dims. */
export type BatchField = Tensor | ArrayWithDims<TensorData>;

/** A field as a Tensor of its dtype; a typed array stays. */
type Typed<T extends BatchField, D extends DType> = T extends Tensor ? Tensor<D> : T;

/** What images and prompts hold: `to` casts floating numbers, and images may stay as they came. */
type PixelDType = Exclude<DType, 'int64' | 'bool'>;

/** What a processor returns; `T` is Tensor, or a typed array with dims for return_tensors 'np'. */
export interface BatchFields<T extends BatchField = Tensor> {
  /** Images, (images, channels, height, width), as the model takes them. */
  pixel_values?: Typed<T, PixelDType>;
  /** [height, width] in pixels of each image as it came in: (images, 2), int64. */
  original_sizes: Typed<T, 'int64'>;
  /** Segmentation maps, (images, height, width), int64. */
  labels?: Typed<T, 'int64'>;
  /** x, y in pixels of the model's image: (images, objects, points, 2), float32. */
  input_points?: Typed<T, FloatingDType>;
  /** (images, objects, points), int64. */
  input_labels?: Typed<T, 'int64'>;
  /** x1, y1, x2, y2 in pixels of the model's image: (images, boxes, 4), float32. */
  input_boxes?: Typed<T, FloatingDType>;
}

/** The fields of a batch as properties: see the class. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- the class gets the fields' types from here
export interface BatchEncoding<T extends BatchField = Tensor> extends BatchFields<T> {}

/**
 * Fields by name, as plain properties: `inputs.input_points`, and `{ ...inputs }` holds the fields alone, so that it can
 * be spread into a model's arguments.
 */
export class BatchEncoding<T extends BatchField = Tensor> {
  /**
   * A batch of the given fields.
   *
   * @param fields taken over as they are; undefined ones are left out.
   */
  constructor(fields: BatchFields<T>) {
    for (const [name, value] of Object.entries(fields))
      if (value !== undefined)
        Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  }

  /** Names of the fields, as Python's `keys()`. */
  keys(): (keyof BatchFields)[] {
    return Object.keys(this) as (keyof BatchFields)[];
  }

  /** Fields in the order of `keys`, as Python's `values()`. */
  values(): T[] {
    return Object.values(this) as T[];
  }

  /** Names and fields, as Python's `items()`. */
  items(): [keyof BatchFields, T][] {
    return Object.entries(this) as [keyof BatchFields, T][];
  }

  /** A field by name, or undefined. As Python's `get`. */
  get<K extends keyof BatchFields>(name: K): BatchFields<T>[K] | undefined {
    return Object.hasOwn(this, name) ? (this as BatchFields<T>)[name] : undefined;
  }

  /**
   * Moves every Tensor to a device, or casts the floating ones, or both. Mirrors `BatchFeature.to`: this object
   * changes and is returned. Typed arrays stay. The Tensors that were here before stay as they are.
   *
   * @param target a device, a dtype, or both in an object.
   * @param dtype the dtype, after a device.
   * @throws TypeError and RangeError for another target; Sam3TrackerError DEVICE_UNAVAILABLE. Nothing changes then.
   */
  async to(
    target: Exclude<DeviceOption, 'auto'> | DType | { device?: DeviceOption; dtype?: DType },
    dtype?: DType,
  ): Promise<this> {
    const wanted = readTarget(target, dtype, 'BatchEncoding.to');
    const move = async (value: unknown): Promise<unknown> => {
      if (!Tensor.isTensor(value)) return value;
      // transformers casts floating tensors only: labels and sizes stay integers.
      const type = isFloating(value.type) ? wanted.dtype : undefined;
      if (type === undefined && wanted.device === undefined) return value;
      return value.to({ device: wanted.device as DeviceOption, dtype: type as DType });
    };
    const entries = Object.entries(this);
    const moved = await Promise.all(entries.map(([, value]) => move(value)));
    entries.forEach(([name], index) => Object.assign(this, { [name]: moved[index] }));
    return this;
  }

  /** Lets go of all Tensors at once instead of at garbage collection. Safe twice. */
  dispose(): void {
    for (const value of Object.values(this)) if (Tensor.isTensor(value)) value.dispose();
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

guardMethods(BatchEncoding);
