/** Arguments of `post_process_masks` in all the forms that transformers' and transformers.js' users write. */
import { types } from 'node:util';
import { dtypeOfArray, isFloating, type FloatingDType, type TensorData } from '../core/dtype';
import { describe, FORGOTTEN_AWAIT, wrongType } from '../core/errors';
import { addon, callNative } from '../native/binding';
import type { NativePostProcessOptions } from '../native/binding';
import { Tensor } from '../tensor';
import type { ArrayWithDims, ImageSize } from '../core/types';
import { readSizes } from './sizes';
import { checkBoolean, checkNumber, checkOptions, isPlainObject } from '../core/options';

/** Options of `post_process_masks`. */
export interface PostProcessMasksOptions {
  /** What counts as foreground: logits above it. Default 0. */
  mask_threshold?: number;
  /** Whether to return booleans instead of logits. Default true. */
  binarize?: boolean;
  /** Fill holes of at most so many low-resolution pixels. Default 0: none. */
  max_hole_area?: number;
  /** Remove sprinkles of at most so many low-resolution pixels. Default 0: none. */
  max_sprinkle_area?: number;
  /** Where objects of one image overlap, keep the one with the highest logit. Default false. */
  apply_non_overlapping_constraints?: boolean;
}

/** (images, objects, masks, height, width) in one Tensor, or (objects, masks, height, width) for each image. */
export type MasksInput = Tensor | readonly (Tensor | ArrayWithDims<TensorData>)[];

/** [height, width] in pixels of each image: lists, or a Tensor or typed array of dims (images, 2). */
export type SizesInput = readonly ImageSize[] | Tensor | ArrayWithDims;

/** The arguments after masks and sizes: see Sam3ImageProcessor.post_process_masks. */
export type PostProcessArguments =
  | [options?: PostProcessMasksOptions]
  | [
      mask_threshold?: number,
      binarize?: boolean,
      max_hole_area?: number,
      max_sprinkle_area?: number,
      apply_non_overlapping_constraints?: boolean,
    ]
  | [reshaped_input_sizes: readonly unknown[] | Tensor | null | undefined, options?: PostProcessMasksOptions];

type Binarize<A extends readonly unknown[]> = A extends readonly [
  unknown,
  infer B extends boolean,
  ...unknown[],
]
  ? B
  : A[number] extends infer O
    ? O extends { binarize: infer B extends boolean }
      ? B
      : never
    : never;

type MaskDTypeOf<B extends boolean> = [B] extends [never] ? 'bool' : B extends false ? FloatingDType : 'bool';

/** What the masks hold after these arguments: bool, or floating numbers with `binarize: false`. */
export type MaskDType<A extends PostProcessArguments> = MaskDTypeOf<Binarize<A>>;

const OPTION_NAMES = [
  'mask_threshold',
  'binarize',
  'max_hole_area',
  'max_sprinkle_area',
  'apply_non_overlapping_constraints',
] as const;

// transformers.js' users pass it by name, too; the sizes of resized images matter only where a ratio is kept.
const IGNORED_NAME = 'reshaped_input_sizes';

/**
 * Checks sizes of images and what follows them.
 *
 * @param original_sizes [height, width] of each image.
 * @param args what follows the sizes in a call of post_process_masks.
 * @param count how many images there are.
 */
export function readPostProcessOptions(
  original_sizes: SizesInput,
  args: readonly unknown[],
  count: number,
): NativePostProcessOptions | Promise<NativePostProcessOptions> {
  const options = readOptions(args);
  const withSizes = (sizes: ImageSize[]): NativePostProcessOptions => {
    if (count !== sizes.length)
      throw new RangeError(
        `Expected one of original_sizes for each of the ${count} images of masks but received ${sizes.length}.`,
      );
    return { original_sizes: sizes, ...options };
  };
  const sizes = readSizes(original_sizes, true);
  return types.isPromise(sizes) ? sizes.then(withSizes) : withSizes(sizes);
}

function readOptions(args: readonly unknown[]): Required<PostProcessMasksOptions> {
  const [first, ...rest] = args;
  // What our own processor does not return, transformers.js' programs pass on as undefined.
  const isOldForm =
    Array.isArray(first) || first instanceof Tensor || ((first ?? null) === null && isPlainObject(rest[0]));
  const named = isOldForm ? rest : args;
  let given: Record<string, unknown>;
  if (isPlainObject(named[0]) || isOldForm) {
    given = checkOptions(named[0], [...OPTION_NAMES, IGNORED_NAME], 'post_process_masks');
    if (named.length > 1) throw wrongType('no argument', 'the argument after the options', named[1]);
  } else {
    if (args.length > OPTION_NAMES.length)
      throw wrongType('no argument', `argument ${OPTION_NAMES.length + 3}`, args[OPTION_NAMES.length]);
    given = Object.fromEntries(OPTION_NAMES.map((name, index) => [name, args[index]]));
  }
  const area = { min: 0 };
  return {
    mask_threshold: checkNumber(given.mask_threshold ?? 0, 'mask_threshold'),
    binarize: checkBoolean(given.binarize ?? true, 'binarize'),
    max_hole_area: checkNumber(given.max_hole_area ?? 0, 'max_hole_area', area),
    max_sprinkle_area: checkNumber(given.max_sprinkle_area ?? 0, 'max_sprinkle_area', area),
    apply_non_overlapping_constraints: checkBoolean(
      given.apply_non_overlapping_constraints ?? false,
      'apply_non_overlapping_constraints',
    ),
  };
}

/** The masks of one image as a Tensor, and whether it was made here. */
function readMask(mask: unknown, index: number): { tensor: Tensor; isOwn: boolean } {
  let tensor: Tensor;
  if (Tensor.isTensor(mask)) tensor = mask;
  else {
    const { data, dims } = (isPlainObject(mask) ? mask : {}) as Partial<ArrayWithDims<TensorData>>;
    const type = dtypeOfArray(data);
    if (data === undefined || dims === undefined || type === null || !isFloating(type))
      throw new TypeError('Input masks should be a list of `torch.tensors` or a list of `np.ndarray`');
    tensor = new Tensor(type, data, dims);
  }
  if (!isFloating(tensor.type))
    throw new TypeError(`Expected logits for masks[${index}] but received a Tensor of type ${tensor.type}.`);
  if (tensor.dims.length !== 4)
    throw new RangeError(
      `Expected dims (objects, masks, height, width) for masks[${index}] but received ${describe(tensor.dims)}.`,
    );
  if (tensor.dims[2] === 0 || tensor.dims[3] === 0)
    throw new RangeError(
      `Expected masks with pixels for masks[${index}] but received ${describe(tensor.dims)}.`,
    );
  return { tensor, isOwn: tensor !== mask };
}

/**
 * Checks the arguments and runs the job; see Sam3ImageProcessor.post_process_masks.
 *
 * @param masks logits.
 * @param original_sizes [height, width] of each image.
 * @param args what follows them.
 */
export async function postProcessMasks(
  masks: MasksInput,
  original_sizes: SizesInput,
  args: readonly unknown[],
): Promise<Tensor[]> {
  const isBatch = masks instanceof Tensor;
  if (!isBatch && !Array.isArray(masks))
    throw wrongType(
      'a Tensor or a list of Tensors',
      'masks',
      masks,
      masks === undefined ? FORGOTTEN_AWAIT : undefined,
    );
  const count = isBatch ? (masks.dims[0] ?? 0) : masks.length;
  const read = readPostProcessOptions(original_sizes, args, count);
  // Not awaited where it need not be: until the first wait nobody can dispose of the masks.
  const options = types.isPromise(read) ? await read : read;
  const own: Tensor[] = [];
  try {
    const handles = options.original_sizes.map((_, index) => {
      const mask: unknown = isBatch ? masks.slice(index) : (masks as readonly unknown[])[index];
      const { tensor, isOwn } = readMask(mask, index);
      if (isOwn || isBatch) own.push(tensor);
      return tensor.handle;
    });
    const results = await callNative(() => addon().postProcessMasks({ masks: handles, ...options }));
    return results.map((handle) => new Tensor(handle));
  } finally {
    for (const tensor of own) tensor.dispose();
  }
}
