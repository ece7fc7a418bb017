/** Our side of the benchmark of segment everything. */
import { native } from '../lib/native';
import { MaskGenerationPipeline, Sam3ImageProcessor, Sam3TrackerModel } from '../lib/index';
import type { MaskGenerationOptions, MaskGenerationSeconds } from '../lib/index';
import { serve } from './serve';

let generator: MaskGenerationPipeline | null = null;

/** Sets the threads and loads the model. */
async function load({ directory, threads }: { directory: string; threads: number }): Promise<number> {
  native.setThreads(threads);
  const model = await Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', dtype: 'float32' });
  generator = new MaskGenerationPipeline({ model, image_processor: new Sam3ImageProcessor() });
  return native.runtimeInfo().threads;
}

/** Segments everything in a picture; returns the seconds of each stage, and the scores. */
async function everything(args: {
  file: string;
  options: MaskGenerationOptions<'binary'>;
}): Promise<{ seconds: Partial<MaskGenerationSeconds> & { all: number }; scores: number[] }> {
  if (!generator) throw new Error('load a model first');
  let seconds: Partial<MaskGenerationSeconds> = {};
  const start = performance.now();
  const { scores } = await generator(args.file, {
    ...args.options,
    reference: 'transformers',
    progress_callback: (progress) => (seconds = progress.seconds),
  });
  return { seconds: { ...seconds, all: (performance.now() - start) / 1000 }, scores };
}

void serve({ load, everything });
