/** The checks of `Sam3TrackerModel.forward`: the reference's own, verbatim, and named ones where it would crash. */
import { types } from 'node:util';
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import { dtypesOf } from '../core/dtype';
import type { ModelDType } from '../core/dtype';
import { FORGOTTEN_AWAIT, wrongType, wrongValue } from '../core/errors';
import { Tensor } from '../tensor';
import { checkOptions, isPlainObject } from '../core/options';

/** Levels of image embeddings by name, finest first: transformers.js' form, which can be spread into `forward`'s inputs. */
export type NamedImageEmbeddings = Record<
  'image_embeddings.0' | 'image_embeddings.1' | 'image_embeddings.2',
  Tensor
>;

/** What `Sam3TrackerModel.forward` takes. Coordinates are pixels of the model's square input, not of the image. */
export interface Sam3TrackerModelInputs {
  /** Preprocessed images: (images, channels, height, width). Exactly one of this and image_embeddings. */
  pixel_values?: Tensor | null | undefined;
  /** Points: (images, objects, points, 2), x and y. */
  input_points?: Tensor | null | undefined;
  /** Labels of the points: (images, objects, points); 1 inside, 0 outside, -1 background, -10 padding. Default ones. */
  input_labels?: Tensor | null | undefined;
  /** Boxes: (images, objects, 4), xyxy. */
  input_boxes?: Tensor | null | undefined;
  /**
   * Masks as logits, any size: (images, 1, height, width) or (images, height, width), shared by an image's objects; or
   * (images, objects, height, width), one an object.
   */
  input_masks?: Tensor | null | undefined;
  /** What `get_image_embeddings` or an earlier call returned. Exactly one of this and pixel_values. */
  image_embeddings?: readonly Tensor[] | NamedImageEmbeddings | null | undefined;
  /** The finest of the levels, one by one as transformers.js has them: all three instead of image_embeddings. */
  'image_embeddings.0'?: Tensor | null | undefined;
  /** The second level. */
  'image_embeddings.1'?: Tensor | null | undefined;
  /** The coarsest level. */
  'image_embeddings.2'?: Tensor | null | undefined;
  /** Several masks an object (default true), or the one that fits best. */
  multimask_output?: boolean | undefined;
  /** Added to the scores of the tokens' attention to the image (PerSAM). */
  attention_similarity?: Tensor | null | undefined;
  /** Added to the tokens before every layer (PerSAM). */
  target_embedding?: Tensor | null | undefined;
  /** Also return the vision encoder's hidden states (default: the configuration's, false). */
  output_hidden_states?: boolean | undefined;
  /** Also return attentions (default: the configuration's, false). */
  output_attentions?: boolean | undefined;
}

/** The prompts of `get_prompt_embeddings`. */
export type Sam3TrackerPrompts = Pick<
  Sam3TrackerModelInputs,
  'input_points' | 'input_labels' | 'input_boxes' | 'input_masks'
>;

const FLOATING = dtypesOf('floating');
const INTEGERS = dtypesOf('integer');

/** The arguments of `forward`, their names checked. */
export interface ForwardInputs extends Sam3TrackerModelInputs {
  return_dict?: unknown;
  /** Unchecked: `forward` leaves it alone. */
  original_sizes?: unknown;
}

const FORWARD_INPUTS = [
  'pixel_values',
  'input_points',
  'input_labels',
  'input_boxes',
  'input_masks',
  'image_embeddings',
  'multimask_output',
  'attention_similarity',
  'target_embedding',
  'output_hidden_states',
  'output_attentions',
  'return_dict',
];
/** What the processor returns besides the model's inputs. */
const IGNORED_INPUTS = ['original_sizes', 'reshaped_input_sizes', 'labels'];
const LEVEL = /^image_embeddings\.(?:0|[1-9]\d*)$/;

/** The levels that are given by name, in their order. @throws RangeError where one is missing. */
function namedLevels(named: Record<string, unknown>): unknown[] {
  return Object.keys(named).map((_, index) => {
    const name = `image_embeddings.${index}`;
    if (!(name in named)) throw wrongValue('every level from image_embeddings.0 on', name, undefined);
    return named[name];
  });
}

/** Embeddings level by level: the list of what get_image_embeddings gives by name; anything else as it is. */
export function levelsOf(embeddings: unknown): unknown {
  const isNamed = isPlainObject(embeddings) && Object.keys(embeddings).every((name) => LEVEL.test(name));
  return isNamed ? namedLevels(embeddings) : embeddings;
}

/**
 * The arguments of `forward` with their names checked; `image_embeddings` is a list, however it was given.
 *
 * @throws TypeError for an unknown name, and for embeddings that are given twice; RangeError for a missing level, and
 *   with the reference's message unless there are either pixel values or embeddings.
 */
export function readForwardInputs(inputs: unknown): ForwardInputs {
  const entries: [string, unknown][] = Object.entries(checkOptionsObject(inputs));
  const named = Object.fromEntries(
    entries.filter(([name, value]) => LEVEL.test(name) && value !== undefined && value !== null),
  );
  const given = checkOptions(
    Object.fromEntries(entries.filter(([name]) => !LEVEL.test(name))),
    [...FORWARD_INPUTS, ...IGNORED_INPUTS],
    'Sam3TrackerModel.forward',
  );
  let image_embeddings: unknown = given.image_embeddings ?? null;
  if (Object.keys(named).length > 0) {
    if (image_embeddings !== null)
      throw new TypeError('The image embeddings are given twice: as image_embeddings and level by level.');
    image_embeddings = namedLevels(named);
  } else image_embeddings = levelsOf(image_embeddings);
  const pixel_values = given.pixel_values ?? null;
  if ((pixel_values === null) === (image_embeddings === null)) {
    const message = 'Exactly one of pixel_values or image_embeddings must be provided.';
    const hasTensors = entries.some(([, value]) => typeof value === 'object' && value !== null);
    throw new RangeError(hasTensors ? message : `${message} ${FORGOTTEN_AWAIT}`);
  }
  return { ...given, pixel_values, image_embeddings } as ForwardInputs;
}

/** What the processor returned, or an object of its own: spread, so that an instance will do. */
function checkOptionsObject(inputs: unknown): object {
  if (
    typeof inputs !== 'object' ||
    inputs === null ||
    [Array.isArray, Tensor.isTensor, types.isPromise].some((is) => is(inputs))
  )
    throw wrongType('an object of inputs', 'Sam3TrackerModel.forward', inputs, 'As model({ pixel_values }).');
  return inputs;
}

/** A Tensor, or null for null and undefined. @throws TypeError for anything else. */
export function optionalTensor(value: unknown, name: string): Tensor | null {
  if (value === null || value === undefined) return null;
  if (!Tensor.isTensor(value))
    throw wrongType(
      'a Tensor',
      name,
      value,
      'new Tensor(type, data, dims) makes one; the processor gives them.',
    );
  return value;
}

function wrongDims(what: string, name: string, tensor: Tensor): RangeError {
  return new RangeError(
    `Expected ${what} for ${name} but received a Tensor of dims [${tensor.dims.join(', ')}].`,
  );
}

function checkDims(tensor: Tensor, name: string, form: string, dims: readonly (number | null)[]): void {
  const fits =
    tensor.dims.length === dims.length &&
    dims.every((wanted, axis) => (wanted === null ? tensor.dims[axis] > 0 : tensor.dims[axis] === wanted));
  if (!fits) throw wrongDims(`dims ${form}`, name, tensor);
}

function checkKind(tensor: Tensor, name: string, kinds: readonly string[]): void {
  if (!kinds.includes(tensor.type))
    throw wrongType(`a Tensor of type ${kinds.join(', ')}`, name, tensor.type);
}

/** The pixel values, checked. @throws RangeError for another size than the model's input; TypeError for integers. */
export function checkPixelValues(value: unknown, config: Sam3TrackerConfig): Tensor {
  const pixels = optionalTensor(value, 'pixel_values');
  if (!pixels) throw new RangeError('You have to specify pixel_values');
  const { image_size, num_channels } = config.vision_config.backbone_config;
  const [height, width] = typeof image_size === 'number' ? [image_size, image_size] : image_size;
  checkKind(pixels, 'pixel_values', FLOATING);
  checkDims(pixels, 'pixel_values', `[images, ${num_channels}, ${height}, ${width}]`, [
    null,
    num_channels,
    height,
    width,
  ]);
  return pixels;
}

/** The levels, checked. @throws RangeError for another model's or uneven numbers of images; TypeError for another kind. */
export function checkImageEmbeddings(
  value: unknown,
  config: Sam3TrackerConfig,
  dtype: string,
): Tensor<ModelDType>[] {
  if (!Array.isArray(value)) throw wrongType('a list of Tensors', 'image_embeddings', value);
  const sizes = config.vision_config.backbone_feature_sizes;
  const hidden = config.mask_decoder_config.hidden_size;
  // The decoder's projections have been applied to the two finer levels.
  const channels = [Math.floor(hidden / 8), Math.floor(hidden / 4), ...sizes.slice(2).map(() => hidden)];
  if (value.length !== sizes.length)
    throw new RangeError(
      `Expected ${sizes.length} levels for image_embeddings but received ${value.length}.`,
    );
  return value.map((item, level) => {
    const name = `image_embeddings[${level}]`;
    const tensor = optionalTensor(item, name);
    if (!tensor) throw wrongType('a Tensor', name, item);
    const [height, width] = sizes[level];
    const images = level === 0 ? null : (value[0] as Tensor).dims[0];
    checkDims(
      tensor,
      name,
      `[${images ?? 'images'}, ${channels[level]}, ${height}, ${width}] of this model`,
      [images, channels[level], height, width],
    );
    if (tensor.type !== dtype)
      throw wrongValue(
        `a Tensor of this model's dtype ${dtype}`,
        name,
        tensor.type,
        'Convert it with tensor.to(dtype).',
      );
    return tensor as Tensor<ModelDType>;
  });
}

/** Prompts with their shapes checked; masks are (images, 1 or objects, height, width). */
export interface PromptTensors {
  points: Tensor | null;
  labels: Tensor | null;
  boxes: Tensor | null;
  masks: Tensor | null;
}

function checkMasks(given: Tensor, objects: number | null): Tensor {
  checkKind(given, 'input_masks', FLOATING);
  // The reference's page says (images, height, width); its code wants the axis of one channel.
  const masks = given.dims.length === 3 ? given.unsqueeze(1) : given;
  const form =
    objects === null ? '[images, objects, height, width]' : `[images, 1 or ${objects}, height, width]`;
  checkDims(masks, 'input_masks', form, [null, null, null, null]);
  if (objects !== null && masks.dims[1] !== 1 && masks.dims[1] !== objects)
    throw wrongDims(
      `one mask for all objects of an image or one for each, dims ${form},`,
      'input_masks',
      masks,
    );
  return masks;
}

/**
 * The prompts with their shapes checked.
 *
 * @param inputs the prompts as the caller passed them.
 * @param images how many images there are, or null where only the prompts are known.
 * @throws RangeError (the reference's ValueErrors among them) and TypeError.
 */
export function checkPromptTensors(inputs: Sam3TrackerPrompts, images: number | null): PromptTensors {
  const points = optionalTensor(inputs.input_points, 'input_points');
  const labels = optionalTensor(inputs.input_labels, 'input_labels');
  const boxes = optionalTensor(inputs.input_boxes, 'input_boxes');
  let masks = optionalTensor(inputs.input_masks, 'input_masks');
  if (points) {
    checkKind(points, 'input_points', [...FLOATING, ...INTEGERS]);
    checkDims(points, 'input_points', '[images, objects, points, 2]', [null, null, null, 2]);
  }
  if (labels) {
    checkKind(labels, 'input_labels', INTEGERS);
    if (!points) throw wrongValue('input_points beside it', 'input_labels', labels);
    const wanted = points.dims.slice(0, 3);
    checkDims(labels, 'input_labels', `[${wanted.join(', ')}] like input_points`, wanted);
  }
  if (boxes) {
    checkKind(boxes, 'input_boxes', [...FLOATING, ...INTEGERS]);
    checkDims(boxes, 'input_boxes', '[images, objects, 4]', [null, null, 4]);
  }
  if (points && boxes && points.dims[1] !== boxes.dims[1])
    throw new RangeError(
      `You should provide as many bounding boxes as input points per box. Got ${points.dims[1]} and ${boxes.dims[1]}.`,
    );
  if (masks) {
    masks = checkMasks(masks, (points ?? boxes)?.dims[1] ?? null);
    if (images === null && (masks.dims[2] < 4 || masks.dims[3] < 4))
      throw wrongValue('masks of at least 4x4, which are not resized here,', 'input_masks', masks.dims);
  }
  const counts = Object.entries({ input_points: points, input_boxes: boxes, input_masks: masks });
  let expected = images;
  for (const [name, tensor] of counts) {
    if (!tensor) continue;
    expected ??= tensor.dims[0];
    if (tensor.dims[0] !== expected)
      throw wrongValue(`prompts for ${expected} images`, name, `prompts for ${tensor.dims[0]}`);
  }
  return { points, labels, boxes, masks };
}

/**
 * `attention_similarity` or `target_embedding`, whose last axis has a known length and whose others are broadcast.
 *
 * @throws TypeError for anything but a Tensor of floating numbers; RangeError for another last axis.
 */
export function checkGuidance(value: unknown, name: string, last: number, axes: string): Tensor | null {
  const tensor = optionalTensor(value, name);
  if (!tensor) return null;
  checkKind(tensor, name, FLOATING);
  if (
    tensor.dims.length === 0 ||
    tensor.dims.length > 4 ||
    ![1, last].includes(tensor.dims[tensor.dims.length - 1])
  )
    throw wrongDims(`dims ${axes}`, name, tensor);
  return tensor;
}
