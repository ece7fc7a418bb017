/** What a configuration field may hold: its default, and the check that transformers' annotations stand for. */
import { wrongType, wrongValue } from '../core/errors';
import { isDType } from '../core/dtype';
import { PythonFloat } from '../core/json';
import { checkBoolean, checkInteger, checkOneOf, isPlainObject } from '../core/options';

/**
 * Kinds of fields, after transformers' annotations: `size` is `int | list[int]`; `ints` and `floats` are lists; `list`
 * is a list of anything; `names` and `ids` are id2label and label2id; `strings` is `list[str]`.
 */
export type FieldKind =
  | 'int'
  | 'float'
  | 'bool'
  | 'string'
  | 'size'
  | 'ints'
  | 'floats'
  | 'list'
  | 'names'
  | 'ids'
  | 'strings'
  | 'dtype'
  | 'problem_type';

/** One field of a configuration. */
export interface FieldSpec {
  readonly kind: FieldKind;
  readonly default: unknown;
  /** Whether null is a value of its own (`| None` in transformers). */
  readonly nullable?: boolean;
  /** Whether null stands for the default. */
  readonly nullIsDefault?: boolean;
}

/** A configuration as plain JSON values. */
export type ConfigDict = Record<string, unknown>;

/** How a configuration class is recognised in a file. */
export interface ConfigDescription {
  readonly name: string;
  /** The name in `model_type` that stands for the class. */
  readonly model_type: string;
  /** Other names that `model_type` may hold in a file, and what is kept for each. */
  readonly readable_model_types: Readonly<Record<string, string>>;
  /** The key under which a larger configuration holds this one. */
  readonly base_config_key: string;
}

/** The fields of a configuration class, by name, in transformers' order. */
export type FieldTable = Readonly<Record<string, FieldSpec>>;

/** Fields that every configuration has (`PreTrainedConfig`). */
export const COMMON_FIELDS: FieldTable = {
  architectures: { kind: 'strings', default: null, nullable: true },
  output_hidden_states: { kind: 'bool', default: false, nullable: true },
  return_dict: { kind: 'bool', default: true, nullable: true },
  dtype: { kind: 'dtype', default: null, nullable: true },
  chunk_size_feed_forward: { kind: 'int', default: 0 },
  is_encoder_decoder: { kind: 'bool', default: false },
  id2label: { kind: 'names', default: { 0: 'LABEL_0', 1: 'LABEL_1' }, nullIsDefault: true },
  label2id: { kind: 'ids', default: { LABEL_0: 0, LABEL_1: 1 }, nullIsDefault: true },
  problem_type: { kind: 'problem_type', default: null, nullable: true },
  output_attentions: { kind: 'bool', default: false, nullable: true },
};

/** Most labels of a configuration: ImageNet's largest list has 21,843, and each costs a string twice. */
export const MOST_LABELS = 2 ** 15;

/** Most fields of one configuration: transformers' largest have a hundred. */
export const MOST_FIELDS = 2 ** 12;

const PROBLEM_TYPES = ['regression', 'single_label_classification', 'multi_label_classification'] as const;

function checkInt(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongType('an integer', name, value);
  if (!Number.isSafeInteger(value))
    throw wrongType('an integer', name, value, 'transformers refuses a float.');
  return value;
}

function checkFloat(value: unknown, name: string): number {
  if (typeof value !== 'number') throw wrongType('a number', name, value);
  return value;
}

function checkList<T>(value: unknown, name: string, item: (value: unknown, name: string) => T): T[] {
  if (!Array.isArray(value)) throw wrongType('an array', name, value);
  return value.map((element, index) => item(element, `${name}[${index}]`));
}

function checkMap<T>(
  value: unknown,
  name: string,
  item: (value: unknown, name: string) => T,
): Record<string, T> {
  if (!isPlainObject(value)) throw wrongType('an object', name, value);
  const count = Object.keys(value).length;
  if (count > MOST_LABELS) throw wrongValue(`at most ${MOST_LABELS} labels`, name, count);
  return Object.fromEntries(
    Object.entries(value).map(([key, entry]) => [key, item(entry, `${name}.${key}`)]),
  );
}

const isText = (value: unknown): boolean => typeof value === 'string';

function checkText(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongType('a string', name, value);
  return value;
}

function checkDtype(value: unknown, name: string): string {
  if (typeof value !== 'string') throw wrongType('the name of an element type', name, value);
  if (!isDType(value)) throw wrongValue('the name of an element type', name, value, 'For example "float16".');
  return value;
}

/**
 * Checks one value against its field and copies it, so that a configuration shares nothing with its source.
 *
 * @throws TypeError for a value of another kind (transformers: StrictDataclassFieldValidationError).
 */
export function checkField(value: unknown, spec: FieldSpec, name: string): unknown {
  if (value === null) {
    if (spec.nullable) return null;
    throw wrongType(`a value of kind ${spec.kind}`, name, value);
  }
  switch (spec.kind) {
    case 'int':
      return checkInt(value, name);
    case 'float':
      return checkFloat(value, name);
    case 'bool':
      return checkBoolean(value, name);
    case 'string':
      return checkText(value, name);
    case 'size':
      return Array.isArray(value) ? checkList(value, name, checkInt) : checkInt(value, name);
    case 'ints':
      return checkList(value, name, checkInt);
    case 'floats':
      return checkList(value, name, checkFloat);
    case 'strings':
      return checkList(value, name, checkText);
    case 'list':
      if (!Array.isArray(value)) throw wrongType('an array', name, value);
      return structuredClone(value);
    case 'names':
      return checkMap(value, name, checkText);
    case 'ids':
      // `dict[str, int] | dict[str, str]`, as in transformers.
      return checkMap<unknown>(
        value,
        name,
        isPlainObject(value) && Object.values(value).every(isText) ? checkText : checkInt,
      );
    case 'dtype':
      return checkDtype(value, name);
    case 'problem_type':
      return checkOneOf(value, PROBLEM_TYPES, name);
  }
}

/** Marks the numbers of a field that Python holds as floats, for `toPythonJson`. */
export function markFloats(value: unknown, spec: FieldSpec | undefined): unknown {
  if (spec?.kind === 'float' && typeof value === 'number') return new PythonFloat(value);
  if (spec?.kind === 'floats' && Array.isArray(value))
    return value.map((item) => new PythonFloat(item as number));
  return value;
}

/** The `id2label` and `label2id` that transformers makes for a number of labels. */
export function labelMaps(count: unknown): { id2label: ConfigDict; label2id: ConfigDict } {
  const ids = Array.from(
    { length: checkInteger(count, 'num_labels', { min: 0, max: MOST_LABELS }) },
    (_, id) => id,
  );
  return {
    id2label: Object.fromEntries(ids.map((id) => [id, `LABEL_${id}`])),
    label2id: Object.fromEntries(ids.map((id) => [`LABEL_${id}`, id])),
  };
}

const isOwnType = (own: ConfigDescription, value: unknown): boolean =>
  value === own.model_type || (typeof value === 'string' && Object.hasOwn(own.readable_model_types, value));

/**
 * The `model_type` to keep for one that was read.
 *
 * @throws TypeError for anything but a string; RangeError for the name of another class.
 */
export function readModelType(own: ConfigDescription, value: unknown): string {
  if (value === undefined) return own.model_type;
  if (typeof value !== 'string') throw wrongType('a string', `${own.name}.model_type`, value);
  if (!isOwnType(own, value)) {
    const names = [own.model_type, ...Object.keys(own.readable_model_types)];
    const known = names.map((name) => JSON.stringify(name)).join(' or ');
    throw wrongValue(known, `${own.name}.model_type`, value, 'This is the configuration of another model.');
  }
  return own.readable_model_types[value] ?? value;
}

/**
 * The part of a configuration that belongs to a class: itself, or what a larger one holds under the class's key, also
 * inside a sam3_video configuration's tracker_config. Mirrors what `PreTrainedConfig.from_pretrained` does, and goes
 * deeper. The detector's vision_config is never taken: its neck has other weights.
 */
export function selectConfig(own: ConfigDescription, dict: ConfigDict): ConfigDict {
  const held = own.base_config_key === '' ? undefined : dict[own.base_config_key];
  if (isPlainObject(held)) return held;
  if (dict.model_type === undefined || isOwnType(own, dict.model_type)) return dict;
  for (const name of ['tracker_config', 'vision_config']) {
    const nested = dict[name];
    if (isPlainObject(nested)) return selectConfig(own, nested);
  }
  return dict;
}
