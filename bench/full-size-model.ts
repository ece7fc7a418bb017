/** The models that the benchmark makes once: the full size with random weights, and models as ONNX graphs. */
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
  await runPython('make_full_size.py', FULL_SIZE_MODEL);
  return FULL_SIZE_MODEL;
}

/**
 * Makes, of the full-size model (`fullSize`, its directory), a checkpoint as facebook/sam3's file is: its weights under the names of sam3_video,
 * among 1.6 GB of other parts' weights (3.4 GB in `.cache/bench`).
 *
 * @throws Error where that fails.
 */
export async function makeVideoCheckpoint(fullSize: string): Promise<string> {
  const directory = path.join(ROOT, '.cache', 'bench', 'sam3-video');
  await runPython('make_video_checkpoint.py', directory, fullSize);
  return directory;
}

/** Makes what is missing or stale of a model's ONNX graphs; returns their directory. @throws Error where that fails. */
export async function makeOnnxGraphs(directory: string): Promise<string> {
  const graphs = path.join(ROOT, '.cache', 'bench', 'onnx', path.basename(directory));
  await runPython('make_onnx.py', directory, graphs);
  return graphs;
}

async function runPython(script: string, ...args: string[]): Promise<void> {
  const { python, reason } = findPython();
  if (python === null) throw new Error(`${script} cannot run: ${reason}`);
  // What it says belongs to progress, not to the tables.
  const child = spawn(python, [path.join(__dirname, script), ...args], {
    stdio: ['ignore', 2, 2],
    env: { ...process.env, PYTHONPATH: path.join(ROOT, 'test', 'support'), PYTHONDONTWRITEBYTECODE: '1' },
  });
  const [code] = (await once(child, 'close')) as [number | null];
  if (code !== 0) throw new Error(`${script} ended with code ${code}`);
}

/** Reads a file once, so that the system has it in its file cache. */
export async function warmFileCache(file: string): Promise<void> {
  const stream = createReadStream(file, { highWaterMark: 2 ** 23 });
  stream.resume();
  await once(stream, 'close');
}
