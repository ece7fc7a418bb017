#!/usr/bin/env node
/** The command-line tool. Exit codes: 0 all went well, 1 something failed, 2 the command line is wrong. */
import '../core/node-version';
import { inspect } from 'node:util';
import { Command, CommanderError, InvalidArgumentError, Option } from 'commander';
import { Sam3TrackerError } from '../core/errors';
import { PACKAGE_MANIFEST } from '../core/package';
import { MODEL_DTYPES } from '../core/device';
import { doctorCommand } from './commands/doctor-command';
import { generateCommand } from './commands/generate-command';
import { libtorchCommand } from './commands/libtorch';
import { modelCommands } from './commands/model-commands';
import { parseArea, parseDeviceOption, parseNumber } from './option-parsers';
import type { Output } from './output';
import { PromptCollector } from './prompts';
import type { runSegment, SegmentCommandOptions } from './commands/segment-command';
import { checkDirectory, checkUsage } from './usage';

const EXIT_FAILED = 1;
const EXIT_USAGE = 2;

const SEGMENT_HELP = `
Prompts are pixels of the picture, x to the right and y down. --point and --box describe one object; --object, or a
second --box, begins the next. A point's label is 1 on the object (the default) or 0 beside it. The same prompts are
used for every IMAGE, and must lie inside each; --mask is given once for each.

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
      a mask of an earlier run, corrected by a click
  sam3-tracker segment *.jpg --point 300,200 --json | jq '.[].objects[0].masks[0].box'
      JSON on standard output, one entry for each picture, and no files

Exit codes: 0 all went well; 1 a picture, the model or a file failed; 2 the command line is wrong.
`;

/** An option that is only gathered: commander parses it each time it is written, in the order of the command line. */
function collected(flags: string, description: string, add: (text: string) => void): Option {
  return new Option(flags, description).argParser((text: string) => add(text));
}

function segmentCommand(collector: PromptCollector): Command {
  return new Command('segment')
    .summary('segment objects in pictures by points, boxes or a mask')
    .description('Segments objects in pictures by points, boxes or a mask.')
    .argument('<image...>', 'picture: a path or a URL')
    .addOption(collected('--point <x,y[,label]>', 'a click', (text) => collector.addPoint(text)))
    .addOption(collected('--box <x1,y1,x2,y2>', "an object's box", (text) => collector.addBox(text)))
    .option('--object', 'begin the next object')
    .option(
      '--mask <file>',
      'a mask of any size as a prompt, stretched over the picture: white inside, black outside, grey unsure',
      (file: string, files: string[]) => [...files, file],
      [],
    )
    .option('--multimask', 'three masks for each object instead of the best one', false)
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
    .option('--threshold <logit>', 'pixels with a logit above it are inside', parseNumber, 0)
    .option(
      '--max-hole-area <pixels>',
      "fill holes of up to so many pixels of the model's masks",
      parseArea,
      0,
    )
    .option(
      '--max-sprinkle-area <pixels>',
      "remove specks of up to so many pixels of the model's masks",
      parseArea,
      0,
    )
    .option('--out <directory>', 'where files go (default: sam3-tracker-out; with --json: nowhere)')
    .option('--json', 'print the results as JSON, and nothing else, to standard output', false)
    .option('--quiet', 'print errors only', false)
    .option('--debug', 'print the stack of an error', false)
    .on('option:object', () => collector.startObject())
    .addHelpText('after', SEGMENT_HELP);
}

function describeError(error: unknown, debug: boolean): string {
  if (!(error instanceof Error)) return String(error);
  if (debug) return inspect(error);
  // A list of places is read more easily as one.
  if (error instanceof Sam3TrackerError && error.code === 'LIBTORCH_NOT_FOUND') return error.message;
  return error.message.replaceAll(/\s*\n\s*/g, ' ');
}

/**
 * Runs the tool.
 *
 * @param argv the arguments after the name of the program.
 * @param output where text goes; default the process's own streams.
 * @returns the exit code.
 */
export async function main(argv: readonly string[], output: Output = process): Promise<number> {
  const { stdout, stderr } = output;
  const fail = (error: unknown, debug = false): void => {
    stderr.write(`sam3-tracker: ${describeError(error, debug)}\n`);
  };
  let code = 0;
  const collector = new PromptCollector();
  const segment = segmentCommand(collector);
  const program = new Command('sam3-tracker')
    .description('Promptable segmentation with SAM3 Tracker.')
    .version(PACKAGE_MANIFEST.version)
    .addCommand(segment);
  program.addCommand(generateCommand(output, fail, (status) => (code = status)));
  for (const command of modelCommands({ output, finish: (status) => (code = status) }))
    program.addCommand(command);
  program.addCommand(libtorchCommand(output));
  program.addCommand(
    doctorCommand(output, (isWell) => {
      if (!isWell) code = EXIT_FAILED;
    }),
  );
  const prepare = (command: Command): void => {
    command
      .exitOverride()
      .configureOutput({ writeOut: (text) => stdout.write(text), writeErr: (text) => stderr.write(text) });
    command.commands.forEach(prepare);
  };
  prepare(program);
  segment.action(async (images: string[], options: SegmentCommandOptions) => {
    const objects = collector.finish();
    checkUsage(images, objects, options.mask);
    if (options.out !== undefined) checkDirectory(options.out);
    // libtorch is loaded only where there is work for it.
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- see above
    const command = require('./commands/segment-command') as { runSegment: typeof runSegment };
    const failures = await command.runSegment(images, objects, options, output, (error) =>
      fail(error, options.debug),
    );
    if (failures > 0) code = EXIT_FAILED;
  });
  try {
    await program.parseAsync([...argv], { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) {
      fail(
        error,
        program.commands.some((command) => command.opts<{ debug?: boolean }>().debug),
      );
      return EXIT_FAILED;
    }
    if (error.exitCode === 0) return 0;
    // Commander has printed its own errors; those of the collector reach here unprinted.
    if (error instanceof InvalidArgumentError) fail(error);
    return EXIT_USAGE;
  }
  return code;
}

if (require.main === module) {
  // A reader that stops early (head) is no failure of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit();
  });
  void main(process.argv.slice(2)).then((code) => {
    process.exitCode = code;
  });
}
