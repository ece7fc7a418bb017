/** What a call of the processor takes and returns, and how its arguments are read. */
import type { BatchEncoding, BatchFields } from './batch-encoding';
import type { TensorData } from '../core/dtype';
import { wrongValue } from '../core/errors';
import type { ImagesInput } from '../image/inputs';
import type { Sam3ImageProcessorOptions } from '../image/options';
import { IMAGE_PROCESSOR_OPTIONS } from '../image/options';
import type { NestedNumbers } from '../image/nested-numbers';
import type { Tensor } from '../tensor';
import type { ArrayWithDims, ReturnTensors } from '../core/types';
import { checkOptions, isArrayWithDims, isPlainObject } from '../core/options';

/** A prompt: nested lists, in which Tensors, typed arrays and arrays with dims may stand for lists of their shape. */
export type PromptInput = Tensor | NestedNumbers | readonly PromptInput[];

/** What a call of the processor takes. Coordinates are pixels of the image as it came in, x before y. */
export interface Sam3TrackerProcessorOptions extends Omit<Sam3ImageProcessorOptions, 'return_tensors'> {
  /** One image or a list; without any, `original_sizes` are needed. */
  images?: ImagesInput | null;
  /** An integer map for each image, which becomes `labels`. */
  segmentation_maps?: ImagesInput | null;
  /** (images, objects, points, 2), x and y. Shorter lists are padded. */
  input_points?: PromptInput | null;
  /** (images, objects, points): 1 in the object, 0 not in it, 2 and 3 the corners of a box, -1 none, -10 padding. */
  input_labels?: PromptInput | null;
  /** (images, boxes, 4), x1, y1, x2, y2. Every image needs the same number, unless allow_ragged_boxes. */
  input_boxes?: PromptInput | null;
  /**
   * Whether images may have different numbers of boxes (default false, as in transformers; some may have none). Shorter
   * lists are filled with boxes of point_pad_value. The model does not know these from others: an image's first results
   * are those of its own boxes, in their order, and what follows is to be left alone.
   */
  allow_ragged_boxes?: boolean | null;
  /** [height, width] of each image in pixels: (images, 2). For calls without images; with images it must agree with theirs. */
  original_sizes?: PromptInput | null;
  /** 'pt' (the default) for Tensors, 'np' for typed arrays with dims. */
  return_tensors?: ReturnTensors | null;
}

type Field<O> = O extends { return_tensors: 'np' } ? ArrayWithDims<TensorData> : Tensor;
type GivenNames<O> = {
  [K in keyof O]-?: null extends O[K] ? never : undefined extends O[K] ? never : K;
}[keyof O];
type FieldNames<O> =
  | Extract<GivenNames<O>, 'input_points' | 'input_labels' | 'input_boxes'>
  | ('segmentation_maps' extends GivenNames<O> ? 'labels' : never)
  | ('images' extends GivenNames<O> ? 'pixel_values' : never);

/** What a call returns: the fields that its arguments give are there, the others may be missing. */
export type ProcessorResult<O> = BatchEncoding<Field<O>> &
  Required<Pick<BatchFields<Field<O>>, FieldNames<O> & keyof BatchFields>>;

/** Options without unknown names, which inference from an argument alone would let compile. */
export type Exactly<O> = O & { [K in Exclude<keyof O, keyof Sam3TrackerProcessorOptions>]: never };

/** What `Sam3TrackerProcessor.from_pretrained` takes besides the model: settings that replace those of the files. */
export interface Sam3TrackerProcessorSettings extends Sam3ImageProcessorOptions {
  /** Side of the model's image in pixels. */
  target_size?: number | null;
  /** What missing points and labels are filled with. */
  point_pad_value?: number | null;
}

const OPTION_NAMES: readonly string[] = [
  'images',
  'segmentation_maps',
  'input_points',
  'input_labels',
  'input_boxes',
  'allow_ragged_boxes',
  'original_sizes',
  'return_tensors',
];
const IMAGE_OPTION_NAMES: readonly string[] = IMAGE_PROCESSOR_OPTIONS.filter(
  (name) => name !== 'return_tensors',
);

/** The arguments of a call in one form: null for what was not given. */
export interface CallArguments extends Sam3TrackerProcessorOptions {
  /** Options for the image processor. */
  imageOptions: Record<string, unknown>;
}

/**
 * The arguments of a call: one object, or the images and an object as in transformers.js.
 *
 * @throws TypeError for an unknown option, with the likely spelling, and for images given twice.
 */
export function readArguments(first: unknown, second: unknown): CallArguments {
  const isOptions = second === undefined && isPlainObject(first) && !isArrayWithDims(first);
  const known = [...OPTION_NAMES, ...IMAGE_OPTION_NAMES];
  const options = checkOptions(isOptions ? first : second, known, 'Sam3TrackerProcessor');
  if (!isOptions && options.images !== undefined)
    throw new TypeError('Sam3TrackerProcessor was given images twice: as its argument and as an option.');
  const named = Object.fromEntries(OPTION_NAMES.map((name) => [name, options[name] ?? null]));
  const images = isOptions ? named.images : (first ?? null);
  const imageOptions = Object.entries(options).filter(([name]) => !OPTION_NAMES.includes(name));
  return { ...named, images: images as ImagesInput, imageOptions: Object.fromEntries(imageOptions) };
}

/**
 * Refuses what only means something for images and would be dropped without a word, as in the reference.
 *
 * @throws RangeError that names the option.
 */
export function checkWithoutImages({ segmentation_maps, imageOptions }: CallArguments): void {
  const name = segmentation_maps === null ? Object.keys(imageOptions)[0] : 'segmentation_maps';
  if (name !== undefined)
    throw wrongValue(
      'images beside it',
      name,
      imageOptions[name] ?? segmentation_maps,
      'Without images it has no effect.',
    );
}
