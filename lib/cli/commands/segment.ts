/** `sam3-tracker segment`: images one after another, each to files, to JSON, or both. */
import { Command, InvalidArgumentError, Option } from 'commander';
import type { DeviceOption, DTypeOption } from '../../core/types';
import { openPretrained } from '../../checkpoint/pretrained-files';
import type { RawImage } from '../../image/raw-image';
import { mask_planes } from '../../masks/masks';
import type { Sam3TrackerMasksOutput } from '../../model/outputs';
import { Sam3TrackerModel } from '../../model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../processor/processing-sam3-tracker';
import { Tensor } from '../../tensor';
import {
  addMessageOptions,
  addModelOptions,
  addOverwriteOption,
  checkInput,
  checkNames,
  checkTarget,
  chooseModel,
  parseArea,
  parseNumber,
  resultName,
} from '../arguments';
import { readImage, type CommandContext, type Output } from '../io';
import { PromptCollector, checkInside, type ObjectPrompt } from '../prompts';
import {
  describeResult,
  resultNames,
  writeResult,
  type FailedRecord,
  type ImageRecord,
  type SegmentedObject,
} from '../results';
import { counted, messageOf, printableName } from '../text';

/** The options of the command line, as commander gives them. */
interface SegmentOptions {
  mask?: string[];
  multimask: boolean;
  model?: string;
  revision: string;
  cacheDir?: string;
  device: DeviceOption;
  dtype: DTypeOption;
  threshold: number;
  maxHoleArea: number;
  maxSprinkleArea: number;
  out?: string;
  overwrite: boolean;
  json: boolean;
  quiet: boolean;
  debug: boolean;
}

/** What is asked about one image. */
interface SegmentRequest extends Omit<SegmentOptions, 'mask'> {
  image: RawImage;
  /** Empty where only `mask` says what is meant. */
  objects: readonly ObjectPrompt[];
  /** A mask prompt that all objects share, upsampled over the image: white is in the object, black is not. */
  mask: RawImage | null;
}

/** The tool's own, where files of an earlier run are written over. */
const DEFAULT_DIRECTORY = 'sam3-tracker-out';

/** Of a model with --multimask. */
const MULTIMASK_COUNT = 3;

/** The logits that stand for white and black in a mask prompt: as sure as a model's own masks are. */
const MASK_LOGIT = 10;

const HELP = `
Prompts are pixels of the image, x to the right and y down. --point and --box describe one object; --object, or a
second --box, begins the next. A point's label is 1 on the object (the default) or 0 beside it. The same prompts are
used for every IMAGE, and must lie inside each; --mask is given once for each. An IMAGE of - is standard input.

Examples:
  sam3-tracker segment coffee.png --point 235,215
      one click: writes coffee-mask.png, coffee-overlay.png and coffee.json to sam3-tracker-out
  sam3-tracker segment coffee.png --point 235,215 --point 370,285,0
      one object by two clicks, the second of them beside it
  sam3-tracker segment coffee.png --box 75,15,480,390 --box 325,245,408,328
      two objects by their boxes
  sam3-tracker segment coffee.png --point 235,215 --object --point 370,285 --point 400,90
      two objects, by one click and by two
  sam3-tracker segment coffee.png --mask coffee-mask.png --point 365,290,0
      a mask of an earlier call, corrected by a click
  sam3-tracker segment *.jpg --point 300,200 --json | jq '.[].objects[0].masks[0].box'
      JSON on standard output, one entry for each image, and no files; of an image that failed its error

Exit codes: 0 all went well; 1 an image, the model or a file failed; 2 the command line is wrong.
`;

/** A mask prompt (1, 1, height, width): grey values from black to white become logits from -10 to 10. */
function maskPrompt(mask: RawImage): Tensor {
  const { data, width, height } = mask.grayscale();
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
  return host.tolist<number[][][]>()[0];
}

async function readOutputs(outputs: Sam3TrackerMasksOutput): Promise<Omit<SegmentedObject, 'prompt'>[]> {
  using masks = await outputs.masks[0].cpu();
  const planes = mask_planes(masks);
  const scores = await rowsOf(outputs.iou_scores);
  const objectScores = await rowsOf(outputs.object_score_logits);
  return scores.map((row, object) => ({
    objectScore: objectScores[object][0],
    masks: row.map((score, index) => ({ mask: planes[object * row.length + index], score })),
  }));
}

/**
 * Segments one image: the vision encoder once, and one job for each kind of prompt.
 *
 * @returns one result for each object, in their order; one in all where there is only a mask prompt.
 * @throws what the model and the processor throw.
 */
async function segmentImage(
  model: Sam3TrackerModel,
  processor: Sam3TrackerProcessor,
  request: SegmentRequest,
): Promise<SegmentedObject[]> {
  const { image, multimask: multimask_output } = request;
  const objects = request.objects.length > 0 ? request.objects : [{ points: [], labels: [], box: null }];
  using features = await processor({ images: image });
  using input_masks = request.mask && maskPrompt(request.mask);
  const image_embeddings = await model.get_image_embeddings(features.pixel_values);
  try {
    const results: SegmentedObject[] = [];
    for (const group of groupObjects(objects)) {
      const prompts = group.map((index) => objects[index]);
      const hasPoints = prompts[0].points.length > 0;
      using inputs = await processor({
        original_sizes: [[image.height, image.width]],
        input_points: hasPoints ? [prompts.map(({ points }) => points)] : null,
        input_labels: hasPoints ? [prompts.map(({ labels }) => labels)] : null,
        input_boxes: prompts[0].box ? [prompts.map(({ box }) => box as number[])] : null,
      });
      using outputs = await model.predict_masks(
        { ...inputs, image_embeddings, input_masks, multimask_output },
        {
          mask_threshold: request.threshold,
          max_hole_area: request.maxHoleArea,
          max_sprinkle_area: request.maxSprinkleArea,
        },
      );
      (await readOutputs(outputs)).forEach((result, index) => {
        results[group[index]] = { prompt: prompts[index], ...result };
      });
    }
    return results;
  } finally {
    for (const tensor of image_embeddings) tensor.dispose();
  }
}

function summary({ image, objects }: ImageRecord, json: string | null): string {
  const found = objects.map(({ masks }, index) => {
    const scores = masks.map(
      ({ iou_score, area }) => `score ${iou_score.toFixed(3)}, ${counted(area, 'pixel')}`,
    );
    return `${objects.length > 1 ? `object ${index + 1}: ` : ''}${scores.join('; ')}`;
  });
  const where = json === null ? '' : ` -> ${printableName(json)}`;
  return `${printableName(image)}: ${found.join(' | ')}${where}\n`;
}

function failedRecord(image: string, error: unknown): FailedRecord {
  const { code, name } = error as { code?: string; name: string };
  return { image, error: { code: code ?? name, message: messageOf(error) } };
}

/**
 * Segments images; one that fails does not stop the others. Gives how many failed.
 *
 * @throws what loading the model throws.
 */
async function segmentImages(
  images: readonly string[],
  objects: readonly ObjectPrompt[],
  options: SegmentOptions,
  { output, input, report }: CommandContext,
): Promise<number> {
  const say = sayer(options, output);
  const modelName = chooseModel(options.model, say);
  const { device, dtype, revision, cacheDir: cache_dir } = options;
  // Opened once, so that both are of one commit.
  const files = await openPretrained(modelName, { revision, cache_dir });
  using model = await Sam3TrackerModel.from_pretrained(files, { device, dtype });
  const processor = await Sam3TrackerProcessor.from_pretrained(files);
  const directory = directoryOf(options);
  const records: (ImageRecord | FailedRecord)[] = [];
  let failures = 0;
  for (const [index, name] of images.entries()) {
    try {
      const image = await readImage(name, input);
      checkInside(objects, image);
      const mask = options.mask ? await readImage(options.mask[index], input) : null;
      const found = await segmentImage(model, processor, { ...options, image, objects, mask });
      const record = describeResult(name, image, modelName, found);
      const written =
        directory === null ? null : await writeResult(directory, resultName(name), image, found, record);
      records.push(record);
      say(summary(record, written && written.json));
    } catch (error) {
      failures++;
      records.push(failedRecord(name, error));
      report(new Error(`${name}: ${messageOf(error)}`, { cause: error }), options.debug);
    }
  }
  if (options.json) output.stdout.write(`${JSON.stringify(records, null, 2)}\n`);
  return failures;
}

/** Where messages go: with --json standard output belongs to the JSON. */
function sayer({ quiet, json }: SegmentOptions, { stdout, stderr }: Output): (text: string) => void {
  return (text) => {
    if (!quiet) (json ? stderr : stdout).write(text);
  };
}

/** Where files go; null for no files. */
function directoryOf({ out, json }: SegmentOptions): string | null {
  return out ?? (json ? null : DEFAULT_DIRECTORY);
}

/** Checks what a command line may ask before any work is done for it. @throws InvalidArgumentError. */
async function checkRequest(
  images: readonly string[],
  objects: readonly ObjectPrompt[],
  options: SegmentOptions,
): Promise<void> {
  const masks = options.mask ?? [];
  checkPrompts(images, objects, masks);
  checkInput([...images, ...masks]);
  const directory = directoryOf(options);
  if (directory === null) return;
  checkNames(images);
  const counts = Array.from({ length: Math.max(1, objects.length) }, () =>
    options.multimask ? MULTIMASK_COUNT : 1,
  );
  const names = images.flatMap((image) => {
    const { masks: files, overlay, json } = resultNames(resultName(image), counts);
    return [json, overlay, ...files.flat()];
  });
  await checkTarget(directory, names, options.out !== undefined && !options.overwrite);
}

/** Checks that prompts and mask files fit the images. @throws InvalidArgumentError that says what to give. */
function checkPrompts(
  images: readonly string[],
  objects: readonly ObjectPrompt[],
  masks: readonly string[],
): void {
  if (objects.length === 0 && masks.length === 0)
    throw new InvalidArgumentError('Say what to segment: --point, --box or --mask.');
  if (masks.length > 0 && masks.length !== images.length)
    throw new InvalidArgumentError(
      `Give --mask once for each image: ${masks.length} for ${counted(images.length, 'image')}.`,
    );
}

/** Adds the prompts, which are gathered in the order of the command line. */
function addPromptOptions(command: Command, prompts: PromptCollector): Command {
  const gathered = (flags: string, description: string, add: (text: string) => void): Option =>
    new Option(flags, description).argParser((text: string) => add(text));
  return command
    .addOption(gathered('--point <x,y[,label]>', 'a click', (text) => prompts.addPoint(text)))
    .addOption(gathered('--box <x1,y1,x2,y2>', "an object's box", (text) => prompts.addBox(text)))
    .option('--object', 'begin the next object')
    .on('option:object', () => prompts.startObject())
    .option(
      '--mask <file>',
      'a mask of any size as a prompt, upsampled over the image: white inside, black outside, grey unsure',
      (file: string, files: string[] = []) => [...files, file],
    );
}

/** The command. */
export function segmentCommand(context: CommandContext): Command {
  const prompts = new PromptCollector();
  const command = new Command('segment')
    .summary('segment objects in images by points, boxes or a mask')
    .description('Segments objects in images by points, boxes or a mask.')
    .argument('<image...>', 'a path, a URL or - for standard input');
  addPromptOptions(command, prompts).option(
    '--multimask',
    'three masks for each object instead of the best one',
    false,
  );
  addModelOptions(command)
    .option('--threshold <logit>', 'pixels with a logit above it are inside', parseNumber, 0)
    .option(
      '--max-hole-area <pixels>',
      "fill holes of up to so many pixels of the model's masks",
      parseArea,
      0,
    )
    .option(
      '--max-sprinkle-area <pixels>',
      "remove sprinkles of up to so many pixels of the model's masks",
      parseArea,
      0,
    )
    .option('--out <directory>', 'where files go (default: sam3-tracker-out; with --json: nowhere)')
    .option('--json', 'print the results as JSON, and nothing else, to standard output', false);
  return addMessageOptions(addOverwriteOption(command))
    .addHelpText('after', HELP)
    .action(async (images: string[], options: SegmentOptions) => {
      const objects = prompts.finish();
      await checkRequest(images, objects, options);
      const failures = await segmentImages(images, objects, options, context);
      if (failures > 0) context.finish(1);
    });
}
