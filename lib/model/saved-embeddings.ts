/** Image embeddings in a file, so that clicks on an image need no encoder after a restart. */
import path from 'node:path';
import { readSafetensors, readWeightBytes, safetensorsParts } from '../checkpoint/safetensors';
import type { SafetensorsEntry } from '../checkpoint/safetensors';
import { DTYPES, isDType, isFloating } from '../core/dtype';
import type { DType } from '../core/dtype';
import { Sam3TrackerError, wrongType, wrongValue } from '../core/errors';
import { saveFiles } from '../core/files';
import { isError } from '../core/kinds';
import { checkOptions, checkString } from '../core/options';
import type { SizesInput } from '../image/post-process-masks';
import { readSizes } from '../image/sizes';
import { Tensor } from '../tensor';
import { checkImageEmbeddings, levelsOf } from './inputs';
import type { NamedImageEmbeddings } from './inputs';
import { Sam3TrackerPreTrainedModel } from './pretrained-model';

/** Embeddings of images with what prompts on them need. */
export interface ImageEmbeddingsToSave {
  /** One (images, channels, height, width) a level, as get_image_embeddings and the outputs have them. */
  image_embeddings: readonly Tensor[] | NamedImageEmbeddings;
  /** [height, width] in pixels of each image, as the processor gives them. */
  original_sizes: SizesInput;
}

/** Embeddings as they were saved. */
export interface SavedImageEmbeddings {
  /** One (images, channels, height, width) a level, on the model's device and in its dtype. */
  image_embeddings: Tensor[];
  /** [height, width] in pixels of each image: (images, 2), int64. The processor takes it for prompts. */
  original_sizes: Tensor;
}

const SIZES = 'original_sizes';
const levelName = (level: number): string => `image_embeddings.${level}`;

async function bytesOf(tensor: Tensor): Promise<Uint8Array> {
  using host = await tensor.cpu();
  const { data } = host;
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/**
 * Writes image embeddings into a safetensors file, which is there as a whole or not at all. Python's safetensors reads it.
 *
 * @param file where they go; its folder is made where it is missing.
 * @param embeddings `{ image_embeddings, original_sizes }`: what get_image_embeddings and the processor gave.
 * @throws TypeError and RangeError for other kinds, and for uneven numbers of images; Sam3TrackerError DISPOSED, FILE_INVALID
 *   where the folder is a file, FILE_NOT_WRITTEN.
 */
export async function save_image_embeddings(file: string, embeddings: ImageEmbeddingsToSave): Promise<void> {
  checkString(file, 'file');
  const given = checkOptions(embeddings, ['image_embeddings', SIZES], 'save_image_embeddings');
  const levels = levelsOf(given.image_embeddings);
  if (!Array.isArray(levels) || levels.length === 0)
    throw wrongType('a list of Tensors', 'image_embeddings', given.image_embeddings);
  const sizes = await readSizes(given.original_sizes, true);
  const weights = levels.map((level: unknown, index) => {
    const name = `image_embeddings[${index}]`;
    if (!Tensor.isTensor(level)) throw wrongType('a Tensor', name, level);
    if (!isFloating(level.type)) throw wrongType('a floating-point Tensor', name, level.type);
    if (level.dims.length !== 4 || level.dims[0] !== sizes.length)
      throw wrongValue(
        `dims (${sizes.length}, channels, height, width), images like sizes,`,
        name,
        level.dims,
      );
    return level;
  });
  const shapes = BigInt64Array.from(sizes.flat().map(BigInt));
  const contents = await Promise.all(
    weights.map(async (level, index) => ({
      name: levelName(index),
      dtype: level.type,
      shape: level.dims,
      bytes: await bytesOf(level),
    })),
  );
  const last = { name: SIZES, dtype: 'int64' as const, shape: [sizes.length, 2] };
  const content = safetensorsParts([...contents, { ...last, bytes: new Uint8Array(shapes.buffer) }]);
  await saveFiles(path.dirname(file), [{ name: path.basename(file), content }]);
}

function invalid(file: string, what: string): Sam3TrackerError {
  return new Sam3TrackerError('FILE_INVALID', `${file} holds no image embeddings: ${what}.`);
}

/** The entries of the levels and of the sizes. @throws Sam3TrackerError FILE_INVALID. */
function checkEntries(file: string, entries: readonly SafetensorsEntry[]): SafetensorsEntry[] {
  const wanted = [...Array.from({ length: entries.length - 1 }, (_, level) => levelName(level)), SIZES];
  const found = wanted.map((name) => {
    const entry = entries.find((one) => one.name === name);
    if (!entry) throw invalid(file, `it has no ${name}`);
    return entry;
  });
  const sizes = found[found.length - 1];
  const [images] = sizes.shape;
  if (sizes.dtype !== 'int64' || sizes.shape.length !== 2 || sizes.shape[1] !== 2 || images < 1)
    throw invalid(file, `${SIZES} must be int64 of (images, 2)`);
  for (const { name, dtype, shape } of found.slice(0, -1))
    if (!isDType(dtype) || !isFloating(dtype) || shape.length !== 4 || shape[0] !== images)
      throw invalid(file, `${name} must be floating-point numbers of (${images}, channels, height, width)`);
  return found;
}

function tensorOf({ dtype, shape }: SafetensorsEntry, { buffer, byteOffset, length }: Buffer): Tensor {
  const type = dtype as DType;
  const Elements = DTYPES[type].array;
  const aligned = buffer.slice(byteOffset, byteOffset + length);
  return new Tensor(type, new Elements(aligned), shape);
}

/**
 * Reads image embeddings that save_image_embeddings has written: `model.predict_masks({ ...prompts, image_embeddings })` goes
 * on with them, with prompts of `processor({ original_sizes, input_points })`.
 *
 * @param file the file.
 * @param model the one that encoded the images: what the file holds is checked against it, brought to its device and
 *   converted to its dtype. Another model of the same shapes cannot be told from it.
 * @throws TypeError and RangeError for other kinds of arguments; Sam3TrackerError FILE_NOT_FOUND, FILE_INVALID for a file
 *   that holds something else, CONFIG_MISMATCH for one of another model, OUT_OF_MEMORY.
 */
export async function load_image_embeddings(
  file: string,
  model: Sam3TrackerPreTrainedModel,
): Promise<SavedImageEmbeddings> {
  checkString(file, 'file');
  if (!(model instanceof Sam3TrackerPreTrainedModel)) throw wrongType('a model', 'model', model);
  const header = await readSafetensors(file);
  const entries = checkEntries(file, header.entries);
  const bytes = await readWeightBytes(header, entries);
  const tensors = entries.map((entry, index) => tensorOf(entry, bytes[index]));
  const original_sizes = tensors.pop() as Tensor;
  try {
    await readSizes(original_sizes, true);
  } catch (cause) {
    throw invalid(file, (cause as Error).message);
  }
  const { device, dtype } = model;
  const image_embeddings = await Promise.all(tensors.map((tensor) => tensor.to({ device, dtype })));
  tensors.forEach((tensor) => tensor.dispose());
  try {
    checkImageEmbeddings(image_embeddings, model.config, dtype);
  } catch (cause) {
    if (!isError(cause) || cause.name !== 'RangeError') throw cause;
    throw new Sam3TrackerError('CONFIG_MISMATCH', `${file} is of another model: ${cause.message}`, { cause });
  }
  return { image_embeddings, original_sizes };
}
