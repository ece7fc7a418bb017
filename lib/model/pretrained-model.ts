/** `Sam3TrackerPreTrainedModel`: weights and where they lie (transformers' modeling_utils.py). */
import { copyFile } from 'node:fs/promises';
import path from 'node:path';
import { types } from 'node:util';
import type { PretrainedFiles } from '../checkpoint/pretrained-files';
import { UntypedCallable } from '../core/callable';
import { Sam3TrackerConfig } from '../config/sam3-tracker';
import { saveFiles } from '../core/files';
import type { FileToSave } from '../core/files';
import type { DType } from '../core/dtype';
import { Sam3TrackerError, wrongType, wrongValue } from '../core/errors';
import { manifestOf } from './graphs';
import type { GraphFiles } from './graphs';
import { isModelSource, loadModelSource, newModelSource } from './load';
import type { AttentionImplementation, ModelSource, NewModelOptions, PretrainedModelOptions } from './load';
import { callNative } from '../native/binding';
import type { NativeTrackerModel } from '../native/binding';
import type { Device, DeviceOption, DTypeOption } from '../core/types';
import { checkDevice, readTarget } from '../core/device';
import { checkOneOf, checkString } from '../core/options';
import { guardMethods } from '../core/receivers';

/** What a model's `to` takes: a device, a dtype, or both in an object. */
export type ModelTarget =
  | Exclude<DeviceOption, 'auto'>
  | Exclude<DTypeOption, 'auto'>
  | {
      /** Where to; default where it is. */
      device?: Exclude<DeviceOption, 'auto'>;
      /** What to compute in; default as it does. */
      dtype?: Exclude<DTypeOption, 'auto'>;
    };

/** A class of models: what `from_pretrained` makes an instance of. @internal */
export type ModelClass<T> = new (config: Sam3TrackerConfig, source: ModelSource) => T;

/** Base of the models: mirrors transformers' class of this name. */
export abstract class Sam3TrackerPreTrainedModel extends UntypedCallable {
  /** The configuration of the model. */
  readonly config: Sam3TrackerConfig;
  /** How attention is computed. */
  readonly attn_implementation: AttentionImplementation;
  readonly #graphs: GraphFiles;
  readonly #make: (() => Promise<NativeTrackerModel>) | null;
  readonly #parameterCount: number;
  #device: Device;
  #dtype: DType;
  /** The native model, the one that is being made, or null where the first call will make it. */
  #held: NativeTrackerModel | Promise<NativeTrackerModel> | null;
  #disposed = false;

  /**
   * A model of a configuration with random weights in transformers' initialisation scheme, for which this package must
   * have graphs; they come from the configuration's content. The weights are drawn with the first call.
   *
   * @param config the configuration; `from_pretrained` loads a model with its weights.
   * @throws TypeError for anything but a Sam3TrackerConfig, with the reference's message; TypeError and RangeError for
   *   options and for negative standard deviations; Sam3TrackerError GRAPHS_NOT_FOUND, with the command that makes them,
   *   for a configuration without graphs.
   */
  constructor(config: Sam3TrackerConfig, options?: NewModelOptions);
  /** A model over weights that are there. @internal */
  constructor(config: Sam3TrackerConfig, source: ModelSource);
  /** The one behind both. */
  constructor(config: Sam3TrackerConfig, options: NewModelOptions | ModelSource = {}) {
    super();
    const { name } = new.target;
    if (types.isPromise(config)) throw wrongType('a Sam3TrackerConfig', 'config', config);
    if (!(config instanceof Sam3TrackerConfig))
      throw new TypeError(
        `Parameter config in \`${name}(config)\` should be an instance of class \`PreTrainedConfig\`. To create a ` +
          `model from a pretrained model use \`model = ${name}.from_pretrained(PRETRAINED_MODEL_NAME)\``,
      );
    const source = isModelSource(options) ? options : newModelSource(config, options, `new ${name}`);
    const { graphs, device, dtype, attention, parameterCount, model } = source;
    this.config = config;
    this.attn_implementation = attention;
    this.#graphs = graphs;
    this.#device = device;
    this.#dtype = dtype;
    this.#parameterCount = parameterCount;
    this.#make = typeof model === 'function' ? model : null;
    this.#held = typeof model === 'function' ? null : model;
  }

  /**
   * Loads a checkpoint: a directory with config.json and model.safetensors (and graphs of its own in torchscript/, where
   * the package has none for its configuration), a model that this package ships, or a repository on the Hugging Face
   * hub, which is downloaded into the hub's cache. Mirrors `PreTrainedModel.from_pretrained`.
   *
   * @param name_or_path an existing directory, the id of a bundled model ('sam3-tracker-tiny'), or `owner/name` on the
   *   hub ('facebook/sam3').
   * @throws TypeError and RangeError for options; Sam3TrackerError: FILE_NOT_FOUND, FILE_INVALID, HASH_MISMATCH,
   *   CONFIG_MISMATCH, GRAPHS_NOT_FOUND, WEIGHTS_MISSING, WEIGHTS_UNEXPECTED, WEIGHTS_SHAPE, DEVICE_UNAVAILABLE,
   *   OUT_OF_MEMORY; from the hub ACCESS_DENIED, REPOSITORY_NOT_FOUND, REVISION_NOT_FOUND, DOWNLOAD_FAILED.
   */
  static from_pretrained<T extends Sam3TrackerPreTrainedModel>(
    this: ModelClass<T>,
    name_or_path: string,
    options?: PretrainedModelOptions,
  ): Promise<T>;
  /** From files that are open. @internal */
  static from_pretrained<T extends Sam3TrackerPreTrainedModel>(
    this: ModelClass<T>,
    files: string | PretrainedFiles,
    options?: PretrainedModelOptions,
  ): Promise<T>;
  /** The one behind both. */
  static async from_pretrained<T extends Sam3TrackerPreTrainedModel>(
    this: ModelClass<T>,
    name_or_files: string | PretrainedFiles,
    options: PretrainedModelOptions = {},
  ): Promise<T> {
    const { config, source } = await loadModelSource(name_or_files, options, `${this.name}.from_pretrained`);
    return new this(config, source);
  }

  /** Where the model lies: 'cpu' or 'cuda:N'. */
  get device(): Device {
    return this.#device;
  }

  /** The element type that it computes in. */
  get dtype(): DType {
    return this.#dtype;
  }

  /**
   * Moves the model to a device, or converts it to a dtype, or both, and returns it. Mirrors `PreTrainedModel.to`. Calls
   * that were made before finish where the model was; later ones wait for the move. Where it fails the model stays as it
   * was. A file that the weights were mapped from is left alone.
   *
   * @param target 'cpu', 'cuda', 'cuda:N', N, 'float32', 'float16', 'bfloat16', or `{ device, dtype }`.
   * @param dtype the dtype, after a device.
   * @throws TypeError and RangeError for another target; Sam3TrackerError DISPOSED, DEVICE_UNAVAILABLE, OUT_OF_MEMORY.
   */
  async to(target: ModelTarget, dtype?: Exclude<DTypeOption, 'auto'>): Promise<this> {
    const wanted = readTarget(target, dtype, `${this.constructor.name}.to`);
    const device = wanted.device === undefined ? null : checkDevice(wanted.device, 'device');
    if (device === 'auto')
      throw wrongValue('a device', 'device', device, 'A model is moved to a named device.');
    const type =
      wanted.dtype === undefined
        ? null
        : checkOneOf(wanted.dtype, ['float32', 'float16', 'bfloat16'] as const, 'dtype');
    const before = this.#usable();
    const moved = Promise.resolve(before).then((handle) => this.#move(handle, device, type));
    // Whoever waits for this model gets it as it was where the move fails; that it did, this call's caller learns.
    void this.#hold(moved.catch(() => before));
    await moved;
    return this;
  }

  /**
   * Writes config.json, model.safetensors (transformers' names, the model's dtype) and the graphs into a directory,
   * which `from_pretrained` of this package and of transformers read. Mirrors `PreTrainedModel.save_pretrained`. Each
   * file appears as a whole or not at all; the directory may be the one that the model was loaded from.
   *
   * @param save_directory made where it is missing.
   * @throws TypeError and RangeError for another directory or a configuration that does not validate; Sam3TrackerError
   *   DISPOSED, FILE_INVALID where a file has the directory's name, FILE_NOT_WRITTEN; what the file system throws.
   */
  async save_pretrained(save_directory: string): Promise<void> {
    checkString(save_directory, 'save_directory');
    this.config.validate();
    await this.withNative(async (handle) => {
      // As transformers, which leaves its own configuration with these two fields.
      const config = Sam3TrackerConfig.from_dict({
        ...this.config.to_dict(),
        architectures: [this.constructor.name],
        dtype: handle.dtype,
      });
      const copied = [...Object.values(this.#graphs), manifestOf(this.#graphs)];
      await saveFiles(save_directory, [
        ...copied.map((source): FileToSave => ({
          name: path.join('torchscript', path.basename(source)),
          content: (file) => copyFile(source, file),
        })),
        { name: 'model.safetensors', content: (file) => callNative(() => handle.saveWeights({ file })) },
        { name: 'config.json', content: config.to_json_string() },
      ]);
    });
  }

  /** Number of weights. Mirrors `PreTrainedModel.num_parameters`. @throws Sam3TrackerError DISPOSED. */
  num_parameters(): number {
    this.#checkUsable();
    return this.#parameterCount;
  }

  /** Whether `dispose` has been called. */
  get disposed(): boolean {
    return this.#disposed;
  }

  /** Lets go of the weights; calls in flight finish, later ones throw DISPOSED. Safe twice. */
  dispose(): void {
    this.#disposed = true;
    const held = this.#held;
    if (types.isPromise(held)) {
      // Where it could not be made there is nothing to let go of, and the call that asked for it has thrown.
      void held.then((handle) => handle.dispose()).catch(() => undefined);
    } else {
      held?.dispose();
    }
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /**
   * Runs a call on the native model: at once where it is there, else as soon as it is.
   *
   * @throws Sam3TrackerError DISPOSED; what the call throws.
   */
  protected async withNative<T>(call: (handle: NativeTrackerModel) => Promise<T>): Promise<T> {
    const held = this.#usable();
    const handle = types.isPromise(held) ? await held : held;
    return call(handle);
  }

  #checkUsable(): void {
    if (this.#disposed) throw new Sam3TrackerError('DISPOSED', 'This model has been disposed.');
  }

  #usable(): NativeTrackerModel | Promise<NativeTrackerModel> {
    this.#checkUsable();
    return this.#held ?? this.#hold((this.#make as () => Promise<NativeTrackerModel>)());
  }

  #hold(next: Promise<NativeTrackerModel>): Promise<NativeTrackerModel> {
    this.#held = next;
    const settle = (held: NativeTrackerModel | null): void => {
      if (this.#held === next) this.#held = held;
    };
    // Drawing the weights failed: the calls that wait for them throw that, and the next one tries again.
    void next.then(settle, () => settle(null));
    return next;
  }

  async #move(
    handle: NativeTrackerModel,
    device: Device | null,
    dtype: DType | null,
  ): Promise<NativeTrackerModel> {
    const target = { device: device ?? this.#device, dtype: dtype ?? this.#dtype };
    if (target.device === this.#device && target.dtype === this.#dtype) return handle;
    const moved = await callNative(() => handle.to(target));
    handle.dispose();
    this.#device = target.device;
    this.#dtype = target.dtype;
    return moved;
  }
}

guardMethods(Sam3TrackerPreTrainedModel, ['from_pretrained']);
