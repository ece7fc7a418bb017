/** `PreTrainedConfig`: what transformers' configuration classes share (configuration_utils.py). */
import {
  COMMON_FIELDS,
  MOST_FIELDS,
  checkField,
  labelMaps,
  markFloats,
  readModelType,
  selectConfig,
  type ConfigDescription,
  type ConfigDict,
  type FieldTable,
} from './fields';
import { wrongType, wrongValue } from '../core/errors';
import { saveFiles } from '../core/files';
import { openPretrained } from '../checkpoint/pretrained-files';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { splitHubOptions } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { isSameJson, toPythonJson } from '../core/json';
import { readConfigDict } from '../checkpoint/settings';
import { checkOptions, checkOneOf, checkString, isPlainObject } from '../core/options';
import { guardMethods } from '../core/receivers';

/** A configuration class: its constructor, and what it says of itself. @internal */
export interface ConfigClass<T extends PreTrainedConfig = PreTrainedConfig> extends ConfigDescription {
  new (fields?: never): T;
  readonly fields: FieldTable;
  readonly sub_configs: Readonly<Record<string, ConfigClass>>;
}

/** The version of transformers whose classes these are; written where a configuration was not read from a file. */
const TRANSFORMERS_VERSION = '5.8.0';

/** Names that are read but are no fields: older spellings, and what lives in a session only. */
const CONSUMED_NAMES = [
  'torch_dtype',
  'num_labels',
  'name_or_path',
  'attn_implementation',
  '_commit_hash',
  '_attn_implementation_internal',
  '_experts_implementation_internal',
];

/** The base of all configuration classes. Fields are plain properties; unknown ones are kept and written again. */
export abstract class PreTrainedConfig {
  /** The name in `model_type` that stands for this class. @internal */
  static readonly model_type: string = '';
  /** Other names that `model_type` may hold in a file, and what is kept for each. @internal */
  static readonly readable_model_types: Readonly<Record<string, string>> = {};
  /** The key under which a larger configuration holds this one. @internal */
  static readonly base_config_key: string = '';
  /** The class's own fields, besides the common ones. @internal */
  static readonly fields: FieldTable = {};
  /** Fields that hold configurations, and their classes. @internal */
  static readonly sub_configs: Readonly<Record<string, ConfigClass>> = {};

  /** The name that stands for this class in config.json. */
  declare readonly model_type: string;
  /** The version of transformers that wrote the file this came from. */
  declare transformers_version: string;
  /** The directory or id that this was loaded from. */
  declare _name_or_path: string;
  /** Names of the model classes that the weights belong to, or null. */
  declare architectures: string[] | null;
  /** Whether the model returns all hidden states unless told. Default false. */
  declare output_hidden_states: boolean | null;
  /** Whether the model returns attentions unless told; needs attn_implementation 'eager' or none. Default false. */
  declare output_attentions: boolean | null;
  /** Whether the model returns an object unless told. Default true. */
  declare return_dict: boolean | null;
  /** The element type of the checkpoint's weights, or null. */
  declare dtype: string | null;
  /** Kept for round trips; the tracker does not use it. Default 0. */
  declare chunk_size_feed_forward: number;
  /** Kept for round trips; the tracker does not use it. Default false. */
  declare is_encoder_decoder: boolean;
  /** Kept for round trips; the tracker does not use it. */
  declare id2label: Record<string, string>;
  /** Kept for round trips; the tracker does not use it. */
  declare label2id: Record<string, number>;
  /** Kept for round trips; the tracker does not use it. */
  declare problem_type: string | null;

  #attnImplementation: 'sdpa' | 'eager' | null = null;

  /**
   * A configuration with the given fields.
   *
   * @param fields any of the class's fields; the rest takes its default, and unknown fields are kept.
   * @throws TypeError for a field of another kind; RangeError for a `model_type` of another class.
   */
  constructor(fields: object = {}) {
    const own = this.#class();
    if (!isPlainObject(fields)) throw wrongType('an object of fields', own.name, fields);
    const count = Object.keys(fields).length;
    if (count > MOST_FIELDS) throw wrongValue(`at most ${MOST_FIELDS} fields`, own.name, count);
    const given = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined));
    const text = (value: unknown, name: string): unknown =>
      checkField(value, { kind: 'string', default: '' }, `${own.name}.${name}`);
    const version = given.transformers_version ?? TRANSFORMERS_VERSION;
    this.#set('transformers_version', text(version, 'transformers_version'));
    this.#set('model_type', readModelType(own, given.model_type));
    this.#set('_name_or_path', text(given.name_or_path ?? given._name_or_path ?? '', 'name_or_path'));
    if (given.torch_dtype !== undefined) given.dtype ??= given.torch_dtype;
    if (given.num_labels !== undefined && (given.id2label ?? null) === null)
      Object.assign(given, labelMaps(given.num_labels));
    const table: FieldTable = { ...COMMON_FIELDS, ...own.fields };
    for (const [name, spec] of Object.entries(table)) {
      const missing = given[name] === undefined || (given[name] === null && spec.nullIsDefault);
      const value = missing ? spec.default : given[name];
      this.#set(name, checkField(value, spec, `${own.name}.${name}`));
    }
    for (const [name, subClass] of Object.entries(own.sub_configs))
      this.#set(name, makeSubConfig(subClass, given[name], `${own.name}.${name}`));
    for (const [name, value] of Object.entries(given))
      if (!Object.hasOwn(this, name) && !CONSUMED_NAMES.includes(name)) this.#setUnknown(name, value);
    if (given.attn_implementation !== undefined)
      this._attn_implementation = given.attn_implementation as 'sdpa' | 'eager' | null;
    this.validate();
  }

  /**
   * Reads a configuration from plain values, such as a parsed config.json, also where a larger one (a sam3_video
   * configuration with its tracker_config, say) holds it. Mirrors `PreTrainedConfig.from_dict`.
   *
   * @param config_dict the fields, or what holds them.
   * @param overrides fields that replace those of the dictionary; an object merges into a nested configuration.
   * @throws TypeError and RangeError as the constructor; TypeError for an override that is no field.
   */
  static from_dict<T extends PreTrainedConfig>(
    this: ConfigClass<T>,
    config_dict: ConfigDict,
    overrides: ConfigDict = {},
  ): T {
    return fromDict(this, config_dict, overrides);
  }

  /**
   * Reads config.json. Mirrors `PreTrainedConfig.from_pretrained`.
   *
   * @param pretrained_model_name_or_path a directory that holds config.json, a JSON file, the id of a model that this
   *   package ships, or that of a repository on the Hugging Face hub, from which the file is downloaded.
   * @param options the hub's (`HubOptions`), and fields that replace those of the file, as in `from_dict`.
   * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_INVALID, and the hub's (ACCESS_DENIED, REPOSITORY_NOT_FOUND,
   *   REVISION_NOT_FOUND, DOWNLOAD_FAILED, HASH_MISMATCH); TypeError and RangeError as `from_dict`.
   */
  static from_pretrained<T extends PreTrainedConfig>(
    this: ConfigClass<T>,
    pretrained_model_name_or_path: string,
    options?: HubOptions & ConfigDict,
  ): Promise<T>;
  /** From files that are open. @internal */
  static from_pretrained<T extends PreTrainedConfig>(
    this: ConfigClass<T>,
    files: string | PretrainedFiles,
    options?: HubOptions & ConfigDict,
  ): Promise<T>;
  /** The one behind both. */
  static async from_pretrained<T extends PreTrainedConfig>(
    this: ConfigClass<T>,
    name_or_files: string | PretrainedFiles,
    options: HubOptions & ConfigDict = {},
  ): Promise<T> {
    const [hubOptions, overrides] = splitHubOptions(options);
    const source = await openPretrained(name_or_files, hubOptions);
    return fromDict(this, await readConfigDict(source), overrides);
  }

  /** How attention is computed: 'sdpa', 'eager', or null for the model's choice. Never written; set on nested ones too. */
  get _attn_implementation(): 'sdpa' | 'eager' | null {
    return this.#attnImplementation;
  }

  /** Sets it here and on nested configurations. @throws TypeError or RangeError for another name. */
  set _attn_implementation(value: 'sdpa' | 'eager' | null) {
    this.#attnImplementation =
      value === null ? null : checkOneOf<'sdpa' | 'eager'>(value, ['sdpa', 'eager'], 'attn_implementation');
    for (const name of Object.keys(this.#class().sub_configs))
      (this.#get(name) as PreTrainedConfig)._attn_implementation = value;
  }

  /** The number of labels, from `id2label`. */
  get num_labels(): number {
    return Object.keys(this.id2label).length;
  }

  /**
   * Checks every field again, after assignments. Mirrors the `validate` of transformers' strict dataclasses.
   *
   * @throws TypeError for a field of another kind; RangeError for fields that contradict each other.
   */
  validate(): void {
    const own = this.#class();
    for (const [name, spec] of Object.entries({ ...COMMON_FIELDS, ...own.fields }))
      checkField(this.#get(name), spec, `${own.name}.${name}`);
    for (const [name, subClass] of Object.entries(own.sub_configs)) {
      const value = this.#get(name);
      if (!(value instanceof subClass)) throw wrongType(`a ${subClass.name}`, `${own.name}.${name}`, value);
      value.validate();
    }
    if (this.output_attentions && this.#attnImplementation === 'sdpa')
      throw new RangeError(
        'The `output_attentions` attribute is not supported when using the `attn_implementation` set to ' +
          "sdpa. Please set it to 'eager' instead.",
      );
    if (this.problem_type === 'single_label_classification' && this.num_labels === 1)
      throw new RangeError(
        '`problem_type="single_label_classification"` requires `num_labels > 1`. For binary ' +
          'classification use `num_labels=2`, or use `problem_type="regression"` for a ' +
          'single-output regression head.',
      );
  }

  /** All fields as plain values, defaults included: a deep copy. Mirrors `to_dict`. */
  to_dict(): ConfigDict {
    const plain = (value: unknown): unknown => {
      if (!(value instanceof PreTrainedConfig)) return structuredClone(value);
      const nested = value.to_dict();
      delete nested.transformers_version;
      return nested;
    };
    return Object.fromEntries(Object.entries(this).map(([name, value]) => [name, plain(value)]));
  }

  /** The fields that differ from transformers' defaults, as its config.json holds them. Mirrors `to_diff_dict`. */
  to_diff_dict(): ConfigDict {
    const common = commonDefaults();
    const defaults = new (this.#class())().to_dict();
    const isWritten = (name: string, value: unknown): boolean =>
      name === 'transformers_version' ||
      (name !== '_name_or_path' &&
        (!isSameJson(value, common[name]) || (name in defaults && !isSameJson(value, defaults[name]))));
    const parts = Object.entries(this.to_dict()).map(([name, value]): [string, unknown] => {
      const field = this.#get(name);
      return [name, field instanceof PreTrainedConfig ? field.#nestedDiff() : value];
    });
    return Object.fromEntries(parts.filter(([name, value]) => isWritten(name, value)));
  }

  /**
   * JSON text, the bytes that transformers writes: keys sorted, floats as Python shows them. Mirrors `to_json_string`.
   *
   * @param use_diff true (the default) for `to_diff_dict`, false for `to_dict`.
   */
  to_json_string(use_diff = true): string {
    return `${toPythonJson(this.#withFloats(use_diff ? this.to_diff_dict() : this.to_dict()))}\n`;
  }

  /** Plain values for `JSON.stringify`: `to_diff_dict`. */
  toJSON(): ConfigDict {
    return this.to_diff_dict();
  }

  /**
   * Writes config.json into a directory, which is made where it is missing. Mirrors `save_pretrained`.
   *
   * @throws TypeError and RangeError as `validate`; Sam3TrackerError FILE_INVALID where a file has the directory's name,
   *   FILE_NOT_WRITTEN.
   */
  async save_pretrained(save_directory: string): Promise<void> {
    checkString(save_directory, 'save_directory');
    this.validate();
    await saveFiles(save_directory, [{ name: 'config.json', content: this.to_json_string() }]);
  }

  /** Marks what must be written as a float; classes with floats deeper inside add theirs. */
  protected markFloats(dict: ConfigDict): ConfigDict {
    const table: FieldTable = { ...COMMON_FIELDS, ...this.#class().fields };
    return Object.fromEntries(
      Object.entries(dict).map(([name, value]) => [name, markFloats(value, table[name])]),
    );
  }

  #withFloats(dict: ConfigDict): ConfigDict {
    const marked = this.markFloats(dict);
    for (const name of Object.keys(this.#class().sub_configs))
      marked[name] = (this.#get(name) as PreTrainedConfig).#withFloats(dict[name] as ConfigDict);
    return marked;
  }

  #nestedDiff(): ConfigDict {
    const common = commonDefaults();
    const defaults = new (this.#class())().to_dict();
    const isWritten = (name: string, value: unknown): boolean =>
      !(name in common) || name === 'model_type' || !isSameJson(value, defaults[name]);
    const dict = this.to_dict();
    delete dict.transformers_version;
    return Object.fromEntries(Object.entries(dict).filter(([name, value]) => isWritten(name, value)));
  }

  #class(): ConfigClass {
    return this.constructor as unknown as ConfigClass;
  }

  #get(name: string): unknown {
    return (this as unknown as ConfigDict)[name];
  }

  #set(name: string, value: unknown): void {
    // defineProperty, since a file may hold a key such as "__proto__".
    Object.defineProperty(this, name, { value, writable: true, enumerable: true, configurable: true });
  }

  #setUnknown(name: string, value: unknown): void {
    toPythonJson(value); // refuses what JSON cannot hold
    const present = name === '__proto__' ? undefined : this.#get(name);
    if (typeof present === 'function')
      throw wrongValue('a name that no method has', 'a field of the configuration', name);
    // What is there is reached through a setter, such as image_size.
    if (present === undefined) this.#set(name, structuredClone(value));
    else (this as unknown as ConfigDict)[name] = value;
  }
}

guardMethods(PreTrainedConfig, ['from_dict', 'from_pretrained']);

/** `PreTrainedConfig().to_dict()`, which transformers leaves out of config.json. */
function commonDefaults(): ConfigDict {
  const entries = Object.entries(COMMON_FIELDS).map(([name, spec]) => [name, spec.default]);
  const defaults = Object.fromEntries(entries) as ConfigDict;
  return { ...defaults, model_type: '', _name_or_path: '', transformers_version: '' };
}

function makeSubConfig(subClass: ConfigClass, value: unknown, name: string): PreTrainedConfig {
  if (value === undefined || value === null) return new subClass();
  if (Object.prototype.isPrototypeOf.call(subClass.prototype, value)) return value as PreTrainedConfig;
  // Another copy's: those here reach into the private methods of the configurations that they hold.
  if (value instanceof subClass) return new subClass(value.to_dict() as never);
  if (!isPlainObject(value)) throw wrongType(`an object of fields or a ${subClass.name}`, name, value);
  return new subClass(value as never);
}

function fromDict<T extends PreTrainedConfig>(
  own: ConfigClass<T>,
  config_dict: ConfigDict,
  overrides: ConfigDict,
): T {
  if (!isPlainObject(config_dict)) throw wrongType('an object', 'config_dict', config_dict);
  const merged: ConfigDict = { ...selectConfig(own, config_dict) };
  const names = Object.keys({ ...merged, ...own.fields, ...own.sub_configs, ...COMMON_FIELDS });
  const more = ['num_labels', 'name_or_path', 'torch_dtype', 'attn_implementation'];
  checkOptions(overrides, [...names, ...more], `${own.name}.from_dict`);
  for (const [name, value] of Object.entries(overrides)) {
    // 'auto' asks for the checkpoint's own type, which is what the dictionary holds.
    if ((name === 'dtype' || name === 'torch_dtype') && value === 'auto') continue;
    const current = merged[name];
    const merges = name in own.sub_configs && isPlainObject(value) && isPlainObject(current);
    merged[name] = merges ? { ...current, ...value } : value;
  }
  return new own(merged as never);
}
