/** The JSON files of a model next to its weights: configuration, image processor, processor. */
import { readJsonFile } from '../core/files';
import type { PretrainedFiles } from './pretrained-files';
import { decodeSpecialFloats } from '../core/json';
import { isPlainObject } from '../core/options';

function readJson(source: PretrainedFiles, file: string): Promise<Record<string, unknown>> {
  return source.read(() => readJsonFile(file));
}

/** The content of config.json. @throws Sam3TrackerError as `PretrainedFiles.need` and `readJsonFile`. */
export async function readConfigDict(source: PretrainedFiles): Promise<Record<string, unknown>> {
  return decodeSpecialFloats(await readJson(source, await source.need('config.json'))) as Record<
    string,
    unknown
  >;
}

/** The content of processor_config.json; an empty object for a model without one. @throws as `readConfigDict`. */
export async function readProcessorConfig(source: PretrainedFiles): Promise<Record<string, unknown>> {
  const file = await source.find('processor_config.json');
  return file === null ? {} : readJson(source, file);
}

/**
 * The image processor's settings: the `image_processor` part of processor_config.json where there is one, else
 * preprocessor_config.json.
 *
 * @throws as `readConfigDict`.
 */
export async function readImageProcessorConfig(source: PretrainedFiles): Promise<Record<string, unknown>> {
  const nested = (await readProcessorConfig(source)).image_processor;
  return isPlainObject(nested) ? nested : readJson(source, await source.need('preprocessor_config.json'));
}
