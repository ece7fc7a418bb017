/** The cases of the benchmark: what is called, with which arrays. A new case is an entry in `makeCases`. */
import path from 'node:path';
import { Sam3TrackerConfig } from '../lib/config/sam3-tracker';
import { randomNumbers } from '../test/support/random';
import { photoArray, randomArray, writeArray, type ArrayFile } from './arrays';
import { ROOT } from './peer';

/** One call that every side's worker knows, on arrays that every side reads from the same files. */
export interface Case {
  name: string;
  call: 'preprocess' | 'encode' | 'click' | 'predict_masks' | 'post_process';
  /** Another call of ours that must give the same, bit for bit. */
  sameAs?: 'click';
  /** ArrayFiles, lists of them, or plain values. */
  args: Record<string, unknown>;
  /** Counted runs on each side. */
  runs: number;
  /** Whether a first run on each side is left out. */
  warmUp: boolean;
  /** Whether ONNX Runtime can do it: it has the model, and no processor. */
  onnxruntime: boolean;
}

/** What every case of a click shares: its first run on each side is left out, and ONNX Runtime can do it. */
const CLICK = { call: 'click', warmUp: true, onnxruntime: true } as const satisfies Partial<Case>;

/** How often to run. */
export interface Repetitions {
  /** Of the encoder. */
  encode: number;
  /** Whether an encode that does not count comes before. */
  warmUpEncode: boolean;
  /** Of everything else, after a run that does not count. */
  other: number;
}

/** [height, width] in pixels of the image. */
export const IMAGE_SIZE: [number, number] = [1200, 1800];

/** [height, width] of the images that a click's mask is made for: 2, 8 and 50 megapixels. */
const MASK_SIZES: [number, number][] = [IMAGE_SIZE, [2304, 3456], [6144, 8192]];

const SEEDS = { pixels: 11, embeddings: 12, masks: 20, prompts: 30 };

/** [height, width] in pixels of the model's image. */
async function imageSize(directory: string): Promise<[number, number]> {
  const { image_size } = (await Sam3TrackerConfig.from_pretrained(directory)).prompt_encoder_config;
  return Array.isArray(image_size) ? (image_size as [number, number]) : [image_size, image_size];
}

/** (1, 3, height, width), as an image preprocessed. */
export async function makePixels(directory: string, scratch: string): Promise<ArrayFile> {
  const [height, width] = await imageSize(directory);
  return randomArray(scratch, 'pixel_values', [1, 3, height, width], SEEDS.pixels);
}

/** Image embeddings of one image, as the encoder gives them. */
function makeEmbeddings(config: Sam3TrackerConfig, scratch: string): Promise<ArrayFile[]> {
  const { hidden_size } = config.mask_decoder_config;
  const sizes = config.vision_config.backbone_feature_sizes;
  return Promise.all(
    [hidden_size / 8, hidden_size / 4, hidden_size].map((count, level) => {
      const dims = [1, count, ...sizes[level]];
      return randomArray(scratch, `image_embeddings.${level}`, dims, SEEDS.embeddings + level);
    }),
  );
}

/** `count` objects with a point in each; the first lies in the middle. */
async function makePoints(
  [height, width]: readonly [number, number],
  scratch: string,
  count: number,
): Promise<Record<'input_points' | 'input_labels', ArrayFile>> {
  const next = randomNumbers(SEEDS.prompts);
  const points = Float32Array.from({ length: 2 * count }, (_, index) =>
    index < 2 ? [width, height][index] / 2 : [width, height][index % 2] * next(),
  );
  const labels = new BigInt64Array(count).fill(1n);
  return {
    input_points: await writeArray(scratch, `input_points.${count}`, 'float32', points, [1, count, 1, 2]),
    input_labels: await writeArray(scratch, `input_labels.${count}`, 'int64', labels, [1, count, 1]),
  };
}

/** `count` objects with a box around each, xyxy. */
async function makeBoxes(
  [height, width]: readonly [number, number],
  scratch: string,
  count: number,
): Promise<Record<'input_boxes', ArrayFile>> {
  const next = randomNumbers(SEEDS.prompts);
  // The first corner lies in the upper left quarter of the image, the second in the lower right one.
  const boxes = Float32Array.from(
    { length: 4 * count },
    (_, index) => ([width, height][index % 2] / 2) * (next() + (index % 4 < 2 ? 0 : 1)),
  );
  return { input_boxes: await writeArray(scratch, `input_boxes.${count}`, 'float32', boxes, [1, count, 4]) };
}

/** The arguments of one click in the middle of given image embeddings. */
export async function makeClick(directory: string, scratch: string): Promise<Record<string, unknown>> {
  const config = await Sam3TrackerConfig.from_pretrained(directory);
  return {
    image_embeddings: await makeEmbeddings(config, scratch),
    ...(await makePoints(await imageSize(directory), scratch, 1)),
  };
}

/** An image, and the logits of three masks of it. */
export async function makeImage(
  directory: string,
  scratch: string,
): Promise<{ image: ArrayFile; pred_masks: ArrayFile }> {
  const config = await Sam3TrackerConfig.from_pretrained(directory);
  const [height, width] = config.vision_config.backbone_feature_sizes[0];
  const photo = path.join(ROOT, 'examples', 'images', 'coffee.png');
  return {
    image: await photoArray(scratch, 'image', photo, IMAGE_SIZE),
    pred_masks: await randomArray(scratch, 'pred_masks', [1, 1, 3, height, width], SEEDS.masks, [-10, 10]),
  };
}

/** Prompts of one object by their names in a case. */
type Prompts = Record<string, Record<string, unknown>>;

/** Cases from one object's prompts to a mask in each of MASK_SIZES, in two jobs; for a point in one job, too. */
function makeMaskCases(image_embeddings: ArrayFile[], prompts: Prompts, runs: number): Case[] {
  return MASK_SIZES.flatMap(([height, width]) => {
    const megapixels = Math.round((height * width) / 1e6);
    const cases = Object.entries(prompts).map(([name, given]): Case => ({
      ...CLICK,
      name: `${name} to a mask of ${megapixels} megapixels`,
      args: { image_embeddings, ...given, multimask_output: false, original_sizes: [[height, width]] },
      runs,
      onnxruntime: false,
    }));
    const [first] = cases;
    return [...cases, { ...first, name: `${first.name} in one job`, call: 'predict_masks', sameAs: 'click' }];
  });
}

/** The cases that both model sizes share, in the order in which a program comes to them. */
export async function makeCases(
  directory: string,
  scratch: string,
  { encode, warmUpEncode, other }: Repetitions,
): Promise<Case[]> {
  const config = await Sam3TrackerConfig.from_pretrained(directory);
  const [size, pixel_values] = [await imageSize(directory), await makePixels(directory, scratch)];
  const image_embeddings = await makeEmbeddings(config, scratch);
  const { image, pred_masks } = await makeImage(directory, scratch);
  const point = await makePoints(size, scratch, 1);
  const mask_dims = [1, 1, ...config.vision_config.backbone_feature_sizes[0]];
  const mask = await randomArray(scratch, 'input_masks', mask_dims, SEEDS.masks + 1, [-10, 10]);
  const click = (name: string, prompts: Record<string, unknown>, runs = other): Case => ({
    ...CLICK,
    name,
    args: { image_embeddings, ...prompts },
    runs,
  });
  const single: Prompts = {
    'one point': point,
    'one box': await makeBoxes(size, scratch, 1),
    'one point and a mask prompt': { ...point, input_masks: mask },
  };
  const repeated = { runs: other, warmUp: true, onnxruntime: false };
  return [
    {
      name: `preprocess ${IMAGE_SIZE[1]}x${IMAGE_SIZE[0]}`,
      call: 'preprocess',
      args: { image },
      ...repeated,
    },
    {
      name: 'encode one image',
      call: 'encode',
      args: { pixel_values },
      runs: encode,
      warmUp: warmUpEncode,
      onnxruntime: true,
    },
    ...Object.entries(single).map(([name, prompts]) => click(`${name} to logits`, prompts)),
    // What depends on the image alone is done in its first click.
    click('one point on a new image to logits', {
      image_embeddings: image_embeddings.map((array) => ({ ...array, fresh: true })),
      ...point,
    }),
    click('8 boxes to logits', await makeBoxes(size, scratch, 8), Math.ceil(other / 2)),
    click('16 points to logits', await makePoints(size, scratch, 16), Math.ceil(other / 3)),
    click('64 points to logits', await makePoints(size, scratch, 64), Math.ceil(other / 7)),
    ...makeMaskCases(image_embeddings, single, other),
    {
      name: `post-process 3 masks to ${IMAGE_SIZE[1]}x${IMAGE_SIZE[0]}`,
      call: 'post_process',
      args: { pred_masks, original_sizes: [IMAGE_SIZE] },
      ...repeated,
    },
  ];
}
