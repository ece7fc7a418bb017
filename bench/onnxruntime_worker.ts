/** ONNX Runtime's side of the benchmark, driven as transformers.js does it. See ours_worker.ts. */
import { statSync } from 'node:fs';
import path from 'node:path';
import * as ort from 'onnxruntime-node';
import { version } from 'onnxruntime-node/package.json';
import { readArray, writeArray, type ArrayFile } from './arrays';
import type { Description, Timed } from './peer';
import { serve } from './serve';

type Feeds = Record<string, ort.Tensor>;

const sessions = new Map<string, ort.InferenceSession>();
const arrays = new Map<string, ort.Tensor>();
let graphs: string | null = null;
let intraOpNumThreads = 1;

/** Sets the number of threads of an operation for the sessions to come, which do not say how many they have. */
function describe({ threads }: { threads: number }): Description {
  intraOpNumThreads = threads;
  return { versions: { node: process.versions.node, 'onnxruntime-node': version }, threads: null };
}

/** The graph of that name, opened with its first use. */
async function session(name: string): Promise<ort.InferenceSession> {
  if (graphs === null) throw new Error('nothing is loaded');
  const found = sessions.get(name);
  if (found) return found;
  const opened = await ort.InferenceSession.create(path.join(graphs, `${name}.onnx`), { intraOpNumThreads });
  sessions.set(name, opened);
  return opened;
}

/** Opens the encoder and the decoder for points, as transformers.js opens its two sessions. */
async function load({ directory }: { directory: string }): Promise<{ seconds: number }> {
  if (!statSync(directory).isDirectory()) throw new Error(`${directory} is no directory`);
  graphs = directory;
  const start = performance.now();
  for (const name of ['vision_encoder', 'points']) await session(name);
  return { seconds: (performance.now() - start) / 1000 };
}

function graphOf(call: string, feeds: Feeds): string {
  if (call === 'encode') return 'vision_encoder';
  if (call !== 'click') throw new Error(`ONNX Runtime has no ${call}`);
  if ('input_boxes' in feeds) return 'boxes';
  return 'input_masks' in feeds ? 'points_and_mask' : 'points';
}

async function run({
  call,
  args,
  save,
}: {
  call: string;
  args: Record<string, ArrayFile | ArrayFile[]>;
  save: string | null;
}): Promise<Timed> {
  const feeds: Feeds = {};
  for (const [name, value] of Object.entries(args)) {
    if (!Array.isArray(value)) feeds[name] = await tensorOf(value);
    else for (const [index, item] of value.entries()) feeds[`${name}.${index}`] = await tensorOf(item);
  }
  const graph = await session(graphOf(call, feeds));
  const start = performance.now();
  const outputs = await graph.run(feeds);
  const seconds = (performance.now() - start) / 1000;
  const saved: Timed['outputs'] = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    if (save !== null)
      saved[name] = await writeArray(save, name, 'float32', tensor.data as Float32Array, tensor.dims);
    tensor.dispose();
  }
  return { seconds, outputs: saved };
}

async function tensorOf(array: ArrayFile): Promise<ort.Tensor> {
  const key = path.resolve(array.file) + (array.fresh ? ', fresh' : '');
  let found = arrays.get(key);
  if (array.fresh) found?.dispose();
  if (array.fresh || !found) {
    if (array.dtype !== 'float32' && array.dtype !== 'int64') throw new Error(`no input is ${array.dtype}`);
    const data = await readArray(array);
    found = new ort.Tensor(array.dtype, data as Float32Array & BigInt64Array, array.dims);
    arrays.set(key, found);
  }
  return found;
}

void serve({ describe, load, run });
