/** What command lines are parsed and checked by, before any work is done for them. */
import path from 'node:path';
import { InvalidArgumentError, Option, type Command } from 'commander';
import { DEFAULT_MODEL } from '../core/package';
import { MODEL_DTYPES, checkDevice } from '../core/device';
import { DTYPE_ALIASES } from '../core/dtype';
import { Sam3TrackerError } from '../core/errors';
import { checkFolder, kindOf } from '../core/files';
import { STDIN } from './io';
import { messageOf, printableName } from './text';

/** What commands say of the model that they take. */
export const MODEL_ARGUMENT = 'a directory, the id of a bundled model, or owner/name on the Hugging Face hub';

/** A finite number. @throws InvalidArgumentError for anything else. */
export function parseNumber(text: string): number {
  const value = text.trim() === '' ? NaN : Number(text);
  if (!Number.isFinite(value)) throw new InvalidArgumentError('Expected a number.');
  return value;
}

/** A number of at least 0. @throws InvalidArgumentError for anything else. */
export function parseArea(text: string): number {
  const value = parseNumber(text);
  if (value < 0) throw new InvalidArgumentError('Expected a number of at least 0.');
  return value;
}

/** A number from 0 to 1. @throws InvalidArgumentError for anything else. */
export function parseFraction(text: string): number {
  const value = parseNumber(text);
  if (value < 0 || value > 1) throw new InvalidArgumentError('Expected a number from 0 to 1.');
  return value;
}

/** A parser of integers from `min` to `max`. It throws InvalidArgumentError for anything else. */
export function integerFrom(min: number, max = Infinity): (text: string) => number {
  return (text) => {
    const value = parseNumber(text);
    if (!Number.isSafeInteger(value) || value < min)
      throw new InvalidArgumentError(`Expected an integer of at least ${min}.`);
    if (value > max) throw new InvalidArgumentError(`Expected at most ${max}.`);
    return value;
  };
}

/** A device as `checkDevice` knows it. @throws InvalidArgumentError for anything else. */
export function parseDeviceOption(text: string): string | number {
  try {
    return checkDevice(/^\d+$/.test(text) ? Number(text) : text, '--device');
  } catch (error) {
    throw new InvalidArgumentError(messageOf(error));
  }
}

/** The name of an image's files without an extension: the image's own. */
export function resultName(image: string): string {
  if (image === STDIN) return 'stdin';
  if (/^data:/i.test(image)) return 'image';
  const isUrl = /^(https?|file):/i.test(image) && URL.canParse(image);
  const file = isUrl ? path.posix.basename(new URL(image).pathname) : image;
  return path.parse(file).name || 'image';
}

/**
 * Checks where files are to go, before any work is done for them.
 *
 * @param directory that --out names.
 * @param names of the files.
 * @param isFree whether they must not be there yet.
 * @throws InvalidArgumentError where something that is no directory lies there or in its way, and for a file that is there.
 */
export async function checkTarget(
  directory: string,
  names: readonly string[],
  isFree: boolean,
): Promise<void> {
  try {
    await checkFolder(directory);
  } catch (error) {
    if (!(error instanceof Sam3TrackerError)) throw error;
    throw new InvalidArgumentError(
      error.code === 'FILE_INVALID' ? `--out takes a directory, and ${directory} is a file.` : error.message,
    );
  }
  for (const name of isFree ? names : []) {
    const file = path.join(directory, name);
    if ((await kindOf(file)) !== null)
      throw new InvalidArgumentError(
        `${file} is there already: --overwrite writes over it, or choose another directory with --out.`,
      );
  }
}

/**
 * Checks that no two images would write files of one name.
 *
 * @param images paths or URLs.
 * @throws InvalidArgumentError that names both.
 */
export function checkNames(images: readonly string[]): void {
  const names = images.map(resultName);
  const second = names.findIndex((name, index) => names.indexOf(name) !== index);
  if (second < 0) return;
  const both = [images[names.indexOf(names[second])], images[second]].map(printableName);
  throw new InvalidArgumentError(
    `${both.join(' and ')} would write the same files (${printableName(names[second])}): do them in two calls, with an --out each.`,
  );
}

/** Checks that standard input is named once at most. @throws InvalidArgumentError where it is named again. */
export function checkInput(names: readonly string[]): void {
  if (names.filter((name) => name === STDIN).length > 1)
    throw new InvalidArgumentError('Standard input (-) can be read once.');
}

/** Adds --device and --dtype: where a model computes, and in what. */
export function addTargetOptions(command: Command, dtype: (typeof MODEL_DTYPES)[number]): Command {
  return command
    .option(
      '--device <device>',
      'auto (CUDA where there is one), cpu, cuda, cuda:N or N',
      parseDeviceOption,
      'auto',
    )
    .addOption(
      new Option('--dtype <dtype>', "what to compute in; auto is the model's own")
        .choices([...MODEL_DTYPES, ...Object.keys(DTYPE_ALIASES)])
        .default(dtype),
    );
}

/** Adds --revision and --cache-dir: which files of a model on the hub are meant. */
export function addHubOptions(command: Command): Command {
  return command
    .option('--revision <revision>', 'of a model on the hub: a branch, a tag or a commit', 'main')
    .option('--cache-dir <directory>', "the hub's cache (default: HF_HUB_CACHE, else $HF_HOME/hub)");
}

/** Adds --model, --device, --dtype, --revision and --cache-dir. */
export function addModelOptions(command: Command): Command {
  const model = 'exported model, or the id of a bundled one or on the hub';
  return addHubOptions(addTargetOptions(command.option('--model <directory>', model), 'auto'));
}

/** Adds --overwrite. */
export function addOverwriteOption(command: Command): Command {
  return command.option('--overwrite', 'write over files that are in --out already', false);
}

/** Adds --quiet and --debug. */
export function addMessageOptions(command: Command): Command {
  return command
    .option('--quiet', 'print errors only', false)
    .option('--debug', 'print the stack of an error', false);
}

/** The model that --model names, or the bundled one, and then says so. */
export function chooseModel(named: string | undefined, say: (text: string) => void): string {
  if (named !== undefined) return named;
  say(`Using ${DEFAULT_MODEL}, a small demonstration model; --model takes a better one.\n`);
  return DEFAULT_MODEL;
}
