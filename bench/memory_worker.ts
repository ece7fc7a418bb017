/** Loads and clicks again and again, and says how much memory the process has meanwhile. */
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor, Tensor, pipeline } from '../lib/index';
import type { Sam3TrackerImageSegmentationOutput } from '../lib/index';
import { readArray, type ArrayFile } from './arrays';
import { serve } from './serve';

/** Memory after a number of repetitions, in bytes, garbage collected first. */
export interface Sample {
  count: number;
  /** Resident set. */
  rss: number;
  /** What V8 was told that JavaScript objects keep alive elsewhere. */
  external: number;
  /** Of V8's own heap. */
  heap: number;
  /** Resident set before the garbage was collected. */
  rssBefore: number;
}

/** How often to do something, and how often to look. */
export interface Repeat {
  count: number;
  samples: number;
}

async function sample(count: number): Promise<Sample> {
  const { rss: rssBefore } = process.memoryUsage();
  // Native memory is let go of in finalizers, which run after the collection, in a turn of their own.
  for (let turn = 0; turn < 2; turn++) {
    globalThis.gc?.();
    await new Promise((resolve) => setImmediate(resolve));
  }
  const { rss, external, heapUsed } = process.memoryUsage();
  return { count, rss, external, heap: heapUsed, rssBefore };
}

async function repeat({ count, samples }: Repeat, work: () => Promise<void>): Promise<Sample[]> {
  if (!globalThis.gc) throw new Error('run node with --expose-gc');
  const found: Sample[] = [];
  for (let done = 1; done <= count; done++) {
    await work();
    if (done === 1 || done % Math.ceil(count / samples) === 0 || done === count)
      found.push(await sample(done));
  }
  return found;
}

const loadModel = (directory: string): Promise<Sam3TrackerModel> =>
  Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', dtype: 'float32' });

/** Loads and disposals, with a click before each disposal where `click` is given. */
async function loads(args: Repeat & { directory: string; click: ClickArrays | null }): Promise<Sample[]> {
  const inputs = args.click && (await tensorsOf(args.click));
  return repeat(args, async () => {
    const model = await loadModel(args.directory);
    if (inputs) disposeOutputs(await model(inputs));
    model.dispose();
  });
}

/** Clicks; their outputs are disposed of at once, or left to the garbage collector. */
async function clicks(
  args: Repeat & { directory: string; click: ClickArrays; dispose: boolean },
): Promise<Sample[]> {
  const model = await loadModel(args.directory);
  const inputs = await tensorsOf(args.click);
  const found = await repeat(args, async () => {
    const output = await model(inputs);
    if (args.dispose) disposeOutputs(output);
  });
  model.dispose();
  return found;
}

/** An image preprocessed, and masks of its size made, again and again. */
async function images(
  args: Repeat & { directory: string; image: ArrayFile; pred_masks: ArrayFile },
): Promise<Sample[]> {
  const processor = await Sam3TrackerProcessor.from_pretrained(args.directory);
  const [height, width] = args.image.dims;
  const images = new RawImage((await readArray(args.image)) as Uint8Array, width, height, 3);
  const pred_masks = await tensorOf(args.pred_masks);
  return repeat(args, async () => {
    const inputs = await processor({ images });
    const masks = await processor.post_process_masks(pred_masks, inputs.original_sizes);
    for (const tensor of [...inputs.values(), ...masks]) tensor.dispose();
  });
}

/** Of the photos' own size; with four photos each is met once in twelve images, the first quarter of fifty. */
const SCALES = [1, 2, 0.6];

/** Photos in turn, each at every scale. */
async function photosAtScales(files: readonly string[]): Promise<RawImage[]> {
  const photos = await Promise.all(files.map((file) => RawImage.read(file)));
  return Promise.all(
    Array.from({ length: photos.length * SCALES.length }, async (_, index) => {
      const photo = photos[index % photos.length].rgb();
      const [width, height] = [photo.width, photo.height].map((side) =>
        Math.round(side * SCALES[index % SCALES.length]),
      );
      const data = await photo.toSharp().resize(width, height, { fit: 'fill' }).raw().toBuffer();
      return new RawImage(new Uint8Array(data), width, height, 3);
    }),
  );
}

/** Segment everything in photos of several sizes, one after another. */
async function everything(
  args: Repeat & { directory: string; photos: string[]; points_per_crop: number },
): Promise<Sample[]> {
  using generator = await pipeline('mask-generation', args.directory, { device: 'cpu', dtype: 'float32' });
  const images = await photosAtScales(args.photos);
  let next = 0;
  return await repeat(args, async () => {
    const { masks } = await generator(images[next++ % images.length], {
      points_per_crop: args.points_per_crop,
    });
    for (const mask of masks) void mask.data[0];
  });
}

/** What `makeClick` gives. */
interface ClickArrays {
  image_embeddings: ArrayFile[];
  input_points: ArrayFile;
  input_labels: ArrayFile;
}

const tensorOf = async (array: ArrayFile): Promise<Tensor> =>
  new Tensor(array.dtype, await readArray(array), array.dims);

async function tensorsOf({ image_embeddings, input_points, input_labels }: ClickArrays): Promise<{
  image_embeddings: Tensor[];
  input_points: Tensor;
  input_labels: Tensor;
}> {
  return {
    image_embeddings: await Promise.all(image_embeddings.map(tensorOf)),
    input_points: await tensorOf(input_points),
    input_labels: await tensorOf(input_labels),
  };
}

function disposeOutputs({
  pred_masks,
  iou_scores,
  object_score_logits,
}: Sam3TrackerImageSegmentationOutput): void {
  for (const tensor of [pred_masks, iou_scores, object_score_logits]) tensor.dispose();
}

void serve({ loads, clicks, images, everything });
