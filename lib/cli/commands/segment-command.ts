/** `sam3-tracker segment`: pictures one after another, each to files, to JSON, or both. */
import { Sam3TrackerModel } from '../../model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../processor/processing-sam3-tracker';
import { RawImage } from '../../image/raw-image';
import type { DeviceOption, DTypeOption } from '../../core/types';
import type { Output } from '../output';
import { checkInside, type ObjectPrompt } from '../prompts';
import { segmentImage } from './segment';
import { resultName } from '../usage';
import { describeResult, writeResult, type ImageRecord } from '../results';

/** The options of the command line, as commander gives them. */
export interface SegmentCommandOptions {
  mask: string[];
  multimask: boolean;
  model?: string;
  device: DeviceOption;
  dtype: DTypeOption;
  threshold: number;
  maxHoleArea: number;
  maxSprinkleArea: number;
  out?: string;
  json: boolean;
  quiet: boolean;
  debug: boolean;
}

const DEFAULT_MODEL = 'sam3-tracker-tiny';
const DEFAULT_DIRECTORY = 'sam3-tracker-out';

function summary({ image, objects }: ImageRecord, json: string | null): string {
  const found = objects.map(({ masks }, index) => {
    const scores = masks.map(({ iou_score, area }) => `score ${iou_score.toFixed(3)}, ${area} pixels`);
    return `${objects.length > 1 ? `object ${index + 1}: ` : ''}${scores.join('; ')}`;
  });
  return `${image}: ${found.join(' | ')}${json === null ? '' : ` -> ${json}`}\n`;
}

/**
 * Runs the command. A picture that fails does not stop the others.
 *
 * @param images paths or URLs.
 * @param objects what is asked of each picture.
 * @param options of the command line.
 * @param output where results and messages go.
 * @param report takes the error of a picture.
 * @returns how many pictures failed.
 * @throws what loading the model throws.
 */
export async function runSegment(
  images: readonly string[],
  objects: readonly ObjectPrompt[],
  options: SegmentCommandOptions,
  output: Output,
  report: (error: unknown) => void,
): Promise<number> {
  // With --json standard output belongs to the JSON.
  const say = (text: string): void => {
    if (!options.quiet) (options.json ? output.stderr : output.stdout).write(text);
  };
  const modelName = options.model ?? DEFAULT_MODEL;
  if (options.model === undefined)
    say(`Using ${DEFAULT_MODEL}, a small demonstration model; --model takes a better one.\n`);
  using model = await Sam3TrackerModel.from_pretrained(modelName, {
    device: options.device,
    dtype: options.dtype,
  });
  const processor = await Sam3TrackerProcessor.from_pretrained(modelName);
  const directory = options.out ?? (options.json ? null : DEFAULT_DIRECTORY);
  const records: ImageRecord[] = [];
  let failures = 0;
  for (const [index, name] of images.entries()) {
    try {
      const image = await RawImage.read(name);
      checkInside(objects, image);
      const mask = options.mask.length > 0 ? await RawImage.read(options.mask[index]) : null;
      const found = await segmentImage(model, processor, { ...options, image, objects, mask });
      const record = describeResult(name, image, modelName, found);
      const files =
        directory === null ? null : await writeResult(directory, resultName(name), image, found, record);
      records.push(record);
      say(summary(record, files && files.json));
    } catch (error) {
      failures++;
      report(new Error(`${name}: ${(error as Error).message}`, { cause: error }));
    }
  }
  if (options.json) output.stdout.write(`${JSON.stringify(records, null, 2)}\n`);
  return failures;
}
