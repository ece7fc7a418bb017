/** One picture and its prompts to masks, through the package's own API. */
import { mask_planes } from '../../masks/masks';
import { type Mask } from '../../masks/types';
import type { Sam3TrackerImageSegmentationOutput } from '../../model/outputs';
import type { Sam3TrackerModel } from '../../model/modeling-sam3-tracker';
import type { Sam3TrackerProcessor } from '../../processor/processing-sam3-tracker';
import type { RawImage } from '../../image/raw-image';
import { Tensor } from '../../tensor';
import type { ObjectPrompt } from '../prompts';

/** What is asked about one picture. */
export interface SegmentRequest {
  image: RawImage;
  /** Empty where only `mask` says what is meant. */
  objects: readonly ObjectPrompt[];
  /** A mask prompt that all objects share, stretched over the picture: white is in the object, black is not. */
  mask: RawImage | null;
  /** Three masks an object instead of the best one. */
  multimask: boolean;
  /** On logits. */
  threshold: number;
  /** Low-resolution pixels; 0 leaves holes alone. */
  maxHoleArea: number;
  /** Low-resolution pixels; 0 leaves specks alone. */
  maxSprinkleArea: number;
}

/** What was found for one object. */
export interface SegmentedObject {
  prompt: ObjectPrompt;
  /** Whether the object is there at all: a logit. */
  objectScore: number;
  /** (height, width) of the picture each, with the model's own estimate of their IoU. */
  masks: { mask: Mask; score: number }[];
}

/** The logits that stand for white and black in a mask prompt: as sure as a model's own masks are. */
const MASK_LOGIT = 10;

/** A mask prompt (1, 1, height, width): grey values from black to white become logits from -10 to 10. */
function maskPrompt(picture: RawImage): Tensor {
  const { data, width, height } = picture.grayscale();
  const logits = Float32Array.from(data, (value) => (value / 255) * 2 * MASK_LOGIT - MASK_LOGIT);
  return new Tensor('float32', logits, [1, 1, height, width]);
}

/**
 * Objects that the model can take in one call: with as many points each, and all with a box or none, so that an
 * object's masks do not depend on padding, and so on which others are asked for.
 */
function groupObjects(objects: readonly ObjectPrompt[]): number[][] {
  const groups = new Map<string, number[]>();
  objects.forEach(({ points, box }, index) => {
    const kind = `${points.length} points, ${box ? 'a' : 'no'} box`;
    groups.set(kind, [...(groups.get(kind) ?? []), index]);
  });
  return [...groups.values()];
}

/** A tensor's numbers by object, (1, objects, n): one list each. */
async function rowsOf(tensor: Tensor): Promise<number[][]> {
  using host = await tensor.cpu();
  return (host.tolist() as number[][][])[0];
}

/**
 * Segments one picture: one run of the vision encoder, and one of the decoder for each kind of prompt.
 *
 * @returns one result for each object, in their order; one in all where there is only a mask prompt.
 * @throws what the model and the processor throw.
 */
export async function segmentImage(
  model: Sam3TrackerModel,
  processor: Sam3TrackerProcessor,
  request: SegmentRequest,
): Promise<SegmentedObject[]> {
  const objects = request.objects.length > 0 ? request.objects : [{ points: [], labels: [], box: null }];
  using pictures = await processor({ images: request.image });
  using input_masks = request.mask && maskPrompt(request.mask);
  const image_embeddings = await model.get_image_embeddings(pictures.pixel_values);
  try {
    const results: SegmentedObject[] = [];
    for (const group of groupObjects(objects)) {
      const prompts = group.map((index) => objects[index]);
      using inputs = await processor({
        original_sizes: [[request.image.height, request.image.width]],
        input_points: prompts[0].points.length > 0 ? [prompts.map(({ points }) => points)] : null,
        input_labels: prompts[0].points.length > 0 ? [prompts.map(({ labels }) => labels)] : null,
        input_boxes: prompts[0].box ? [prompts.map(({ box }) => box as number[])] : null,
      });
      using outputs = await model({
        ...inputs,
        image_embeddings,
        input_masks,
        multimask_output: request.multimask,
      });
      const found = await readOutputs(processor, outputs, inputs.original_sizes, request);
      found.forEach((result, index) => {
        results[group[index]] = { prompt: prompts[index], ...result };
      });
    }
    return results;
  } finally {
    for (const tensor of image_embeddings) tensor.dispose();
  }
}

async function readOutputs(
  processor: Sam3TrackerProcessor,
  outputs: Sam3TrackerImageSegmentationOutput,
  original_sizes: Tensor,
  { threshold, maxHoleArea, maxSprinkleArea }: SegmentRequest,
): Promise<Omit<SegmentedObject, 'prompt'>[]> {
  const [stretched] = await processor.post_process_masks(outputs.pred_masks, original_sizes, {
    mask_threshold: threshold,
    max_hole_area: maxHoleArea,
    max_sprinkle_area: maxSprinkleArea,
  });
  using masks = stretched;
  using host = await masks.cpu();
  const planes = mask_planes(host);
  const scores = await rowsOf(outputs.iou_scores);
  const objectScores = await rowsOf(outputs.object_score_logits);
  return scores.map((row, object) => ({
    objectScore: objectScores[object][0],
    masks: row.map((score, index) => ({ mask: planes[object * row.length + index], score })),
  }));
}
