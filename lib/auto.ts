/** The Auto classes: they choose a class by what a model's files say (transformers' models/auto). */
import { Sam3TrackerConfig } from './config/sam3-tracker';
import type { ConfigDict } from './config/fields';
import type { PreTrainedConfig } from './config/pretrained-config';
import { Sam3ViTConfig, Sam3VisionConfig } from './config/sam3-vision';
import { typeName } from './core/errors';
import { readJsonFile } from './core/files';
import { splitHubOptions } from './hub/settings';
import type { HubOptions } from './hub/settings';
import { openPretrained } from './checkpoint/pretrained-files';
import type { PretrainedFiles } from './checkpoint/pretrained-files';
import { Sam3ImageProcessor } from './image/image-processing-sam3';
import type { Sam3ImageProcessorOptions } from './image/options';
import { Sam3TrackerModel } from './model/modeling-sam3-tracker';
import type { NewModelOptions, PretrainedModelOptions } from './model/load';
import { Sam3TrackerProcessor } from './processor/processing-sam3-tracker';
import type { Sam3TrackerProcessorSettings } from './processor/options';
import { checkString } from './core/options';

/** The configurations that `model_type` names; a sam3_video one holds the tracker's. */
const CONFIGURATIONS = {
  sam3_tracker: Sam3TrackerConfig,
  sam3_video: Sam3TrackerConfig,
  sam3_vision_model: Sam3VisionConfig,
  sam3_vit_model: Sam3ViTConfig,
} as const;

/** The models for each of whose checkpoints the tracker's processor and image processor are right. */
const TRACKER_TYPES = ['sam3_tracker', 'sam3_tracker_video', 'sam3_video'];
const PROCESSORS = ['Sam3TrackerProcessor', 'Sam3TrackerVideoProcessor', 'Sam3VideoProcessor'];
const IMAGE_PROCESSORS = ['Sam3ImageProcessor', 'Sam3ImageProcessorFast'];

/** The files of a model, of which the options name the hub's part. */
function open(name_or_path: string, options: HubOptions): Promise<PretrainedFiles> {
  const [hubOptions] = splitHubOptions(options);
  return openPretrained(name_or_path, hubOptions);
}

/** A JSON file of a model, or null where the model has none of this name. */
async function optionalJson(source: PretrainedFiles, filename: string): Promise<ConfigDict | null> {
  const file = await source.find(filename);
  return file === null ? null : readJsonFile(file);
}

async function modelTypeOf(source: PretrainedFiles): Promise<string> {
  const { model_type } = await readJsonFile(await source.need('config.json'));
  if (typeof model_type !== 'string')
    throw new RangeError(
      `Unrecognized model in ${source.name}. Should have a \`model_type\` key in its config.json.`,
    );
  return model_type;
}

function isKnown(model_type: string): model_type is keyof typeof CONFIGURATIONS {
  return Object.hasOwn(CONFIGURATIONS, model_type);
}

function unknownType(model_type: string): RangeError {
  return new RangeError(
    `The checkpoint you are trying to load has model type \`${model_type}\` but sam3-tracker does not recognize this ` +
      `architecture. It has: ${Object.keys(CONFIGURATIONS).join(', ')}.`,
  );
}

/** Chooses a configuration by `model_type`. Mirrors transformers' class of this name; there are no instances. */
export abstract class AutoConfig {
  /**
   * Reads config.json: a Sam3TrackerConfig for sam3_tracker, and for sam3_video, which holds one; a Sam3VisionConfig or a
   * Sam3ViTConfig for the types of these.
   *
   * @param pretrained_model_name_or_path as for the configurations' own `from_pretrained`.
   * @param options the hub's, and fields that replace those of the file.
   * @throws RangeError for another `model_type`, or none; else as the configurations.
   */
  static async from_pretrained(
    pretrained_model_name_or_path: string,
    options: HubOptions & ConfigDict = {},
  ): Promise<Sam3TrackerConfig | Sam3VisionConfig | Sam3ViTConfig> {
    const source = await open(pretrained_model_name_or_path, options);
    const model_type = await modelTypeOf(source);
    if (!isKnown(model_type)) throw unknownType(model_type);
    return CONFIGURATIONS[model_type].from_pretrained<Sam3TrackerConfig | Sam3VisionConfig | Sam3ViTConfig>(
      source,
      options,
    );
  }

  /**
   * A configuration of a type with the given fields.
   *
   * @throws RangeError for an unknown type, with the reference's message; else as the configurations.
   */
  static for_model(
    model_type: string,
    fields: ConfigDict = {},
  ): Sam3TrackerConfig | Sam3VisionConfig | Sam3ViTConfig {
    const name = checkString(model_type, 'model_type');
    // A sam3_video configuration is more than the tracker's, which is all that there is here.
    if (!isKnown(name) || name === 'sam3_video')
      throw new RangeError(
        `Unrecognized model identifier: ${name}. Should contain one of ` +
          Object.keys(CONFIGURATIONS)
            .filter((known) => known !== 'sam3_video')
            .join(', '),
      );
    return new CONFIGURATIONS[name](fields);
  }
}

function fromConfig(config: PreTrainedConfig, options: NewModelOptions, where: string): Sam3TrackerModel {
  if (!(config instanceof Sam3TrackerConfig))
    throw new RangeError(
      `Unrecognized configuration class ${typeName(config)} for this kind of AutoModel: ${where}.\n` +
        'Model type should be one of Sam3TrackerConfig.',
    );
  return new Sam3TrackerModel(config, options);
}

/** Chooses a model by `model_type`: sam3_tracker. Mirrors transformers' class of this name; there are no instances. */
export abstract class AutoModel {
  /**
   * Loads the tracker.
   *
   * @param pretrained_model_name_or_path as for `Sam3TrackerModel.from_pretrained`.
   * @param options as for `Sam3TrackerModel.from_pretrained`.
   * @throws RangeError for another `model_type`: for sam3_video, which is Sam3VideoModel in transformers, it names
   *   AutoModelForMaskGeneration; else as `Sam3TrackerModel.from_pretrained`.
   */
  static async from_pretrained(
    pretrained_model_name_or_path: string,
    options: PretrainedModelOptions = {},
  ): Promise<Sam3TrackerModel> {
    const source = await open(pretrained_model_name_or_path, options);
    const model_type = await modelTypeOf(source);
    if (model_type === 'sam3_video')
      throw new RangeError(
        `AutoModel stands for Sam3VideoModel with ${pretrained_model_name_or_path} (model type sam3_video), which this ` +
          'package does not have. AutoModelForMaskGeneration loads the tracker of it.',
      );
    if (model_type !== 'sam3_tracker') throw unknownType(model_type);
    return Sam3TrackerModel.from_pretrained(source, options);
  }

  /**
   * A tracker of a configuration with random weights: `new Sam3TrackerModel(config, options)`.
   *
   * @throws RangeError for another configuration, with the reference's message; else as the constructor.
   */
  static from_config(config: PreTrainedConfig, options: NewModelOptions = {}): Sam3TrackerModel {
    return fromConfig(config, options, 'AutoModel');
  }
}

/**
 * Chooses a model that makes masks by `model_type`: the tracker, for sam3_tracker and sam3_video. Mirrors transformers'
 * class of this name; there are no instances.
 */
export abstract class AutoModelForMaskGeneration {
  /**
   * Loads the tracker.
   *
   * @param pretrained_model_name_or_path as for `Sam3TrackerModel.from_pretrained`.
   * @param options as for `Sam3TrackerModel.from_pretrained`.
   * @throws RangeError for another `model_type`; else as `Sam3TrackerModel.from_pretrained`.
   */
  static async from_pretrained(
    pretrained_model_name_or_path: string,
    options: PretrainedModelOptions = {},
  ): Promise<Sam3TrackerModel> {
    const source = await open(pretrained_model_name_or_path, options);
    const model_type = await modelTypeOf(source);
    if (!['sam3_tracker', 'sam3_video'].includes(model_type)) throw unknownType(model_type);
    return Sam3TrackerModel.from_pretrained(source, options);
  }

  /** As `AutoModel.from_config`. */
  static from_config(config: PreTrainedConfig, options: NewModelOptions = {}): Sam3TrackerModel {
    return fromConfig(config, options, 'AutoModelForMaskGeneration');
  }
}

/** Chooses a processor by its class's name or by `model_type`. Mirrors transformers' class; there are no instances. */
export abstract class AutoProcessor {
  /**
   * The tracker's processor, where processor_config.json or preprocessor_config.json name the processor of a SAM3
   * tracker or video model, or else where the `model_type` is one.
   *
   * @param pretrained_model_name_or_path as for `Sam3TrackerProcessor.from_pretrained`.
   * @param settings as for `Sam3TrackerProcessor.from_pretrained`.
   * @throws RangeError for another processor; else as `Sam3TrackerProcessor.from_pretrained`.
   */
  static async from_pretrained(
    pretrained_model_name_or_path: string,
    settings: Sam3TrackerProcessorSettings & HubOptions = {},
  ): Promise<Sam3TrackerProcessor> {
    const source = await open(pretrained_model_name_or_path, settings);
    for (const file of ['processor_config.json', 'preprocessor_config.json']) {
      const processor_class = (await optionalJson(source, file))?.processor_class;
      if (typeof processor_class !== 'string') continue;
      if (PROCESSORS.includes(processor_class)) return Sam3TrackerProcessor.from_pretrained(source, settings);
      throw new RangeError(
        `${pretrained_model_name_or_path} has a processor of class ${processor_class}, which this package does not have. ` +
          `It has: ${PROCESSORS[0]}.`,
      );
    }
    if (TRACKER_TYPES.includes(await modelTypeOf(source)))
      return Sam3TrackerProcessor.from_pretrained(source, settings);
    throw new RangeError(
      `Unrecognized processing class in ${pretrained_model_name_or_path}. Can't instantiate a processor, a tokenizer, an ` +
        'image processor, a video processor or a feature extractor for this model. Make sure the repository contains the ' +
        'files of at least one of those processing classes.',
    );
  }
}

/** Chooses an image processor by its class's name or by `model_type`. Mirrors transformers' class; no instances. */
export abstract class AutoImageProcessor {
  /**
   * A Sam3ImageProcessor, where `image_processor_type` is that, or else where the `model_type` is of a SAM3 tracker or
   * video model.
   *
   * @param pretrained_model_name_or_path as for `Sam3ImageProcessor.from_pretrained`.
   * @param overrides as for `Sam3ImageProcessor.from_pretrained`.
   * @throws RangeError for another image processor; else as `Sam3ImageProcessor.from_pretrained`.
   */
  static async from_pretrained(
    pretrained_model_name_or_path: string,
    overrides: Sam3ImageProcessorOptions & HubOptions = {},
  ): Promise<Sam3ImageProcessor> {
    const source = await open(pretrained_model_name_or_path, overrides);
    const processor = await optionalJson(source, 'processor_config.json');
    const settings =
      (processor?.image_processor as ConfigDict | undefined) ??
      (await optionalJson(source, 'preprocessor_config.json'));
    const type = settings?.image_processor_type;
    const isRight =
      typeof type === 'string'
        ? IMAGE_PROCESSORS.includes(type)
        : TRACKER_TYPES.includes(await modelTypeOf(source));
    if (isRight) return Sam3ImageProcessor.from_pretrained(source, overrides);
    throw new RangeError(
      `Unrecognized image processor in ${pretrained_model_name_or_path}. Should have a \`image_processor_type\` key in its ` +
        'preprocessor_config.json of config.json, or one of the following `model_type` keys in its config.json: ' +
        `${TRACKER_TYPES.join(', ')}`,
    );
  }
}
