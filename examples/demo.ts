/**
 * From a click to a mask: `npm run demo`. Writes the mask, an overlay and a JSON to out/demo, or to the directory that
 * the first argument names.
 *
 * The model in the box is a small demonstration model; exported from facebook/sam3 the same lines give far better
 * masks (README.md says how).
 */
import path from 'node:path';
import { describeResult, writeResult } from '../lib/cli/results';
import { mask_planes, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from '../lib/index';

const MODEL = 'sam3-tracker-tiny';
const PHOTO = path.join(__dirname, 'images', 'coffee.png');
const OUT = process.argv[2] ?? path.join(__dirname, '..', 'out', 'demo');
const CLICK: [x: number, y: number] = [235, 215];

/** Prints how long a step took since the one before it ended. */
function stopwatch(): (step: string) => void {
  let last = performance.now();
  return (step) => {
    const now = performance.now();
    process.stdout.write(`${step.padEnd(12)} ${(now - last).toFixed(1).padStart(8)} ms\n`);
    last = now;
  };
}

async function main(): Promise<void> {
  const lap = stopwatch();

  const model = await Sam3TrackerModel.from_pretrained(MODEL);
  const processor = await Sam3TrackerProcessor.from_pretrained(MODEL);
  lap('load');

  const image = await RawImage.read(PHOTO);
  lap('decode');

  const inputs = await processor({ images: image, input_points: [[[CLICK]]], input_labels: [[[1]]] });
  lap('preprocess');

  const image_embeddings = await model.get_image_embeddings(inputs.pixel_values);
  lap('encode');

  const { input_points, input_labels } = inputs;
  const outputs = await model({ image_embeddings, input_points, input_labels, multimask_output: false });
  lap('click');

  const [masks] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
  lap('post-process');

  const [mask] = mask_planes(await masks.cpu());
  const score = Number((await outputs.iou_scores.cpu()).item());
  const objectScore = Number((await outputs.object_score_logits.cpu()).item());
  const prompt = { points: [CLICK], labels: [1], box: null };
  const objects = [{ prompt, objectScore, masks: [{ mask, score }] }];
  const record = describeResult(path.basename(PHOTO), image, MODEL, objects);
  const files = await writeResult(OUT, path.parse(PHOTO).name, image, objects, record);
  lap('write');

  const { area, box } = record.objects[0].masks[0];
  process.stdout.write(
    `\n${MODEL}, a small demonstration model, on ${model.device} in ${model.dtype}:\n` +
      `click at ${CLICK.join(', ')} -> score ${score.toFixed(3)}, ${area} pixels, box ${box.join(', ')}\n\n` +
      [...files.masks.flat(), files.overlay, files.json]
        .map((file) => `${path.relative(process.cwd(), file)}\n`)
        .join(''),
  );
  model.dispose();
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.stack : String(error)}\n`);
  process.exitCode = 1;
});
