/** What a command line must hold as a whole, checked before libtorch is loaded. */
import { statSync } from 'node:fs';
import path from 'node:path';
import { InvalidArgumentError } from 'commander';
import type { ObjectPrompt } from './prompts';

/** The name of a picture's files without an extension: the picture's own. */
export function resultName(image: string): string {
  if (/^data:/i.test(image)) return 'image';
  const isUrl = /^(https?|file):/i.test(image) && URL.canParse(image);
  const file = isUrl ? path.posix.basename(new URL(image).pathname) : image;
  return path.parse(file).name || 'image';
}

/**
 * Checks where files are to go, before any work is done for them.
 *
 * @throws InvalidArgumentError where something that is no directory lies there.
 */
export function checkDirectory(directory: string): void {
  if (statSync(directory, { throwIfNoEntry: false })?.isDirectory() === false)
    throw new InvalidArgumentError(`--out takes a directory, and ${directory} is a file.`);
}

/**
 * Checks that the pictures, prompts and mask files of a command line fit each other.
 *
 * @param images paths or URLs.
 * @param objects what is asked of each picture.
 * @param masks files of mask prompts.
 * @throws InvalidArgumentError where nothing is asked for, masks and pictures differ in number, or two pictures would
 *   write files of the same names.
 */
export function checkUsage(
  images: readonly string[],
  objects: readonly ObjectPrompt[],
  masks: readonly string[],
): void {
  if (objects.length === 0 && masks.length === 0)
    throw new InvalidArgumentError('Say what to segment: --point, --box or --mask.');
  if (masks.length > 0 && masks.length !== images.length)
    throw new InvalidArgumentError(
      `Give --mask once for each image: ${masks.length} for ${images.length} images.`,
    );
  const names = images.map(resultName);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined)
    throw new InvalidArgumentError(`Two images would write the same files: ${twice}-mask.png and others.`);
}
