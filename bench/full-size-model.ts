/** The full-size model with random weights, made once. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import path from 'node:path';
import { findPython } from '../test/support/python';
import { ROOT } from './peer';

/** Where it is kept (1.8 GB); git ignores it. */
export const FULL_SIZE_MODEL = path.join(ROOT, '.cache', 'bench', 'full-size');

/** Makes what is missing or stale of it, with what is done on screen. @throws Error where that fails. */
export async function makeFullSizeModel(): Promise<string> {
  const { python, reason } = findPython();
  if (python === null) throw new Error(`The full-size model cannot be made: ${reason}`);
  const script = path.join(__dirname, 'make_full_size.py');
  // What it says belongs to progress, not to the tables.
  const child = spawn(python, [script, FULL_SIZE_MODEL], { stdio: ['ignore', 2, 2] });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`make_full_size.py ended with code ${code}`);
  return FULL_SIZE_MODEL;
}

/** Reads the weights once, so that the system has them in its file cache. */
export async function warmFileCache(directory: string): Promise<void> {
  const stream = createReadStream(path.join(directory, 'model.safetensors'), { highWaterMark: 2 ** 23 });
  stream.resume();
  await once(stream, 'close');
}
