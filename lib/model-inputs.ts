/** The checks of `Sam3TrackerModel.forward`: the reference's own, verbatim, and named ones where it would crash. */
import type { Sam3TrackerConfig } from './configuration-sam3-tracker';
import { wrongType, wrongValue } from './errors';
import { Tensor } from './tensor';
import { checkBoolean } from './validate';

/** What `Sam3TrackerModel.forward` takes. Coordinates are pixels of the model's square input, not of the picture. */
export interface Sam3TrackerModelInputs {
  /** Preprocessed images: (images, channels, height, width). Exactly one of this and image_embeddings. */
  pixel_values?: Tensor | null;
  /** Points: (images, objects, points, 2), x and y. */
  input_points?: Tensor | null;
  /** Labels of the points: (images, objects, points); 1 inside, 0 outside, -1 background, -10 padding. Default ones. */
  input_labels?: Tensor | null;
  /** Boxes: (images, objects, 4), xyxy. */
  input_boxes?: Tensor | null;
  /** A mask an image as logits, shared by its objects: (images, 1, height, width), any size. */
  input_masks?: Tensor | null;
  /** What `get_image_embeddings` or an earlier call returned. Exactly one of this and pixel_values. */
  image_embeddings?: readonly Tensor[] | null;
  /** Several masks an object (default true), or the one that fits best. */
  multimask_output?: boolean;
  /** Added to the scores of the tokens' attention to the image (PerSAM). */
  attention_similarity?: Tensor | null;
  /** Added to the tokens before every layer (PerSAM). */
  target_embedding?: Tensor | null;
  /** Also return the vision encoder's hidden states (default: the configuration's, false). */
  output_hidden_states?: boolean;
  /** Also return attentions (default: the configuration's, false). */
  output_attentions?: boolean;
}

/** The prompts of `get_prompt_embeddings`. */
export type Sam3TrackerPrompts = Pick<
  Sam3TrackerModelInputs,
  'input_points' | 'input_labels' | 'input_boxes' | 'input_masks'
>;

const FLOATING = ['float32', 'float16', 'bfloat16', 'float64'];
const WHOLE = ['int64', 'int32', 'int16', 'int8', 'uint8'];

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

/** The pixel values, checked. @throws RangeError for another size than the model's input; TypeError for whole numbers. */
export function checkPixelValues(value: unknown, config: Sam3TrackerConfig): Tensor {
  const pixels = optionalTensor(value, 'pixel_values');
  if (!pixels) throw wrongType('a Tensor', 'pixel_values', value);
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
export function checkImageEmbeddings(value: unknown, config: Sam3TrackerConfig, dtype: string): Tensor[] {
  if (!Array.isArray(value)) throw wrongType('a list of Tensors', 'image_embeddings', value);
  const sizes = config.vision_config.backbone_feature_sizes;
  const hidden = config.mask_decoder_config.hidden_size;
  // The decoder's projections have been applied to the two finer levels.
  const channels = [Math.floor(hidden / 8), Math.floor(hidden / 4), ...sizes.slice(2).map(() => hidden)];
  if (value.length !== sizes.length)
    throw wrongValue(`${sizes.length} levels`, 'image_embeddings', `${value.length} levels`);
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
    return tensor;
  });
}

/**
 * The prompts with their shapes checked.
 *
 * @param inputs the prompts as the caller passed them.
 * @param images how many images there are, or null where only the prompts are known.
 * @throws RangeError (the reference's ValueErrors among them) and TypeError.
 */
export function checkPrompts(
  inputs: Sam3TrackerPrompts,
  images: number | null,
): { points: Tensor | null; labels: Tensor | null; boxes: Tensor | null; masks: Tensor | null } {
  const points = optionalTensor(inputs.input_points, 'input_points');
  const labels = optionalTensor(inputs.input_labels, 'input_labels');
  const boxes = optionalTensor(inputs.input_boxes, 'input_boxes');
  let masks = optionalTensor(inputs.input_masks, 'input_masks');
  if (points) {
    checkKind(points, 'input_points', FLOATING);
    checkDims(points, 'input_points', '[images, objects, points, 2]', [null, null, null, 2]);
  }
  if (labels) {
    checkKind(labels, 'input_labels', WHOLE);
    if (!points) throw wrongValue('input_points beside it', 'input_labels', labels);
    const wanted = points.dims.slice(0, 3);
    checkDims(labels, 'input_labels', `[${wanted.join(', ')}] like input_points`, wanted);
  }
  if (boxes) {
    checkKind(boxes, 'input_boxes', FLOATING);
    checkDims(boxes, 'input_boxes', '[images, objects, 4]', [null, null, 4]);
  }
  if (points && boxes && points.dims[1] !== boxes.dims[1])
    throw new RangeError(
      `You should provide as many bounding boxes as input points per box. Got ${points.dims[1]} and ${boxes.dims[1]}.`,
    );
  if (masks) {
    checkKind(masks, 'input_masks', FLOATING);
    // The reference's page says (images, height, width); its code wants the axis of one channel.
    if (masks.dims.length === 3) masks = masks.unsqueeze(1);
    checkDims(masks, 'input_masks', '[images, 1, height, width]', [null, 1, null, null]);
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

/** A boolean option with its default. @throws TypeError for anything else. */
export function optionalBoolean(value: unknown, name: string, byDefault: boolean): boolean {
  return value === undefined || value === null ? byDefault : checkBoolean(value, name);
}
