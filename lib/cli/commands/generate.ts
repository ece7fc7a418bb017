/** `sam3-tracker generate`: images to a COCO annotation file and overlays of their masks. */
import path from 'node:path';
import { SingleBar } from 'cli-progress';
import { Command, Option } from 'commander';
import { saveFiles } from '../../core/files';
import { pngOf } from '../../masks/pictures';
import type { Box } from '../../masks/types';
import { draw_overlay, type Color } from '../../masks/overlay';
import { write_coco_annotations, type CocoSource } from '../../pipelines/coco-annotations';
import {
  MAX_LAYERS,
  MOST_POINTS_PER_SIDE,
  type MaskGenerationOptions,
  type MaskGenerationProgress,
} from '../../pipelines/mask-generation-options';
import { pipeline } from '../../pipelines/pipeline';
import type { DeviceOption, DTypeOption } from '../../core/types';
import {
  addMessageOptions,
  addModelOptions,
  addOverwriteOption,
  checkInput,
  checkNames,
  checkTarget,
  chooseModel,
  integerFrom,
  parseArea,
  parseFraction,
  parseNumber,
  resultName,
} from '../arguments';
import { Interruption, STDIN, readInput, type CommandContext, type CommandOutput, type Input } from '../io';
import { parseBox } from '../prompts';
import { counted, messageOf, printableName } from '../text';

/** The options of the command line, as commander gives them; undefined leaves it to the model and the pipeline. */
interface GenerateOptions {
  out: string;
  overwrite: boolean;
  model?: string;
  revision: string;
  cacheDir?: string;
  device: DeviceOption;
  dtype: DTypeOption;
  format: 'coco_rle' | 'polygons';
  pointsPerCrop?: number;
  pointsPerBatch?: number | 'all';
  cropsNLayers?: number;
  cropOverlapRatio?: number;
  cropNPointsDownscaleFactor?: number;
  predIouThresh?: number;
  stabilityScoreThresh?: number;
  stabilityScoreOffset?: number;
  maskThreshold?: number;
  cropsNmsThresh?: number;
  maxHoleArea?: number;
  maxSprinkleArea?: number;
  minMaskRegionArea?: number;
  /** False by --no-multimask. */
  multimask: boolean;
  boxOfInterest?: Box;
  maxMemory?: number;
  timeout?: number;
  reference?: 'transformers';
  quiet: boolean;
  debug: boolean;
}

const HELP = `
Writes annotations.json, a COCO annotation file for all images, and NAME-masks.png for each, where every mask has a
colour of its own (what covers nearly the whole image has an outline only). An IMAGE of - is standard input. What no option says is as the model wants it, or as in transformers' mask-generation pipeline.

Examples:
  sam3-tracker generate photo.jpg --out masks
  sam3-tracker generate photos/*.jpg --out masks --crops-n-layers 1 --format polygons
  sam3-tracker generate photo.jpg --out masks --pred-iou-thresh 0.6 --points-per-crop 16

Ctrl-C writes the annotations of the images that are done; a second one ends at once.

Exit codes: 0 all went well; 1 an image, the model or a file failed; 2 the command line is wrong; 130 ended by Ctrl-C.
`;

const ANNOTATIONS = 'annotations.json';

/**
 * What covers more of an image is its background or all of it: a tint would lie over everything and tell nothing apart. In
 * the examples' photos such masks cover 0.91 and more, those of objects 0.57 at most.
 */
const MAX_TINTED_PART = 0.9;
const overlayName = (image: string): string => `${resultName(image)}-masks.png`;

/** The turn of the colour circle after which hues differ most from all before: the golden angle. */
const GOLDEN_ANGLE = 137.508;

/** As many colours as there are masks, neighbours far apart. */
function distinctColors(count: number): Color[] {
  return Array.from({ length: Math.max(count, 1) }, (_, index) => {
    const hue = (index * GOLDEN_ANGLE) % 360;
    const lightness = 0.45 + 0.15 * (Math.floor(index / 8) % 3);
    const channel = (offset: number): number => {
      const at = (offset + hue / 30) % 12;
      const chroma = 0.9 * Math.min(lightness, 1 - lightness);
      return Math.round(255 * (lightness - chroma * Math.max(-1, Math.min(at - 3, 9 - at, 1))));
    };
    return [channel(0), channel(8), channel(4)] as const;
  });
}

function generationOptions(options: GenerateOptions): MaskGenerationOptions {
  const given = {
    points_per_crop: options.pointsPerCrop,
    points_per_batch: options.pointsPerBatch === 'all' ? null : options.pointsPerBatch,
    crops_n_layers: options.cropsNLayers,
    crop_overlap_ratio: options.cropOverlapRatio,
    crop_n_points_downscale_factor: options.cropNPointsDownscaleFactor,
    pred_iou_thresh: options.predIouThresh,
    stability_score_thresh: options.stabilityScoreThresh,
    stability_score_offset: options.stabilityScoreOffset,
    mask_threshold: options.maskThreshold,
    crops_nms_thresh: options.cropsNmsThresh,
    max_hole_area: options.maxHoleArea,
    max_sprinkle_area: options.maxSprinkleArea,
    min_mask_region_area: options.minMaskRegionArea,
    multimask_output: options.multimask ? undefined : false,
    box_of_interest: options.boxOfInterest,
    max_memory: options.maxMemory,
    timeout: options.timeout,
    reference: options.reference,
  };
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

/** A bar for people at a terminal; nothing elsewhere, or where messages are not wanted. */
class Progress {
  /** Of the image that is being worked on. */
  name = '';
  readonly #bar: SingleBar | null = null;

  constructor({ terminal }: CommandOutput, quiet: boolean) {
    if (quiet || !terminal) return;
    this.#bar = new SingleBar({
      stream: terminal,
      format: '{name} [{bar}] {value}/{total} points, {masks}',
      hideCursor: true,
      clearOnComplete: true,
    });
  }

  show({ points_done, points_total, masks_kept }: MaskGenerationProgress): void {
    const labels = { name: printableName(this.name), masks: counted(masks_kept, 'mask') };
    if (points_done === 0 || !this.#bar?.isActive) this.#bar?.start(points_total, points_done, labels);
    this.#bar?.update(points_done, labels);
  }

  stop(): void {
    this.#bar?.stop();
  }

  [Symbol.dispose](): void {
    this.stop();
  }
}

/** The images that names stand for. */
function sourcesOf(images: readonly string[], input: Input): Promise<(string | CocoSource)[]> {
  return Promise.all(
    images.map(async (name) =>
      name === STDIN ? { name: resultName(name), image: await readInput(input) } : name,
    ),
  );
}

/**
 * Finds the masks of images; one that fails does not stop the others. An interruption does, and then what is done is
 * written. Gives the exit code.
 *
 * @throws what loading the model and writing the annotations throw.
 */
async function generate(
  images: readonly string[],
  options: GenerateOptions,
  { output, input, report }: CommandContext,
): Promise<number> {
  const { out, device, dtype, revision, cacheDir: cache_dir, debug } = options;
  const say = (text: string): void => void (options.quiet || output.stdout.write(text));
  using generator = await pipeline('mask-generation', chooseModel(options.model, say), {
    device,
    dtype,
    revision,
    cache_dir,
  });
  const sources = await sourcesOf(images, input);
  using interruption = new Interruption();
  using progress = new Progress(output, options.quiet);
  let failures = 0;
  let done = 0;
  const annotations = path.join(out, ANNOTATIONS);
  try {
    await write_coco_annotations(generator, sources, annotations, {
      segmentation: options.format,
      write_partial: true,
      generation: {
        ...generationOptions(options),
        signal: interruption.signal,
        progress_callback: (at) => progress.show(at),
      },
      on_start: (name) => (progress.name = resultName(name)),
      on_image: async (name, image, { masks }) => {
        progress.stop();
        const overlay = await draw_overlay(image, masks, {
          colors: distinctColors(masks.length),
          maxTintedPart: MAX_TINTED_PART,
        });
        const [file] = await saveFiles(out, [{ name: overlayName(name), content: await pngOf(overlay) }]);
        say(`${printableName(name)}: ${counted(masks.length, 'mask')} -> ${printableName(file)}\n`);
        done++;
      },
      on_error: (name, error) => {
        progress.stop();
        failures++;
        report(new Error(`${name}: ${messageOf(error)}`, { cause: error }), debug);
      },
    });
  } catch (error) {
    if (interruption.exitCode === null) throw error;
    progress.stop();
    const where = done > 0 ? `; ${annotations} has those` : '';
    report(new Error(`Interrupted: ${done} of ${counted(images.length, 'image')} are done${where}.`), debug);
    return interruption.exitCode;
  }
  if (failures < images.length) say(`-> ${printableName(annotations)}\n`);
  return failures > 0 ? 1 : 0;
}

/** Points at once, or 'all'. @throws InvalidArgumentError for anything else. */
function parseBatch(text: string): number | 'all' {
  return text === 'all' ? text : integerFrom(1)(text);
}

/** Adds the pipeline's arguments. */
function addGenerationOptions(command: Command): Command {
  return command
    .option(
      '--points-per-crop <n>',
      'points along each side of the image',
      integerFrom(1, MOST_POINTS_PER_SIDE),
    )
    .option('--points-per-batch <n>', 'points at once, or all: fewer take less memory', parseBatch)
    .option('--crops-n-layers <n>', 'layers of crops, besides the whole image', integerFrom(0, MAX_LAYERS))
    .option('--crop-overlap-ratio <part>', "of the image's shorter side; below 1", parseFraction)
    .option('--crop-n-points-downscale-factor <n>', 'layer n has points / factor ** n a side', integerFrom(1))
    .option('--pred-iou-thresh <score>', 'masks of a lower predicted IoU go', parseFraction)
    .option('--stability-score-thresh <score>', 'less stable masks go', parseFraction)
    .option('--stability-score-offset <logits>', 'how far to either side stability looks', parseNumber)
    .option('--mask-threshold <logit>', 'pixels with a logit above it are inside', parseNumber)
    .option('--crops-nms-thresh <iou>', 'of two masks that overlap more than this one goes', parseFraction)
    .option('--max-hole-area <pixels>', "fill holes of up to so many pixels of the model's masks", parseArea)
    .option(
      '--max-sprinkle-area <pixels>',
      "remove sprinkles of up to so many pixels of the model's masks",
      parseArea,
    )
    .option(
      '--min-mask-region-area <pixels>',
      'fill smaller holes and remove smaller sprinkles',
      integerFrom(0),
    )
    .option('--no-multimask', 'one mask a point instead of three')
    .option('--box-of-interest <x1,y1,x2,y2>', 'look at this part of the images alone', parseBox)
    .option('--max-memory <bytes>', 'that a batch may take, about: fewer points at once', integerFrom(1))
    .option('--timeout <seconds>', 'to wait for an image from the web', parseArea)
    .addOption(
      new Option('--reference <reference>', "lay points and choose masks as transformers' pipeline").choices([
        'transformers',
      ]),
    );
}

/** The command. */
export function generateCommand(context: CommandContext): Command {
  const command = new Command('generate')
    .summary('find the masks of everything in images')
    .description('Finds the masks of everything in images.')
    .argument('<image...>', 'a path, a URL or - for standard input')
    .requiredOption('--out <directory>', 'where files go');
  addModelOptions(command).addOption(
    new Option(
      '--format <format>',
      'how the annotations say which pixels are inside (polygons have no holes)',
    )
      .choices(['coco_rle', 'polygons'])
      .default('coco_rle'),
  );
  return addMessageOptions(addOverwriteOption(addGenerationOptions(command)))
    .addHelpText('after', HELP)
    .action(async (images: string[], options: GenerateOptions) => {
      checkInput(images);
      checkNames(images);
      await checkTarget(options.out, [ANNOTATIONS, ...images.map(overlayName)], !options.overwrite);
      context.finish(await generate(images, options, context));
    });
}
