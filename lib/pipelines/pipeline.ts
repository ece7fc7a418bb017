/** `pipeline`, the way in that transformers and transformers.js share. */
import { types } from 'node:util';
import { wrongType, wrongValue } from '../core/errors';
import { DEFAULT_MODEL } from '../core/package';
import { readJsonFile } from '../core/files';
import { HUB_OPTIONS, splitHubOptions } from '../hub/settings';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { Sam3ImageProcessor } from '../image/image-processing-sam3';
import { Sam3TrackerModel } from '../model/modeling-sam3-tracker';
import { LOAD_OPTIONS, type PretrainedModelOptions } from '../model/load';
import { MaskGenerationPipeline } from './mask-generation';
import {
  checkMaskGenerationDefaults,
  MASK_GENERATION_DEFAULTS,
  type MaskGenerationDefaults,
} from './mask-generation-options';
import { checkOptions } from '../core/options';

/** The tasks that there are pipelines for. */
const TASKS = ['mask-generation'];

/** The file in a model's directory with its own arguments for segment-everything. */
const DEFAULTS_FILE = 'mask_generation_config.json';

async function readDefaults(files: PretrainedFiles): Promise<MaskGenerationDefaults> {
  const file = await files.find(DEFAULTS_FILE);
  return file === null ? {} : readJsonFile(file);
}

/** What `pipeline` takes in one object: the model, how it is loaded, and arguments for every call. */
export interface MaskGenerationPipelineOptions extends PretrainedModelOptions, MaskGenerationDefaults {
  /** What Sam3TrackerModel.from_pretrained takes, or a loaded one, which stays the caller's. Default: the bundled one. */
  model?: string | Sam3TrackerModel;
  /** What Sam3ImageProcessor.from_pretrained takes, or a loaded one. Default: the model's; needed beside a loaded model. */
  image_processor?: string | Sam3ImageProcessor;
}

interface Parts {
  model: unknown;
  image_processor: unknown;
  load: PretrainedModelOptions;
  defaults: MaskGenerationDefaults;
}

function isLoadedModel(value: unknown): value is Sam3TrackerModel {
  return typeof (value as Partial<Sam3TrackerModel> | null)?.generate_masks === 'function';
}

/** The arguments of `pipeline` in one form. */
function readParts(first: unknown, options: MaskGenerationPipelineOptions): Parts {
  const loadNames = [...LOAD_OPTIONS, ...HUB_OPTIONS];
  const allowed = ['model', 'image_processor', ...loadNames, ...MASK_GENERATION_DEFAULTS];
  const isPart = typeof first === 'string' || isLoadedModel(first);
  if (!isPart && (typeof first !== 'object' || first === null || types.isPromise(first)))
    throw wrongType('a directory, an id or { model, image_processor }', 'model', first);
  const given = isPart ? { ...options, model: first } : { ...first, ...options };
  const { model = DEFAULT_MODEL, image_processor, ...rest } = checkOptions(given, allowed, 'pipeline');
  if (typeof model !== 'string' && !isLoadedModel(model))
    throw wrongType('a Sam3TrackerModel or an id', 'model', model);
  const entries = Object.entries(rest);
  const [load, defaults] = [true, false].map((isLoad) =>
    Object.fromEntries(entries.filter(([name]) => loadNames.includes(name) === isLoad)),
  );
  return { model, image_processor, load, defaults: checkMaskGenerationDefaults(defaults) };
}

/**
 * A pipeline for a task. Mirrors transformers' `pipeline`.
 *
 * @param task 'mask-generation'.
 * @param model what Sam3TrackerModel.from_pretrained takes; or a loaded model, which stays the caller's, with its
 *   `image_processor` among the options; or all options in one object, `{ model, device }`. Default: the model that this
 *   package ships. A directory's mask_generation_config.json gives the arguments that calls take where neither they nor
 *   the options say something else.
 * @param options of Sam3TrackerModel.from_pretrained, none with a loaded model; `image_processor`; and arguments for every
 *   call, `points_per_batch` and so on.
 * @throws RangeError for an unknown task; TypeError for other kinds; and as the two from_pretrained.
 */
export async function pipeline(
  task: 'mask-generation',
  model: string | Sam3TrackerModel | MaskGenerationPipelineOptions = DEFAULT_MODEL,
  options: Omit<MaskGenerationPipelineOptions, 'model'> = {},
): Promise<MaskGenerationPipeline> {
  if (typeof task !== 'string') throw wrongType('the name of a task', 'task', task);
  if (!TASKS.includes(task)) throw wrongValue(`one of ${TASKS.join(', ')}`, 'task', task);
  const parts = readParts(model, options);
  const [hubOptions] = splitHubOptions(parts.load);
  const named = parts.image_processor;
  const image_processor = (
    typeof named === 'string' ? await Sam3ImageProcessor.from_pretrained(named, hubOptions) : named
  ) as Sam3ImageProcessor;
  if (isLoadedModel(parts.model)) {
    if (Object.keys(parts.load).length > 0)
      throw new TypeError('pipeline takes options for a model that it loads itself: not for a loaded one.');
    return new MaskGenerationPipeline({ model: parts.model, image_processor }, parts.defaults);
  }
  // Opened once, so that all parts are of one commit.
  const files = await openPretrained(parts.model as string, hubOptions);
  const own = image_processor ?? (await Sam3ImageProcessor.from_pretrained(files));
  const defaults = { ...(await readDefaults(files)), ...parts.defaults };
  const loaded = await Sam3TrackerModel.from_pretrained(files, parts.load);
  try {
    return new MaskGenerationPipeline({ model: loaded, image_processor: own }, defaults, true);
  } catch (error) {
    loaded.dispose();
    throw error;
  }
}
