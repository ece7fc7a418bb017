/** Annotation files for folders of images. */
import { readdir } from 'node:fs/promises';
import path from 'node:path';
import {
  CocoDatasetBuilder,
  checkSegmentation,
  type CocoCategories,
  type CocoDataset,
  type CocoSegmentation,
} from '../masks/coco';
import type { Mask } from '../masks/types';
import { Sam3TrackerError, wrongType, wrongValue } from '../core/errors';
import { checkFile, checkFolder, hasCode, saveFiles } from '../core/files';
import type { RawImage, RawImageInput } from '../image/raw-image';
import { checkOptions, checkString, isPlainObject, optionalBoolean } from '../core/options';
import type { MaskGenerationOutput, MaskGenerationPipeline } from './mask-generation';
import { checkMaskGenerationOptions, type MaskGenerationOptions } from './mask-generation-options';
import { pointLimitOf } from './mask-generation-run';
import { readImage, watchCallback } from './mask-generation';
import { mapInTurns } from '../core/async';

/** An image that is no file: what annotations and callbacks call it, and whatever RawImage.read takes. */
export interface CocoSource {
  /** The `file_name`. */
  name: string;
  /** The image. */
  image: RawImageInput;
}

/** How `write_coco_annotations` works. */
export interface CocoAnnotationsOptions {
  /** Arguments of the pipeline; its output arguments change nothing here. */
  generation?: MaskGenerationOptions;
  /** How the file says which pixels are inside. Default 'coco_rle'; 'polygons' cannot say holes, `area` leaves them out. */
  segmentation?: CocoSegmentation;
  /** What objects there are: names, or categories with ids of their own. Default one category 'object'. */
  categories?: CocoCategories;
  /** The name or id of a mask's category; undefined is the first. Default: all are of the first. */
  category_of?: (mask: Mask, score: number, name: string) => string | number | undefined;
  /** Whether an aborted call writes what it has of the images that are done, if any, before it rejects. Default false. */
  write_partial?: boolean;
  /** Called before each image: which one of how many, from 0. */
  on_start?: (name: string, index: number, total: number) => void;
  /** Called with each image and its masks, and waited for; an image for which it fails has failed. */
  on_image?: (name: string, image: RawImage, output: MaskGenerationOutput) => Promise<void> | void;
  /** Called with the error of an image, which the file then leaves out. Default: rejects at the end. */
  on_error?: (name: string, error: Error) => void;
}

const OPTIONS = [
  'generation',
  'segmentation',
  'categories',
  'category_of',
  'write_partial',
  'on_start',
  'on_image',
  'on_error',
];
const IMAGE_FILE = /\.(?:jpe?g|png|webp|tiff?|gif|avif)$/i;

/** An image to annotate. */
interface Source {
  /** What callbacks call it: as it was given, in a folder its own name. */
  name: string;
  file_name: string;
  image: RawImageInput;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (cause) {
    if (hasCode(cause, 'ENOENT'))
      throw new Sam3TrackerError('FILE_NOT_FOUND', `There is no folder ${folder}.`, { cause });
    const what = hasCode(cause, 'ENOTDIR')
      ? 'is no folder: a list takes single images'
      : `cannot be read: ${(cause as Error).message}`;
    throw new Sam3TrackerError('FILE_INVALID', `${folder} ${what}.`, { cause });
  }
}

const isUrl = (name: string): boolean => /^[a-z][a-z\d+.-]+:/i.test(name);

/** The file names of images in an annotation file: paths relative to the folder that has all of them, and URLs. */
export function cocoFileNames(images: readonly string[]): string[] {
  const folders = images
    .filter((name) => !isUrl(name))
    .map((name) => path.dirname(path.resolve(name)).split(path.sep));
  const [first = []] = folders;
  const differs = first.findIndex((part, index) => folders.some((folder) => folder[index] !== part));
  const common = first.slice(0, differs < 0 ? first.length : differs).join(path.sep) || path.sep;
  return images.map((name) => {
    if (/^data:/i.test(name)) return 'image';
    return isUrl(name) ? name : path.relative(common, path.resolve(name)).split(path.sep).join('/');
  });
}

/** An image of a list; `paths` are the file names of those that are left. */
function readSource(one: unknown, paths: string[]): Source {
  if (!isPlainObject(one)) {
    const name = checkString(one, 'an image');
    return { name, file_name: paths.shift() as string, image: name };
  }
  const { name, image } = checkOptions(one, ['name', 'image'], 'an image');
  return { name: checkString(name, 'name'), file_name: name as string, image: image as RawImageInput };
}

async function listImages(images: string | readonly (string | CocoSource)[]): Promise<Source[]> {
  if (typeof images === 'string') {
    const names = (await namesIn(images)).filter((name) => IMAGE_FILE.test(name)).sort();
    if (names.length === 0) throw wrongValue('a folder with images', 'images', images);
    return names.map((name) => ({ name, file_name: name, image: path.join(images, name) }));
  }
  if (!Array.isArray(images)) throw wrongType('a folder or a list of paths', 'images', images);
  if (images.length === 0) throw wrongValue('at least one image', 'images', images);
  const paths = cocoFileNames(images.filter((one) => typeof one === 'string'));
  const taken = new Set<string>();
  return images.map((one: unknown): Source => {
    const source = readSource(one, paths);
    if (taken.has(source.file_name))
      throw wrongValue('images of different names', 'images', source.file_name);
    taken.add(source.file_name);
    return source;
  });
}

/**
 * Finds the masks of everything in a folder of images, and writes them as a COCO annotation file, which is there as a
 * whole or not at all. Images that fail are left out; where all fail, nothing is written.
 *
 * @param generator the pipeline.
 * @param images a folder, whose images are taken in the order of their names; or paths, URLs and `{ name, image }`. The
 *   file's `file_name` is a path relative to the folder, or to the one that has all the paths.
 * @param file where the annotations go; its folder is made where it is missing.
 * @param options how it is done.
 * @returns what was written.
 * @throws TypeError and RangeError for arguments, for no image and for two of one name, before any image is read;
 *   Sam3TrackerError FILE_NOT_FOUND for a folder that is not there; AggregateError after the file is written where
 *   images failed and there is no `on_error`; what the pipeline's progress_callback throws, and the reason of an
 *   aborted signal, and then no file is written unless `write_partial` asks for it after an abort; FILE_INVALID for a folder
 *   that is none, FILE_NOT_WRITTEN.
 */
export async function write_coco_annotations(
  generator: MaskGenerationPipeline,
  images: string | readonly (string | CocoSource)[],
  file: string,
  options: CocoAnnotationsOptions = {},
): Promise<CocoDataset> {
  checkOptions(options, OPTIONS, 'write_coco_annotations');
  checkString(file, 'file');
  const segmentation = checkSegmentation(options.segmentation);
  const { category_of, on_start, on_image, on_error } = options;
  const writePartial = optionalBoolean(options.write_partial, 'write_partial', false);
  const asked = { ...options.generation, output_mode: 'binary' as const };
  if (typeof generator !== 'function' || !('defaults' in generator))
    throw wrongType('a mask-generation pipeline', 'generator', generator, 'pipeline() makes one.');
  // What is wrong with the call is wrong with every image.
  const settings = checkMaskGenerationOptions(asked, generator.defaults);
  pointLimitOf(generator.model, settings);
  const callback = watchCallback(settings.progress_callback);
  const generation = { ...asked, progress_callback: callback.progress_callback };
  const dataset = new CocoDatasetBuilder(options.categories);
  const errors: Error[] = [];
  let failures = 0;
  const files = await listImages(images);
  await checkFolder(path.dirname(file));
  await checkFile(file);
  const write = async (): Promise<void> => {
    const text = `${JSON.stringify(dataset)}\n`;
    await saveFiles(path.dirname(file), [{ name: path.basename(file), content: text }]);
  };
  for (const [index, { name, file_name, image: source }] of files.entries()) {
    on_start?.(name, index, files.length);
    try {
      const image = await readImage(source, settings);
      const output = await generator(image, generation);
      await on_image?.(name, image, output);
      const categories = output.masks.map((mask, at) => category_of?.(mask, output.scores[at], name));
      categories.forEach((category) => dataset.categoryId(category));
      const id = dataset.addImage(file_name, [image.height, image.width]);
      // Not ended in the middle: the file has all masks of an image or none.
      await mapInTurns(output.masks, null, (mask, at) =>
        dataset.addMask(id, mask, { score: output.scores[at], segmentation, category: categories[at] }),
      );
    } catch (error) {
      if (callback.threw) throw error;
      if (settings.signal?.aborted || generator.model.disposed) {
        if (writePartial && index > failures) await write();
        throw error;
      }
      failures++;
      if (on_error) on_error(name, error as Error);
      else errors.push(error as Error);
    }
  }
  // What an earlier run found is worth more than an empty file.
  if (failures < files.length) await write();
  if (errors.length > 0)
    throw new AggregateError(
      errors,
      `${errors.length} of ${files.length} images failed: ${errors[0].message}`,
    );
  return dataset;
}
