/** `sam3-tracker verify`: compares facebook/sam3's published outputs with those found here. */
import { Command } from 'commander';
import { Sam3TrackerModel } from '../../model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../processor/processing-sam3-tracker';
import { openPretrained } from '../../checkpoint/pretrained-files';
import type { RawImage } from '../../image/raw-image';
import type { Tensor } from '../../tensor';
import type { DeviceOption, DTypeOption } from '../../core/types';
import { MODEL_ARGUMENT, addHubOptions, addTargetOptions, parseArea } from '../arguments';
import { readImage, type CommandContext, type Input, type Output } from '../io';
import { printableName } from '../text';

/** The options of the command line, as commander gives them. */
interface VerifyOptions {
  image: string;
  revision: string;
  cacheDir?: string;
  device: DeviceOption;
  dtype: DTypeOption;
  /** Largest difference: this, and as much of the value's size. */
  tolerance: number;
  debug: boolean;
}

/** A value as published and as found. */
export interface Comparison {
  what: string;
  expected: number;
  found: number;
}

/** facebook/sam3's published outputs are those of this image. */
const TRUCK = 'https://huggingface.co/datasets/hf-internal-testing/sam2-fixtures/resolve/main/truck.jpg';

/** Published for truck.jpg in transformers' integration tests of Sam3TrackerModel, float32, with a tolerance of 1e-4. */
const PUBLISHED = {
  multimaskScores: [0.9106, 0.5326, 0.0379],
  firstLogits: [-18.9093, -31.1757, -23.6851],
  score: 0.9474,
  boxScores: [0.9862, 0.9666, 0.9588, 0.9331],
  refinedScore: 0.9809,
};
const POINT = [500, 375];
const SECOND_POINT = [1125, 625];
const BOXES = [
  [75, 275, 1725, 850],
  [425, 600, 700, 875],
  [1375, 550, 1650, 800],
  [1240, 675, 1400, 750],
];

async function numbers(tensor: Tensor): Promise<number[]> {
  const host = await tensor.to({ device: 'cpu', dtype: 'float32' });
  return [...host.data];
}

/** Runs every published case on one image. */
async function compareAll(
  model: Sam3TrackerModel,
  processor: Sam3TrackerProcessor,
  image: RawImage,
): Promise<Comparison[]> {
  const { pixel_values, original_sizes } = await processor({ images: image });
  const image_embeddings = await model.get_image_embeddings(pixel_values);
  const comparisons: Comparison[] = [];
  const compare = (what: string, expected: readonly number[], found: readonly number[]): void =>
    expected.forEach((value, index) =>
      comparisons.push({ what: `${what} ${index + 1}`, expected: value, found: found[index] }),
    );

  const click = await processor({ original_sizes, input_points: [[[POINT]]], input_labels: [[[1]]] });
  const three = await model({ ...click, image_embeddings });
  const scores = await numbers(three.iou_scores);
  const order = [0, 1, 2].sort((a, b) => scores[b] - scores[a]);
  compare(
    'one point: score',
    PUBLISHED.multimaskScores,
    order.map((index) => scores[index]),
  );
  const best = three.pred_masks.slice(null, null, [order[0], order[0] + 1]);
  compare('one point: logit', PUBLISHED.firstLogits, (await numbers(best)).slice(0, 3));

  const one = await model({ ...click, image_embeddings, multimask_output: false });
  compare('one point, one mask: score', [PUBLISHED.score], await numbers(one.iou_scores));

  const boxes = await processor({ original_sizes, input_boxes: [BOXES] });
  const boxed = await model({ ...boxes, image_embeddings, multimask_output: false });
  compare('four boxes: score', PUBLISHED.boxScores, await numbers(boxed.iou_scores));

  const two = await processor({
    original_sizes,
    input_points: [[[POINT, SECOND_POINT]]],
    input_labels: [[[1, 1]]],
  });
  const refined = await model({
    ...two,
    image_embeddings,
    input_masks: best.slice(null, 0),
    multimask_output: false,
  });
  compare('its mask and a second point: score', [PUBLISHED.refinedScore], await numbers(refined.iou_scores));
  return comparisons;
}

/** Whether a value is as published: the rule of torch.testing.assert_close, absolute and relative tolerance alike. */
export function agrees({ expected, found }: Comparison, tolerance: number): boolean {
  return Math.abs(found - expected) <= tolerance + tolerance * Math.abs(expected);
}

/**
 * Prints a line for each published value.
 *
 * @param name the model.
 * @param options of the command line.
 * @param output where the table goes.
 * @param input what an image of `-` is read from.
 * @returns whether every value agrees.
 * @throws as `from_pretrained` and `RawImage.read`.
 */
async function verify(name: string, options: VerifyOptions, output: Output, input: Input): Promise<boolean> {
  const { device, dtype, tolerance, revision, cacheDir: cache_dir } = options;
  // Opened once, so that both are of one commit.
  const files = await openPretrained(name, { revision, cache_dir });
  using model = await Sam3TrackerModel.from_pretrained(files, { device, dtype });
  const processor = await Sam3TrackerProcessor.from_pretrained(files);
  const comparisons = await compareAll(model, processor, await readImage(options.image, input));
  const width = Math.max(...comparisons.map(({ what }) => what.length));
  const line = (what: string, ...columns: string[]): string =>
    `${what.padEnd(width)}${columns.map((column) => column.padStart(11)).join('')}\n`;
  output.stdout.write(line('', 'expected', 'found', 'difference'));
  for (const one of comparisons) {
    const difference = one.found - one.expected;
    const columns = [one.expected, one.found, difference].map((value) => value.toFixed(4));
    const mark = agrees(one, tolerance) ? '' : '  differs';
    output.stdout.write(line(one.what, ...columns).replace('\n', `${mark}\n`));
  }
  const differing = comparisons.filter((one) => !agrees(one, tolerance)).length;
  output.stdout.write(
    `${comparisons.length - differing} of ${comparisons.length} values agree within ${tolerance} ` +
      `(${printableName(name)}, ${model.device}, ${model.dtype})\n`,
  );
  return differing === 0;
}

/** The command. */
export function verifyCommand({ output, input, finish }: CommandContext): Command {
  const command = new Command('verify')
    .summary("compare facebook/sam3's outputs with the published ones")
    .description(
      "Runs the inputs of transformers' own tests of facebook/sam3 and prints the published values and those found " +
        'side by side. Exit code 1 where one differs by more than the tolerance.',
    )
    .argument('[model]', MODEL_ARGUMENT, 'facebook/sam3')
    .option('--image <image>', 'the image truck.jpg, if not from the hub: a path, a URL or -', TRUCK);
  return addHubOptions(addTargetOptions(command, 'float32'))
    .option(
      '--tolerance <number>',
      "largest difference: this, and as much of the value's size; that of transformers' tests",
      parseArea,
      1e-4,
    )
    .option('--debug', 'print the stack of an error', false)
    .action(async (model: string, options: VerifyOptions) => {
      finish((await verify(model, options, output, input)) ? 0 : 1);
    });
}
