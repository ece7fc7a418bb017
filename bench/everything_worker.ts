/** Our side of the benchmark of segment everything. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { addon } from '../lib/native/binding';
import { MaskGenerationPipeline, Sam3ImageProcessor, Sam3TrackerModel } from '../lib/index';
import type { Mask, MaskGenerationOptions, MaskGenerationSeconds, Tensor } from '../lib/index';
import { writeArray, type ArrayFile } from './arrays';
import { serve } from './serve';

let generator: MaskGenerationPipeline | null = null;
/** Of the last image, where they were to be kept. */
let kept: Mask[] = [];

/** Sets the threads and loads the model. */
async function load({ directory, threads }: { directory: string; threads: number }): Promise<number> {
  addon().setThreads(threads);
  const model = await Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', dtype: 'float32' });
  generator = new MaskGenerationPipeline({ model, image_processor: new Sam3ImageProcessor() });
  return addon().runtimeInfo().threads;
}

type Encode = (pixel_values: Tensor) => Promise<Tensor[]>;

/** What `everything` gave. */
export interface Answer {
  /** Of each stage, and of all together. */
  seconds: Partial<MaskGenerationSeconds> & { all: number };
  scores: number[];
  /** Peak memory in bytes up to the end of the encoder, after which it begins anew; null where the system tells none. */
  encodePeak: number | null;
}

/** Segments everything in an image; `keep` for `mask` to write its masks, after the measurement. */
async function everything(args: {
  file: string;
  options: MaskGenerationOptions<'binary'>;
  keep: boolean;
}): Promise<Answer> {
  if (!generator) throw new Error('load a model first');
  // Python frees the last run's results at once: what only waits for collection must not count on one side alone.
  kept = [];
  globalThis.gc?.();
  restartPeakMemory();
  let seconds: Partial<MaskGenerationSeconds> = {};
  let encodePeak: number | null = null;
  const { model } = generator;
  const encode: Encode = model.get_image_embeddings.bind(model);
  const encodeAndLook: Encode = async (pixel_values) => {
    const embeddings = await encode(pixel_values);
    encodePeak = restartPeakMemory();
    return embeddings;
  };
  model.get_image_embeddings = encodeAndLook as Sam3TrackerModel['get_image_embeddings'];
  const start = performance.now();
  const { scores, masks } = await generator(args.file, {
    ...args.options,
    reference: 'transformers',
    progress_callback: (progress) => (seconds = progress.seconds),
  });
  const all = (performance.now() - start) / 1000;
  model.get_image_embeddings = encode as Sam3TrackerModel['get_image_embeddings'];
  if (args.keep) kept = masks;
  return { seconds: { ...seconds, all }, scores, encodePeak };
}

/** Writes a mask of the image that was kept to `save`. */
const mask = ({ index, save }: { index: number; save: string }): Promise<ArrayFile> =>
  writeArray(save, 'mask', 'bool', kept[index].data, kept[index].dims);

function restartPeakMemory(): number | null {
  const status = '/proc/self/status';
  if (!existsSync(status)) return null;
  const found = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'));
  writeFileSync('/proc/self/clear_refs', '5');
  return found && Number(found[1]) * 1024;
}

void serve({ load, everything, mask });
