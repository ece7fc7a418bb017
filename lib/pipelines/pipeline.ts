/** `pipeline`, the way in that transformers and transformers.js share. */
import { wrongType, wrongValue } from '../core/errors';
import { DEFAULT_MODEL } from '../core/package';
import { readJsonFile } from '../core/files';
import { splitHubOptions } from '../hub/settings';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { Sam3ImageProcessor } from '../image/image-processing-sam3';
import { Sam3TrackerModel } from '../model/modeling-sam3-tracker';
import { type PretrainedModelOptions } from '../model/load';
import { MaskGenerationPipeline, type MaskGenerationComponents } from './mask-generation';
import type { MaskGenerationDefaults } from './mask-generation-options';

/** The tasks that there are pipelines for. */
const TASKS = ['mask-generation'];

/** The file in a model's directory with its own arguments for segment-everything. */
const DEFAULTS_FILE = 'mask_generation_config.json';

async function readDefaults(files: PretrainedFiles): Promise<MaskGenerationDefaults> {
  const file = await files.find(DEFAULTS_FILE);
  return file === null ? {} : readJsonFile(file);
}

/**
 * A pipeline for a task. Mirrors transformers' `pipeline`.
 *
 * @param task 'mask-generation'.
 * @param model what Sam3TrackerModel.from_pretrained takes; or `{ model, image_processor }`, already loaded, which the
 *   caller disposes of. Default: the model that this package ships. A directory's mask_generation_config.json gives the
 *   arguments that calls take where they say nothing else.
 * @param options of Sam3TrackerModel.from_pretrained; none with a loaded model.
 * @throws RangeError for an unknown task; TypeError for other kinds; and as the two from_pretrained.
 */
export async function pipeline(
  task: 'mask-generation',
  model: string | MaskGenerationComponents = DEFAULT_MODEL,
  options: PretrainedModelOptions = {},
): Promise<MaskGenerationPipeline> {
  if (typeof task !== 'string') throw wrongType('the name of a task', 'task', task);
  if (!TASKS.includes(task)) throw wrongValue(`one of ${TASKS.join(', ')}`, 'task', task);
  if (typeof model !== 'string') {
    if (typeof model !== 'object' || model === null)
      throw wrongType('a directory, an id or { model, image_processor }', 'model', model);
    if (Object.keys(options).length > 0)
      throw new TypeError('pipeline takes options for a model that it loads itself: not for a loaded one.');
    return new MaskGenerationPipeline(model);
  }
  const [hubOptions] = splitHubOptions(options);
  // Opened once, so that all parts are of one commit.
  const files = await openPretrained(model, hubOptions);
  const image_processor = await Sam3ImageProcessor.from_pretrained(files);
  const defaults = await readDefaults(files);
  const loaded = await Sam3TrackerModel.from_pretrained(files, options);
  try {
    return new MaskGenerationPipeline({ model: loaded, image_processor }, defaults, true);
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}
