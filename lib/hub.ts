/** Where a model's files are: a directory, or one of the models that this package ships. */
import path from 'node:path';
import { Sam3TrackerError } from './errors';
import { kindOf } from './files';
import { checkString } from './validate';

/** The directory of the models that this package ships, one directory an id. */
export const BUNDLED_MODELS = path.join(__dirname, '..', 'models');

/**
 * The directory that `from_pretrained` reads: an existing directory, or else the id of a bundled model.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, saying where it looked.
 */
export async function find_model_directory(name_or_path: string): Promise<string> {
  checkString(name_or_path, 'pretrained_model_name_or_path');
  if ((await kindOf(name_or_path)) === 'directory') return path.resolve(name_or_path);
  const bundled = path.join(BUNDLED_MODELS, name_or_path);
  if (/^\w[\w.-]*$/.test(name_or_path) && (await kindOf(bundled)) === 'directory') return bundled;
  throw new Sam3TrackerError(
    'FILE_NOT_FOUND',
    `No model "${name_or_path}": there is no such directory (${path.resolve(name_or_path)}), and this package ships ` +
      'no model of that name. Give the directory that scripts/export_model.py wrote.',
  );
}

/**
 * One file of a model; `name_or_path` may also be the file itself.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND for a model or a file that is not there.
 */
export async function find_pretrained_file(name_or_path: string, filename: string): Promise<string> {
  checkString(name_or_path, 'pretrained_model_name_or_path');
  if ((await kindOf(name_or_path)) === 'file') return path.resolve(name_or_path);
  const file = path.join(await find_model_directory(name_or_path), filename);
  if ((await kindOf(file)) !== 'file')
    throw new Sam3TrackerError('FILE_NOT_FOUND', `${name_or_path} has no ${filename} (looked for ${file}).`);
  return file;
}
