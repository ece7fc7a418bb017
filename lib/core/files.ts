/** Files: what lies at a path, the JSON it holds, and writing so that a reader finds the old file or the new one. */
import { createHash, randomUUID } from 'node:crypto';
import { createReadStream, existsSync, readFileSync } from 'node:fs';
import type { Stats } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises';
import type { FileHandle } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { Sam3TrackerError, describe } from './errors';
import type { ErrorCode } from './errors';

/** Codes that say that nothing lies at a path; the last is Node's for a path with a NUL character. */
const NOTHING_THERE = ['ENOENT', 'ENOTDIR', 'ENAMETOOLONG', 'ERR_INVALID_ARG_VALUE'];

/** What the system's codes mean, for people. */
const REASONS: Readonly<Record<string, string>> = {
  ERR_INVALID_ARG_VALUE: 'a path holds no NUL character',
  EACCES: 'this process may not use it',
  EPERM: 'this process may not use it',
  EISDIR: 'it is a directory',
  ENOTDIR: 'a part of its path is no directory',
  EEXIST: 'a part of its path is no directory',
  ELOOP: 'its symbolic links lead in a circle',
  ENAMETOOLONG: 'its name is too long',
  EMFILE: 'this process has too many files open',
  ENFILE: 'the system has too many files open',
  ENOSPC: 'the disk is full',
  EDQUOT: "this user's share of the disk is full",
  EFBIG: 'files of this size are not allowed here',
  EROFS: 'the file system is read-only',
};

/** The first line of a file that Git LFS left in place of its content. */
const LFS_POINTER = 'version https://git-lfs.github.com/spec/';

/** Most bytes of a JSON file: far above any model's, and parsed in a tenth of a second. */
export const MOST_JSON_BYTES = 2 ** 24;
/** Objects and lists in each other, in a JSON file: far above any model's, and far below the stack's end. */
export const DEEPEST_JSON = 100;

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

/** Whether an error is one of the file system: Node gives those a system call, or has refused the path itself. */
function isFileSystemError(error: unknown): error is NodeJS.ErrnoException {
  return (
    typeof error === 'object' && error !== null && ('syscall' in error || hasCode(error, ...NOTHING_THERE))
  );
}

/** A path for a message, which one of megabytes would hide. */
export function pathText(file: string): string {
  return file.length > 1000 ? describe(file) : file;
}

/**
 * An error of the file system in the package's form; any other as it is.
 *
 * @param error what was caught.
 * @param file the path, as the message shows it.
 * @param what was asked: FILE_NOT_READ (FILE_NOT_FOUND where nothing lies there), or FILE_NOT_WRITTEN.
 */
export function fileError(
  error: unknown,
  file: string,
  what: Extract<ErrorCode, 'FILE_NOT_READ' | 'FILE_NOT_WRITTEN'>,
): unknown {
  if (!isFileSystemError(error)) return error;
  const shown = pathText(file);
  if (what === 'FILE_NOT_READ' && hasCode(error, ...NOTHING_THERE))
    return new Sam3TrackerError('FILE_NOT_FOUND', `There is no file ${shown}.`, { cause: error });
  const { code = '', message } = error;
  const reason = Object.hasOwn(REASONS, code) ? `${REASONS[code]} (${code})` : message;
  const verb = what === 'FILE_NOT_READ' ? 'read' : 'written';
  return new Sam3TrackerError(what, `${shown} cannot be ${verb}: ${reason}.`, { cause: error });
}

/** What reading a path gives. @throws Sam3TrackerError FILE_NOT_FOUND, FILE_NOT_READ; what else `work` throws. */
export async function reading<T>(file: string, work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (error) {
    throw fileError(error, file, 'FILE_NOT_READ');
  }
}

/** As `reading`; null where nothing lies at the path. @throws Sam3TrackerError FILE_NOT_READ; what else `work` throws. */
export function readingOrNull<T>(file: string, work: Promise<T>): Promise<T | null> {
  return reading(file, orElse(work, null, ...NOTHING_THERE));
}

/** The bytes of a small file, at once. @throws as `reading`. */
export function readFileNow(file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw fileError(error, file, 'FILE_NOT_READ');
  }
}

/** What the file system says of a path, symbolic links followed; null where there is nothing. @throws as `readingOrNull`. */
export function statOrNull(file: string): Promise<Stats | null> {
  return readingOrNull(file, stat(file));
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

/** The sha256 of a file's content, in hex. @throws as `reading`. */
export async function sha256File(file: string): Promise<string> {
  const hash = createHash('sha256');
  await reading(file, pipeline(createReadStream(file), hash));
  return hash.digest('hex');
}

/** A file, opened for reading. @throws as `reading`. */
export function openFile(file: string): Promise<FileHandle> {
  return reading(file, open(file));
}

/** The home of a user, '' for this one; undefined for a user that is not known. */
function homeOf(user: string): string | undefined {
  if (user === '') return os.homedir();
  const users = '/etc/passwd';
  const lines = existsSync(users) ? readFileNow(users).toString().split('\n') : [];
  return lines.find((line) => line.startsWith(`${user}:`))?.split(':')[5];
}

/** Python's os.path.expanduser: a leading ~ is the home. */
export function expandUser(text: string): string {
  return text.replace(/^~([^/]*)/, (whole, user: string) => homeOf(user) ?? whole);
}

/**
 * Refuses what Git LFS leaves where a file's content has not been fetched.
 *
 * @param start the file's first bytes.
 * @throws Sam3TrackerError FILE_INVALID.
 */
export function refuseLfsPointer(start: Uint8Array | string, file: string): void {
  const text = typeof start === 'string' ? start : Buffer.from(start.subarray(0, 64)).toString('latin1');
  if (text.startsWith(LFS_POINTER))
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `${file} is a pointer of Git LFS and not the file itself: run "git lfs pull" in its folder (after ` +
        '"git lfs install"), or download the file.',
    );
}

/**
 * A parsed JSON file that holds an object.
 *
 * @throws Sam3TrackerError FILE_NOT_FOUND, FILE_NOT_READ, and FILE_INVALID as `parseJsonObject` or for more than
 *   16 MiB.
 */
export async function readJsonFile(file: string): Promise<Record<string, unknown>> {
  const size = await sizeOf(file);
  if (size !== null && size > MOST_JSON_BYTES)
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `The file ${file} has ${size} bytes, more than the ${MOST_JSON_BYTES} that are read as JSON.`,
    );
  return parseJsonObject(await reading(file, readFile(file, 'utf8')), file);
}

/** Whether lists and objects lie in each other more than `DEEPEST_JSON` deep. */
function isTooDeep(value: unknown): boolean {
  const isContainer = (item: unknown): item is object => typeof item === 'object' && item !== null;
  let level = [value].filter(isContainer);
  for (let depth = 0; depth < DEEPEST_JSON; depth++)
    level = level.flatMap((item) => Object.values(item).filter(isContainer));
  return level.length > 0;
}

/**
 * The object that a JSON text holds.
 *
 * @param text the file's content.
 * @param file its name, for errors.
 * @throws Sam3TrackerError FILE_INVALID with transformers' message for text that is not JSON; also for a pointer of Git
 *   LFS, another value than an object, and more than 100 levels.
 */
export function parseJsonObject(text: string, file: string): Record<string, unknown> {
  refuseLfsPointer(text, file);
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
  if (isTooDeep(value))
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `The file ${file} has lists or objects in each other more than ${DEEPEST_JSON} deep.`,
    );
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
  const find = async (): Promise<Stats | null> => orElse(stat(place), null, 'ENOENT', 'ENOTDIR');
  try {
    let found = await find();
    if (found?.isDirectory() === false)
      throw new Sam3TrackerError(
        'FILE_INVALID',
        `Provided path (${pathText(directory)}) should be a directory, not a file`,
      );
    for (; found === null; found = await find()) place = path.dirname(place);
    if (!found.isDirectory())
      throw new Sam3TrackerError(
        'FILE_NOT_WRITTEN',
        `${pathText(directory)} cannot be written to: ${place} is a file.`,
      );
  } catch (error) {
    throw fileError(error, directory, 'FILE_NOT_WRITTEN');
  }
}

/** Checks that no directory has a file's name. @throws Sam3TrackerError FILE_NOT_WRITTEN. */
export async function checkFile(file: string): Promise<void> {
  try {
    // A link in a circle is replaced, as any other link.
    const found = await orElse(stat(file), null, ...NOTHING_THERE, 'ELOOP');
    if (found?.isDirectory())
      throw new Sam3TrackerError('FILE_NOT_WRITTEN', `${file} cannot be written: it is a directory.`);
  } catch (error) {
    throw fileError(error, file, 'FILE_NOT_WRITTEN');
  }
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
    const parts = Array.isArray(content) ? (content as Uint8Array[]) : [content as string | Uint8Array];
    for (const part of parts) await handle.writeFile(part);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Makes a folder and those above it, where they are missing. Node's own recursive `mkdir` never ends where the system
 * refuses a folder as not found, which it does below /proc.
 */
export async function makeFolder(folder: string): Promise<void> {
  const make = (): Promise<void> =>
    mkdir(folder).catch((error: unknown) => {
      if (!hasCode(error, 'EEXIST')) throw error;
    });
  try {
    await make();
  } catch (error) {
    if (!hasCode(error, 'ENOENT')) throw error;
    await makeFolder(path.dirname(folder));
    await make();
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
    for (const { file } of placed) await checkFile(file);
    for (const { file, content, incomplete } of placed) {
      await makeFolder(path.dirname(file));
      await (typeof content === 'function' ? content(incomplete) : writeContent(incomplete, content));
    }
    for (const { file, incomplete } of placed) await rename(incomplete, file);
    return placed.map(({ file }) => file);
  } catch (error) {
    // Errors of the file system become the package's; those of the writers say what failed.
    throw fileError(error, files.length === 1 ? placed[0].file : directory, 'FILE_NOT_WRITTEN');
  } finally {
    // What cannot be removed was never made, and must not hide why.
    await Promise.allSettled(placed.map(({ incomplete }) => rm(incomplete, { force: true })));
  }
}
