/** Our side of the benchmark: does what cases.ts asks for and says how long it took. See transformers_worker.py. */
import path from 'node:path';
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor, Tensor } from '../lib/index';
import { addon } from '../lib/native/binding';
import { version } from '../package.json';
import { readArray, writeArray, type ArrayFile } from './arrays';
import type { Description, Timed } from './peer';
import { serve } from './serve';
import { timerGaps, type TimerGaps } from './timer';

type Outputs = Record<string, Tensor>;
type Inputs = Record<string, unknown>;
type BenchDevice = 'cpu' | `cuda:${number}`;

interface Loaded {
  /** null after load_processor. */
  model: Sam3TrackerModel | null;
  processor: Sam3TrackerProcessor;
  /** Where images become tensors, and tensors but prompts lie. */
  device: BenchDevice;
}

let loaded: Loaded | null = null;
const arrays = new Map<string, Tensor | RawImage>();
let arraysRead = 0;

function currentProcessor(): Sam3TrackerProcessor {
  if (!loaded) throw new Error('nothing is loaded');
  return loaded.processor;
}

function currentModel(): Sam3TrackerModel {
  if (!loaded?.model) throw new Error('no model is loaded');
  return loaded.model;
}

/** Sets the number of threads; returns versions and the number that libtorch then says. */
function describe({ threads }: { threads: number }): Description {
  addon().setThreads(threads);
  const { torchVersion, threads: found } = addon().runtimeInfo();
  return {
    versions: { node: process.versions.node, 'sam3-tracker': version, libtorch: torchVersion },
    threads: found,
  };
}

async function load({
  directory,
  dtype = 'float32',
  device = 'cpu',
}: {
  directory: string;
  dtype?: 'float32' | 'bfloat16';
  device?: BenchDevice;
}): Promise<{ seconds: number }> {
  const start = performance.now();
  const model = await Sam3TrackerModel.from_pretrained(directory, { device, dtype });
  const seconds = (performance.now() - start) / 1000;
  loaded = { model, processor: await Sam3TrackerProcessor.from_pretrained(directory), device };
  return { seconds };
}

/** Loads no model: preprocessing and post-processing need none. */
async function load_processor({ directory }: { directory: string }): Promise<void> {
  loaded = { model: null, processor: await Sam3TrackerProcessor.from_pretrained(directory), device: 'cpu' };
}

const CALLS: Record<string, (inputs: never) => Promise<Outputs>> = {
  preprocess,
  encode,
  click,
  predict_masks,
  post_process,
};

async function preprocess({ image }: { image: RawImage }): Promise<Outputs> {
  const { pixel_values } = await currentProcessor()({ images: image, device: loaded?.device });
  return { pixel_values };
}

async function encode({ pixel_values }: { pixel_values: Tensor }): Promise<Outputs> {
  const levels = await currentModel().get_image_embeddings(pixel_values);
  return Object.fromEntries(levels.map((level, index) => [`image_embeddings.${index}`, level]));
}

async function click({
  original_sizes,
  ...inputs
}: Inputs & { original_sizes?: [number, number][] }): Promise<Outputs> {
  const { iou_scores, object_score_logits, pred_masks } = await currentModel()(inputs);
  if (!original_sizes) return { iou_scores, object_score_logits, pred_masks };
  const masks = await post_process({ pred_masks, original_sizes });
  pred_masks.dispose();
  return { iou_scores, object_score_logits, ...masks };
}

/** `click` to masks in one job. */
async function predict_masks(inputs: Inputs & { original_sizes: [number, number][] }): Promise<Outputs> {
  const { iou_scores, object_score_logits, pred_masks, masks } = await currentModel().predict_masks(inputs);
  pred_masks.dispose();
  return { iou_scores, object_score_logits, ...named(masks) };
}

async function post_process(inputs: {
  pred_masks: Tensor;
  original_sizes: [number, number][];
}): Promise<Outputs> {
  return named(await currentProcessor().post_process_masks(inputs.pred_masks, inputs.original_sizes));
}

const named = (masks: readonly Tensor[]): Outputs =>
  Object.fromEntries(masks.map((mask, index) => [`masks.${index}`, mask]));

async function run({
  call,
  args,
  save,
}: {
  call: string;
  args: Inputs;
  save: string | null;
}): Promise<Timed> {
  const known = arraysRead;
  const inputs = (await resolveArrays(args)) as never;
  // Python frees what it read from files at once: memory of the inputs' making must not count on one side only.
  if (arraysRead > known) globalThis.gc?.();
  const start = performance.now();
  const outputs = await CALLS[call](inputs);
  await waitForDevice(outputs);
  const seconds = (performance.now() - start) / 1000;
  const saved: Timed['outputs'] = {};
  for (const [name, tensor] of Object.entries(outputs)) {
    if (save !== null) {
      const { type, data, dims } = await tensor.to(
        'cpu',
        tensor.type === 'bfloat16' ? 'float32' : tensor.type,
      );
      saved[name] = await writeArray(save, name, type as ArrayFile['dtype'], data, dims);
    }
    tensor.dispose();
  }
  return { seconds, outputs: saved };
}

/** A device works on after a call has returned: reading a few numbers waits for it. */
async function waitForDevice(outputs: Outputs): Promise<void> {
  if (loaded?.device === 'cpu') return;
  const sizes = Object.values(outputs).sort((a, b) => a.size - b.size);
  await sizes[0].slice(0).to('cpu');
}

/** Reads a call's arrays before its memory is measured. */
async function prepare({ args }: { args: Inputs }): Promise<void> {
  await resolveArrays(args);
  globalThis.gc?.();
}

/** The gaps of a 10 ms timer during encodes one after the other, or without them where there is no pixel_values. */
async function gaps(args: { seconds: number; pixel_values: ArrayFile | null }): Promise<TimerGaps> {
  const pixel_values = args.pixel_values && ((await arrayOf(args.pixel_values)) as Tensor);
  return timerGaps(args.seconds, async () => {
    if (!pixel_values) return void (await new Promise((resolve) => setTimeout(resolve, 1000 * args.seconds)));
    for (const tensor of Object.values(await encode({ pixel_values }))) tensor.dispose();
  });
}

/** Arguments with Tensors, and a RawImage for an image, where they name files. */
async function resolveArrays(value: unknown): Promise<unknown> {
  if (Array.isArray(value)) return Promise.all(value.map(resolveArrays));
  if (typeof value !== 'object' || value === null) return value;
  if ('file' in value) return arrayOf(value as ArrayFile);
  const entries = Object.entries(value).map(async ([name, item]) => [name, await resolveArrays(item)]);
  return Object.fromEntries((await Promise.all(entries)) as [string, unknown][]);
}

/** Where a program has a tensor: prompts on the CPU, the rest where the model computes, embeddings in its dtype. */
function placed(tensor: Tensor, name: string): Tensor | Promise<Tensor> {
  if (!loaded?.model || loaded.device === 'cpu' || /^input_(points|labels|boxes)/.test(name)) return tensor;
  return tensor.to(loaded.device, name.startsWith('image_embeddings') ? loaded.model.dtype : tensor.type);
}

async function arrayOf(array: ArrayFile): Promise<Tensor | RawImage> {
  const key = path.resolve(array.file) + (array.fresh ? ', fresh' : '');
  let found = arrays.get(key);
  if (array.fresh && found) (found as Tensor).dispose();
  if (array.fresh || !found) {
    const data = await readArray(array);
    arraysRead += 1;
    found =
      array.dtype === 'uint8'
        ? new RawImage(data as Uint8Array, array.dims[1], array.dims[0], 3)
        : await placed(new Tensor(array.dtype, data, array.dims), path.basename(key));
    arrays.set(key, found);
  }
  return found;
}

void serve({ describe, load, load_processor, prepare, run, gaps });
