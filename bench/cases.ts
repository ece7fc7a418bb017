/** The cases of the benchmark: what is called, with which arrays. A new case is an entry in `makeCases`. */
import path from 'node:path';
import { Sam3TrackerConfig } from '../lib/configuration-sam3-tracker';
import { photoArray, randomArray, writeArray, type ArrayFile } from './arrays';
import { ROOT } from './peer';

/** One call that every side's worker knows, on arrays that every side reads from the same files. */
export interface Case {
  name: string;
  call: 'preprocess' | 'encode' | 'click' | 'post_process';
  /** ArrayFiles, lists of them, or plain values. */
  args: Record<string, unknown>;
  /** Counted runs on each side. */
  runs: number;
  /** Whether a first run on each side is left out. */
  warmUp: boolean;
}

/** How often to run. */
export interface Repetitions {
  /** Of the encoder. */
  encode: number;
  /** Whether an encode that does not count comes before. */
  warmUpEncode: boolean;
  /** Of everything else, after a run that does not count. */
  other: number;
}

/** [height, width] in pixels of the picture. */
export const PICTURE_SIZE: [number, number] = [1200, 1800];

const SEEDS = { pixels: 11, embeddings: 12, masks: 20 };

/** [height, width] in pixels of the model's image. */
async function imageSize(directory: string): Promise<[number, number]> {
  const { image_size } = (await Sam3TrackerConfig.from_pretrained(directory)).prompt_encoder_config;
  return Array.isArray(image_size) ? (image_size as [number, number]) : [image_size, image_size];
}

/** (1, 3, height, width), as a picture preprocessed. */
export async function makePixels(directory: string, scratch: string): Promise<ArrayFile> {
  const [height, width] = await imageSize(directory);
  return randomArray(scratch, 'pixel_values', [1, 3, height, width], SEEDS.pixels);
}

/** The arguments of one click in the middle of given image embeddings. */
export async function makeClick(directory: string, scratch: string): Promise<Record<string, unknown>> {
  const config = await Sam3TrackerConfig.from_pretrained(directory);
  const { hidden_size } = config.mask_decoder_config;
  const sizes = config.vision_config.backbone_feature_sizes;
  const channels = [hidden_size / 8, hidden_size / 4, hidden_size];
  const [height, width] = await imageSize(directory);
  const image_embeddings = await Promise.all(
    channels.map((count, level) =>
      randomArray(
        scratch,
        `image_embeddings.${level}`,
        [1, count, ...sizes[level]],
        SEEDS.embeddings + level,
      ),
    ),
  );
  return {
    image_embeddings,
    input_points: await writeArray(
      scratch,
      'input_points',
      'float32',
      Float32Array.of(width / 2, height / 2),
      [1, 1, 1, 2],
    ),
    input_labels: await writeArray(scratch, 'input_labels', 'int64', BigInt64Array.of(1n), [1, 1, 1]),
  };
}

/** A picture, and the logits of three masks of it. */
export async function makePicture(
  directory: string,
  scratch: string,
): Promise<{ picture: ArrayFile; pred_masks: ArrayFile }> {
  const config = await Sam3TrackerConfig.from_pretrained(directory);
  const [height, width] = config.vision_config.backbone_feature_sizes[0];
  const photo = path.join(ROOT, 'examples', 'images', 'coffee.png');
  return {
    picture: await photoArray(scratch, 'picture', photo, PICTURE_SIZE),
    pred_masks: await randomArray(scratch, 'pred_masks', [1, 1, 3, height, width], SEEDS.masks, [-10, 10]),
  };
}

/** The cases that both model sizes share, the encoder first. */
export async function makeCases(
  directory: string,
  scratch: string,
  { encode, warmUpEncode, other }: Repetitions,
): Promise<Case[]> {
  const pixel_values = await makePixels(directory, scratch);
  const click = await makeClick(directory, scratch);
  const { picture, pred_masks } = await makePicture(directory, scratch);
  const original_sizes = [PICTURE_SIZE];
  const size = `${PICTURE_SIZE[1]}x${PICTURE_SIZE[0]}`;
  const repeated = { runs: other, warmUp: true };
  return [
    {
      name: 'encode one picture',
      call: 'encode',
      args: { pixel_values },
      runs: encode,
      warmUp: warmUpEncode,
    },
    { name: 'one click to logits', call: 'click', args: click, ...repeated },
    { name: `one click to ${size} masks`, call: 'click', args: { ...click, original_sizes }, ...repeated },
    { name: `preprocess ${size}`, call: 'preprocess', args: { picture }, ...repeated },
    {
      name: `post-process 3 masks to ${size}`,
      call: 'post_process',
      args: { pred_masks, original_sizes },
      ...repeated,
    },
  ];
}
