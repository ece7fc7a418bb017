/** Writes files so that a reader finds each as it was or as it is to be, never half of it. */
import { randomUUID } from 'node:crypto';
import { mkdir, open, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { Sam3TrackerError } from './errors';
import { kindOf } from './files';

/** One file to write: its path inside the directory, and what writes it under another path. */
export interface FileToSave {
  name: string;
  write: (file: string) => Promise<void>;
}

/** Writes text and waits until it is on the disk. */
export async function writeText(file: string, text: string): Promise<void> {
  const handle = await open(file, 'w');
  try {
    await handle.writeFile(text);
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/**
 * Writes files into a directory, which is made where it is missing: all of them under names of their own first, and
 * under their real names when all are on the disk. Where one fails, what was there before stays.
 *
 * @throws Sam3TrackerError FILE_INVALID with transformers' message where a file has the directory's name; what the
 *   writers throw.
 */
export async function saveFiles(directory: string, files: readonly FileToSave[]): Promise<void> {
  if (!['directory', null].includes(await kindOf(directory)))
    throw new Sam3TrackerError(
      'FILE_INVALID',
      `Provided path (${directory}) should be a directory, not a file`,
    );
  const suffix = `${randomUUID()}.incomplete`;
  const placed = files.map(({ name, write }) => {
    const file = path.join(directory, name);
    return { file, write, incomplete: path.join(path.dirname(file), `.${path.basename(file)}.${suffix}`) };
  });
  try {
    for (const { file, write, incomplete } of placed) {
      await mkdir(path.dirname(file), { recursive: true });
      await write(incomplete);
    }
    for (const { file, incomplete } of placed) await rename(incomplete, file);
  } finally {
    await Promise.all(placed.map(({ incomplete }) => rm(incomplete, { force: true })));
  }
}
