/** `sam3-tracker generate` as the command line knows it; the work is in generate.ts. */
import { Command, InvalidArgumentError, Option } from 'commander';
import { MAX_LAYERS, MOST_POINTS_PER_SIDE } from '../../pipelines/mask-generation-options';
import { MODEL_DTYPES } from '../../core/device';
import type { GenerateCommandOptions, runGenerate } from './generate';
import {
  atMost,
  parseArea,
  parseCount,
  parseDeviceOption,
  parseNumber,
  parsePart,
  parseWhole,
} from '../option-parsers';
import type { Output } from '../output';
import { checkDirectory, resultName } from '../usage';

const HELP = `
Writes annotations.json, a COCO annotation file for all pictures, and NAME-masks.png for each, where every mask has a
colour of its own. What no option says is as the model wants it, or as in transformers' mask-generation pipeline.

Examples:
  sam3-tracker generate photo.jpg --out masks
  sam3-tracker generate photos/*.jpg --out masks --crops-n-layers 1 --format polygons
  sam3-tracker generate photo.jpg --out masks --pred-iou-thresh 0.6 --points-per-crop 16

Ctrl-C writes the annotations of the pictures that are done; a second one ends at once.

Exit codes: 0 all went well; 1 a picture, the model or a file failed; 2 the command line is wrong; 130 ended by Ctrl-C.
`;

function checkNames(images: readonly string[]): void {
  const names = images.map(resultName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InvalidArgumentError(`Two images would write the same file: ${twice}-masks.png.`);
}

/**
 * The command.
 *
 * @param output where results and messages go.
 * @param report takes the error of a picture.
 * @param finish takes the exit code.
 */
export function generateCommand(
  output: Output,
  report: (error: unknown, debug: boolean) => void,
  finish: (status: number) => void,
): Command {
  return new Command('generate')
    .summary('find the masks of everything in pictures')
    .description('Finds the masks of everything in pictures.')
    .argument('<image...>', 'picture: a path or a URL')
    .requiredOption('--out <directory>', 'where files go')
    .option('--model <directory>', 'exported model, or the id of a bundled one or on the hub')
    .option(
      '--device <device>',
      'auto (CUDA where there is one), cpu, cuda, cuda:N or N',
      parseDeviceOption,
      'auto',
    )
    .addOption(
      new Option('--dtype <dtype>', "what to compute in; auto is the model's own")
        .choices(MODEL_DTYPES)
        .default('auto'),
    )
    .addOption(
      new Option(
        '--format <format>',
        'how the annotations say which pixels are inside (polygons have no holes)',
      )
        .choices(['coco_rle', 'polygons'])
        .default('coco_rle'),
    )
    .option(
      '--points-per-crop <n>',
      'points along each side of the picture',
      atMost(MOST_POINTS_PER_SIDE, parseCount),
    )
    .option('--points-per-batch <n>', 'points at once: fewer take less memory', parseCount)
    .option(
      '--crops-n-layers <n>',
      'layers of crops beside the whole picture',
      atMost(MAX_LAYERS, parseWhole),
    )
    .option('--pred-iou-thresh <score>', 'masks of a lower predicted IoU go', parsePart)
    .option('--stability-score-thresh <score>', 'less stable masks go', parsePart)
    .option('--mask-threshold <logit>', 'pixels with a logit above it are inside', parseNumber)
    .option('--crops-nms-thresh <iou>', 'of two masks that overlap more than this one goes', parsePart)
    .option('--max-hole-area <pixels>', "fill holes of up to so many pixels of the model's masks", parseArea)
    .option(
      '--max-sprinkle-area <pixels>',
      "remove specks of up to so many pixels of the model's masks",
      parseArea,
    )
    .option('--min-mask-region-area <pixels>', 'fill smaller holes and remove smaller islands', parseWhole)
    .addOption(
      new Option('--reference <reference>', "lay points and choose masks as transformers' pipeline").choices([
        'transformers',
      ]),
    )
    .option('--quiet', 'print errors only', false)
    .option('--debug', 'print the stack of an error', false)
    .addHelpText('after', HELP)
    .action(async (images: string[], options: GenerateCommandOptions) => {
      checkNames(images);
      checkDirectory(options.out);
      // libtorch is loaded only where there is work for it.
      // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
      const command = require('./generate') as { runGenerate: typeof runGenerate };
      finish(await command.runGenerate(images, options, output, (error) => report(error, options.debug)));
    });
}
