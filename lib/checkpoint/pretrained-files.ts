/** Where a model's files are: a directory, a model that this package ships, or a repository on the Hugging Face hub. */
import path from 'node:path';
import { Sam3TrackerError, describe } from '../core/errors';
import { expandUser, isFile, kindOf, pathText } from '../core/files';
import { checkString } from '../core/options';
import { readHubSettings } from '../hub/settings';
import type { HubOptions } from '../hub/settings';
import { RepositorySnapshot, repositoryIdProblem } from '../hub/snapshot';
import { PACKAGE_ROOT } from '../core/package';

/** The directory of the models that this package ships, one directory an id. */
export const BUNDLED_MODELS = path.join(PACKAGE_ROOT, 'models');

/** A model whose files are asked for one by one. */
export abstract class PretrainedFiles {
  /** What the caller named. */
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  /** The folder whose graphs are the model's own; null for the hub, which is not trusted with code. */
  abstract readonly directory: string | null;

  /** The folder in which its files lie. */
  abstract readonly folder: string;

  /** The path of a file, downloaded first where it has to be; null where the model has none of this name. */
  abstract find(filename: string): Promise<string | null>;

  /** How a damaged file can be had anew, in words; null where only the caller knows. */
  protected readonly remedy: string | null = null;

  /** Where a missing file was looked for, in words. */
  protected abstract readonly lookedIn: string;

  /** As `find`. @throws Sam3TrackerError FILE_NOT_FOUND where there is none, and what `find` throws. */
  async need(filename: string): Promise<string> {
    return (await this.find(filename)) ?? this.fail(filename);
  }

  /** Reads files of the model: the error for a damaged one says how it can be had anew. @throws what `read` throws. */
  async read<T>(read: () => T | Promise<T>): Promise<T> {
    try {
      return await read();
    } catch (error) {
      const isDamaged = error instanceof Sam3TrackerError && error.code === 'FILE_INVALID';
      if (!isDamaged || this.remedy === null) throw error;
      throw new Sam3TrackerError('FILE_INVALID', `${error.message} ${this.remedy}`, { cause: error });
    }
  }

  /** Ends with the error for what is missing (a file or several), saying where it was looked for. @throws Sam3TrackerError FILE_NOT_FOUND. */
  fail(what: string): never {
    throw new Sam3TrackerError('FILE_NOT_FOUND', `${this.name} has no ${what} (looked ${this.lookedIn}).`);
  }
}

class DirectorySource extends PretrainedFiles {
  readonly directory: string;

  constructor(name: string, directory: string) {
    super(name);
    this.directory = directory;
  }

  get folder(): string {
    return this.directory;
  }

  protected get lookedIn(): string {
    return `in ${this.directory}`;
  }

  async find(filename: string): Promise<string | null> {
    const file = path.join(this.directory, filename);
    return (await isFile(file)) ? file : null;
  }
}

/** A single file that was named itself: it stands for whichever file is asked for. */
class FileSource extends PretrainedFiles {
  readonly directory = null;
  readonly #file: string;

  constructor(name: string) {
    super(name);
    this.#file = path.resolve(name);
  }

  get folder(): string {
    return path.dirname(this.#file);
  }

  protected get lookedIn(): string {
    return `at ${this.#file}`;
  }

  find(): Promise<string> {
    return Promise.resolve(this.#file);
  }
}

class HubSource extends PretrainedFiles {
  readonly directory = null;
  protected override readonly remedy =
    'It lies in the hub\'s cache: with a network, { force_download: true } or "sam3-tracker download --force" ' +
    'fetches it again.';
  readonly snapshot: RepositorySnapshot;

  constructor(snapshot: RepositorySnapshot) {
    super(snapshot.name);
    this.snapshot = snapshot;
  }

  get folder(): string {
    return this.snapshot.folder;
  }

  protected get lookedIn(): string {
    const { offline, folder, commit } = this.snapshot;
    return offline === null
      ? `at commit ${commit} on the hub`
      : `in the cache, ${folder}; nothing is downloaded since ${offline}`;
  }

  find(filename: string): Promise<string | null> {
    return this.snapshot.find(filename);
  }
}

/** What a hub that has no such repository, or cannot be asked, answers. */
const UNKNOWN_TO_HUB: readonly string[] = ['REPOSITORY_NOT_FOUND', 'FILE_NOT_FOUND', 'DOWNLOAD_FAILED'];

/** Where a directory was looked for, in words; the home, which transformers does not put in for ~ either. */
function whereOf(name: string): string {
  const home = expandUser(name);
  if (home !== name) return ` (~ is not the home here: give ${describe(home)})`;
  return ` (${pathText(path.resolve(name))})`;
}

/**
 * The model that `from_pretrained` was asked for: an existing directory, else the id of a bundled model, else a
 * repository on the hub, `owner/name`.
 *
 * @param name_or_path a directory, an id, or the one file that is wanted; files that are open stay as they are.
 * @param options of the hub; a directory needs none.
 * @param offline why nothing is to be downloaded, whatever the options say; null where they decide.
 * @throws TypeError and RangeError for options; Sam3TrackerError FILE_NOT_FOUND, saying where it looked; and as
 *   `RepositorySnapshot.open`.
 */
export async function openPretrained(
  name_or_path: string | PretrainedFiles,
  options: HubOptions = {},
  offline: string | null = null,
): Promise<PretrainedFiles> {
  if (name_or_path instanceof PretrainedFiles) return name_or_path;
  checkString(name_or_path, 'pretrained_model_name_or_path');
  const settings = await readHubSettings(options);
  settings.offline = offline ?? settings.offline;
  const kind = await kindOf(name_or_path);
  if (kind === 'directory') return new DirectorySource(name_or_path, path.resolve(name_or_path));
  if (kind === 'file') return new FileSource(name_or_path);
  const bundled = path.join(BUNDLED_MODELS, name_or_path);
  if (/^\w[\w.-]*$/.test(name_or_path) && (await kindOf(bundled)) === 'directory')
    return new DirectorySource(name_or_path, bundled);
  const shipped =
    (await kindOf(BUNDLED_MODELS)) === 'directory'
      ? 'this package ships no model of that name'
      : `this installation of sam3-tracker has no models (${BUNDLED_MODELS}): install the package again, ` +
        'or have the bundler copy them (docs/deployment.md)';
  const nowhere = `there is no such directory${whereOf(name_or_path)}, and ${shipped}`;
  const problem = repositoryIdProblem(name_or_path);
  if (problem !== null)
    throw new Sam3TrackerError(
      'FILE_NOT_FOUND',
      `No model ${describe(name_or_path)}: ${nowhere}. Give a directory with config.json and model.safetensors, or the ` +
        `id of a model on the Hugging Face hub, which this is not: ${problem}.`,
    );
  try {
    return new HubSource(await RepositorySnapshot.open(name_or_path, settings));
  } catch (error) {
    // Where the hub does not know the name, what was meant may well have been a path.
    if (!(error instanceof Sam3TrackerError) || !UNKNOWN_TO_HUB.includes(error.code)) throw error;
    throw new Sam3TrackerError(error.code, `${error.message} And ${nowhere}.`, {
      cause: error.cause ?? error,
    });
  }
}
