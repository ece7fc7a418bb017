/** The options of the image processor: their names, types, checks, and what they ask of native code. */
import { wrongType, wrongValue } from '../core/errors';
import { readSize, type SizeDict, type SizeOption } from './sizes';
import type { Device, DeviceOption, ReturnTensors } from '../core/types';
import { checkDevice, checkTensorType } from '../core/device';
import { checkBoolean, checkInteger, checkNumber, checkOneOf, checkOptions } from '../core/options';

/** Resampling filters by number, as Pillow has them. */
export const PILImageResampling = Object.freeze({
  /** The nearest pixel. */
  NEAREST: 0,
  /** Computed as BICUBIC, as in transformers. */
  LANCZOS: 1,
  /** Linear over the pixels that a new one covers: antialiased. */
  BILINEAR: 2,
  /** Cubic, antialiased. */
  BICUBIC: 3,
  /** Refused, as in transformers. */
  BOX: 4,
  /** Refused, as in transformers. */
  HAMMING: 5,
});

/** Where the channels of an array lie: before height and width, or after them. */
export type ChannelDimension = 'channels_first' | 'channels_last';

/**
 * Settings of the image processor, as transformers' Sam3ImageProcessor takes them; null stands for Python's None. All
 * sizes are in pixels. Steps run in the order resize, center crop, rescale and normalise, pad.
 */
export interface Sam3ImageProcessorOptions {
  /** Turn a RawImage into three channels: alpha is dropped, grey repeated. Arrays stay as they are. Default true. */
  do_convert_rgb?: boolean | null;
  /** Bring images to `size`. Default true. */
  do_resize?: boolean | null;
  /** What images are resized to. Default { height: 1008, width: 1008 }: the aspect ratio is not kept. */
  size?: SizeOption | null;
  /** Whether a `size` of one number means a square (true, the default) or the shortest edge (false). */
  default_to_square?: boolean | null;
  /** A filter of PILImageResampling. Default 2, BILINEAR; antialiased like BICUBIC. */
  resample?: number | null;
  /** Cut `crop_size` out of the centre; smaller images are padded with zeros. Default null: no. */
  do_center_crop?: boolean | null;
  /** What `do_center_crop` cuts out. Default null: there is none. */
  crop_size?: SizeOption | null;
  /** Multiply by `rescale_factor`. Default true. */
  do_rescale?: boolean | null;
  /** What pixels are multiplied by. Default 1/255. */
  rescale_factor?: number | null;
  /** Subtract `image_mean`, divide by `image_std`, both in units after rescaling. Default true. */
  do_normalize?: boolean | null;
  /** One number, or one for each channel. Default [0.5, 0.5, 0.5]. */
  image_mean?: number | readonly number[] | null;
  /** One number, or one for each channel; none is 0. Default [0.5, 0.5, 0.5]. */
  image_std?: number | readonly number[] | null;
  /** Pad with zeros at the right and at the bottom, after normalising. Default null: no. */
  do_pad?: boolean | null;
  /** What to pad to. Default null: the largest height and width of the batch. */
  pad_size?: SizeOption | null;
  /** What segmentation maps are resized to. Default { height: 288, width: 288 }. */
  mask_size?: SizeOption | null;
  /** Layout of arrays and Tensors that come in. Default null: found out from where 1 or 3 channels can be. */
  input_data_format?: ChannelDimension | null;
  /** Layout of `pixel_values`. Default null: channels first. */
  data_format?: ChannelDimension | null;
  /** Where to compute and leave the results. Default null: the CPU, or the device of a Tensor that comes in. */
  device?: DeviceOption | null;
  /** Kept for round trips; how images are grouped changes no number. */
  disable_grouping?: boolean | null;
  /** Kept for round trips; the tracker does not use it. */
  image_seq_length?: number | null;
  /** 'pt' for Tensors (the default), 'np' for typed arrays with dims, null for a list of Tensors, one an image. */
  return_tensors?: ReturnTensors | null;
}

/** The names of all settings. */
export const IMAGE_PROCESSOR_OPTIONS: readonly (keyof Sam3ImageProcessorOptions)[] = [
  'do_convert_rgb',
  'do_resize',
  'size',
  'default_to_square',
  'resample',
  'do_center_crop',
  'crop_size',
  'do_rescale',
  'rescale_factor',
  'do_normalize',
  'image_mean',
  'image_std',
  'do_pad',
  'pad_size',
  'mask_size',
  'input_data_format',
  'data_format',
  'device',
  'disable_grouping',
  'image_seq_length',
  'return_tensors',
];

/** Where the checked form of a setting is another type than an option's. */
interface CheckedForms {
  size: SizeDict;
  crop_size: SizeDict;
  image_mean: number | number[];
  image_std: number | number[];
  pad_size: SizeDict;
  mask_size: SizeDict;
  device: Device | 'auto';
}

/** Settings in their checked form: sizes as SizeDict. */
export type ImageProcessorSettings = {
  [K in keyof Sam3ImageProcessorOptions]-?:
    (K extends keyof CheckedForms ? CheckedForms[K] : NonNullable<Sam3ImageProcessorOptions[K]>) | null;
};

function checkResample(value: unknown): number {
  if (typeof value !== 'number') throw wrongType('a number of PILImageResampling', 'resample', value);
  if (!Object.values<number>(PILImageResampling).includes(value))
    throw new RangeError(
      `The resampling should be one of [0, 1, 2, 3, 4, 5] when provided as integer, but got resampling=${value}`,
    );
  return value;
}

function checkChannelValues(value: unknown, name: string): number | number[] {
  if (typeof value === 'number') return checkNumber(value, name);
  if (!Array.isArray(value)) throw wrongType('a number or a list of numbers', name, value);
  if (value.length === 0) throw wrongValue('at least one number', name, value);
  return value.map((item, index) => checkNumber(item, `${name}[${index}]`));
}

function checkDataFormat(value: unknown, name: string): ChannelDimension {
  return checkOneOf<ChannelDimension>(value, ['channels_first', 'channels_last'], name);
}

const CHECKS: { [K in keyof ImageProcessorSettings]: (value: unknown, name: string) => unknown } = {
  do_convert_rgb: checkBoolean,
  do_resize: checkBoolean,
  size: (value) => value,
  default_to_square: checkBoolean,
  resample: checkResample,
  do_center_crop: checkBoolean,
  crop_size: (value, name) => readSize(value, true, name),
  do_rescale: checkBoolean,
  rescale_factor: (value, name) => checkNumber(value, name),
  do_normalize: checkBoolean,
  image_mean: checkChannelValues,
  image_std: checkChannelValues,
  do_pad: checkBoolean,
  pad_size: (value, name) => readSize(value, true, name),
  mask_size: (value, name) => readSize(value, true, name),
  input_data_format: checkDataFormat,
  data_format: checkDataFormat,
  device: checkDevice,
  disable_grouping: checkBoolean,
  image_seq_length: (value, name) => checkInteger(value, name),
  return_tensors: checkTensorType,
};

/**
 * Checks settings, each by itself, and brings sizes into their one form.
 *
 * @param options any of the settings.
 * @param where the function, as errors name it.
 * @returns the settings that were given; undefined ones are left out, null ones stay.
 * @throws TypeError for an unknown name or another type; RangeError for a value out of range.
 */
export function checkSettings(options: unknown, where: string): Partial<ImageProcessorSettings> {
  const given = checkOptions(options, IMAGE_PROCESSOR_OPTIONS, where);
  const checked: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue;
    checked[name] = value === null ? null : CHECKS[name as keyof ImageProcessorSettings](value, name);
  }
  return checked;
}

/**
 * The `size` setting in its one form, which depends on another setting.
 *
 * @throws TypeError and RangeError as readSize.
 */
export function settleSize(size: unknown, default_to_square: boolean | null): SizeDict | null {
  return size === null || size === undefined ? null : readSize(size, default_to_square ?? false, 'size');
}

/**
 * Checks that the settings fit together. Mirrors `validate_preprocess_arguments`, messages included.
 *
 * @throws RangeError for a step without what it needs, and for a std or, when normalising, a rescale factor of 0.
 */
export function checkSteps(settings: ImageProcessorSettings): void {
  const { do_rescale, rescale_factor, do_normalize, image_mean, image_std } = settings;
  if (do_rescale && rescale_factor === null)
    throw new RangeError('`rescale_factor` must be specified if `do_rescale` is `True`.');
  if (do_normalize && (image_mean === null || image_std === null))
    throw new RangeError('`image_mean` and `image_std` must both be specified if `do_normalize` is `True`.');
  if (settings.do_center_crop && settings.crop_size === null)
    throw new RangeError('`crop_size` must be specified if `do_center_crop` is `True`.');
  if (settings.do_resize && (settings.size === null || settings.resample === null))
    throw new RangeError('`size` and `resample` must be specified if `do_resize` is `True`.');
  if (do_normalize && [image_std].flat().includes(0))
    throw new RangeError('std evaluated to zero, leading to division by zero.');
  if (do_normalize && do_rescale && rescale_factor === 0)
    throw wrongValue('a number other than 0', 'rescale_factor', rescale_factor);
}

const RESIZE_MODES = ['nearest-exact', 'bicubic', 'bilinear', 'bicubic'] as const;

/**
 * The interpolation that a filter stands for on tensors.
 *
 * @throws RangeError, with PyTorch's message, for BOX and HAMMING.
 */
export function resizeMode(resample: number): (typeof RESIZE_MODES)[number] {
  const mode = RESIZE_MODES[resample];
  if (mode !== undefined) return mode;
  throw new RangeError(
    'Input Error: Only 3D, 4D and 5D input Tensors supported (got 4D) for the modes: nearest | linear | bilinear | ' +
      `bicubic | trilinear | lanczos | area | nearest-exact (got ${resample === 4 ? 'box' : 'hamming'})`,
  );
}
