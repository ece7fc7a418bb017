/** What is asked of files in several places: whether they are there, and what JSON they hold. */
import { readFile, stat } from 'node:fs/promises';
import { Sam3TrackerError } from './errors';

/** What lies at a path, symbolic links followed; null where there is nothing. */
export async function kindOf(file: string): Promise<'file' | 'directory' | 'other' | null> {
  try {
    const found = await stat(file);
    return found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other';
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return null;
    throw error;
  }
}

/** Whether a path names a regular file, symbolic links followed. */
export async function isFile(file: string): Promise<boolean> {
  return (await kindOf(file)) === 'file';
}

/**
 * A parsed JSON file that holds an object.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, or FILE_INVALID with transformers' message for text that is not JSON.
 */
export async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await readFile(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'ENOENT') throw cause;
    throw new Sam3TrackerError('FILE_NOT_FOUND', `There is no file ${file}.`, { cause });
  }
  return parseJsonObject(text, file);
}

/**
 * The object that a JSON text holds.
 *
 * @param text the file's content.
 * @param file its name, for errors.
 * @throws Sam3TrackerError FILE_INVALID with transformers' message for text that is not JSON.
 */
export function parseJsonObject(text: string, file: string): Record<string, unknown> {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `It looks like the config file at '${file}' is not a valid JSON file.`,
      { cause },
    );
  }
  if (!isObject(value))
    throw new Sam3TrackerError('FILE_INVALID', `The file ${file} does not hold a JSON object.`);
  return value;
}

/**
 * A value of a JSON file that has to be an object.
 *
 * @param value the value.
 * @param file the file's name, for errors.
 * @param field the field's name, for errors.
 * @throws Sam3TrackerError FILE_INVALID for any other value.
 */
export function objectField(value: unknown, file: string, field: string): Record<string, unknown> {
  if (!isObject(value)) throw new Sam3TrackerError('FILE_INVALID', `${file} has no object "${field}".`);
  return value;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
