/** Files: what lies at a path, the JSON it holds, and writing so that a reader finds the old file or the new one. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import type { Stats } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Sam3TrackerError } from './errors';
import { isError } from './kinds';

/** Whether an error of the file system has one of these codes. */
export function hasCode(error: unknown, ...codes: string[]): boolean {
  return codes.includes((error as NodeJS.ErrnoException).code ?? '');
}

/** What `work` gives, or `otherwise` where the file system answers with one of the codes. */
export async function orElse<T, U>(work: Promise<T>, otherwise: U, ...codes: string[]): Promise<T | U> {
  try {
    return await work;
  } catch (error) {
    if (hasCode(error, ...codes)) return otherwise;
    throw error;
  }
}

/** What the file system says of a path, symbolic links followed; null where there is nothing. */
export function statOrNull(file: string): Promise<Stats | null> {
  return orElse(stat(file), null, 'ENOENT', 'ENOTDIR');
}

/** What lies at a path, symbolic links followed; null where there is nothing. */
export async function kindOf(file: string): Promise<'file' | 'directory' | 'other' | null> {
  const found = await statOrNull(file);
  return found && (found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other');
}

/** Whether a path names a regular file, symbolic links followed. */
export async function isFile(file: string): Promise<boolean> {
  return (await kindOf(file)) === 'file';
}

/** Bytes of a file, symbolic links followed; null where there is none. */
export async function sizeOf(file: string): Promise<number | null> {
  return (await statOrNull(file))?.size ?? null;
}

/** The sha256 of a file's content, in hex. */
export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}

/**
 * A parsed JSON file that holds an object.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, or FILE_INVALID with transformers' message for text that is not JSON.
 */
export async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  const text = await orElse(readFile(file, 'utf8'), null, 'ENOENT');
  if (text === null) throw new Sam3TrackerError('FILE_NOT_FOUND', `There is no file ${file}.`);
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

/**
 * Checks that a directory can be made or is there, before work is done for what goes into it.
 *
 * @throws Sam3TrackerError FILE_INVALID with transformers' message where a file has its name, FILE_NOT_WRITTEN where one is
 *   in its way.
 */
export async function checkFolder(directory: string): Promise<void> {
  let place = path.resolve(directory);
  let kind = await kindOf(place);
  if (kind !== null && kind !== 'directory')
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `Provided path (${directory}) should be a directory, not a file`,
    );
  for (; kind === null; kind = await kindOf(place)) place = path.dirname(place);
  if (kind !== 'directory')
    throw new Sam3TrackerError('FILE_NOT_WRITTEN', `${directory} cannot be written to: ${place} is a file.`);
}

/** One file to write: its path inside the directory; its text or bytes, or what writes it under another path. */
export interface FileToSave {
  name: string;
  content: string | Uint8Array | readonly Uint8Array[] | ((file: string) => Promise<void>);
}

/** Writes text or bytes and waits until they are on the disk. */
async function writeContent(
  file: string,
  content: string | Uint8Array | readonly Uint8Array[],
): Promise<void> {
  const handle = await open(file, 'w');
  try {
    const parts = typeof content === 'string' || content instanceof Uint8Array ? [content] : content;
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes files into a directory, which is made where it is missing: each under a temporary name first, and under its own
 * when all are on the disk. Where one fails, what was there before stays.
 *
 * @returns the paths of the files.
 * @throws Sam3TrackerError FILE_INVALID with transformers' message where a file has the directory's name;
 *   FILE_NOT_WRITTEN where the file system refuses, or a directory has a file's name; what the writers throw.
 */
export async function saveFiles(directory: string, files: readonly FileToSave[]): Promise<string[]> {
  await checkFolder(directory);
  const suffix = `${randomUUID()}.incomplete`;
  const placed = files.map(({ name, content }) => {
    const file = path.join(directory, name);
    return { file, content, incomplete: path.join(path.dirname(file), `.${path.basename(file)}.${suffix}`) };
  });
  try {
    for (const { file } of placed)
      if ((await kindOf(file)) === 'directory')
        throw new Sam3TrackerError('FILE_NOT_WRITTEN', `${file} cannot be written: it is a directory.`);
    for (const { file, content, incomplete } of placed) {
      await mkdir(path.dirname(file), { recursive: true });
      await (typeof content === 'function' ? content(incomplete) : writeContent(incomplete, content));
    }
    for (const { file, incomplete } of placed) await rename(incomplete, file);
    return placed.map(({ file }) => file);
  } catch (cause) {
    // Errors of the file system name a system call; those of the writers say what failed.
    if (!isError(cause) || !('syscall' in cause)) throw cause;
    throw new Sam3TrackerError('FILE_NOT_WRITTEN', `${directory} cannot be written to: ${cause.message}.`, {
      cause,
    });
  } finally {
    const remove = (file: string): Promise<void> => orElse(rm(file, { force: true }), undefined, 'ENOTDIR');
    await Promise.all(placed.map(({ incomplete }) => remove(incomplete)));
  }
}
