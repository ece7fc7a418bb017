/**
 * An annotation tool in sixty lines: clicks, refinement, several objects and categories, COCO, PNGs and cut-outs.
 * `npx tsx examples/annotate.ts` writes into `out`, or into the directory that its argument names; the second time it
 * finds the image's embeddings there and encodes nothing.
 */
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import {
  CocoDatasetBuilder,
  RawImage,
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  best_mask,
  cut_out,
  load_image_embeddings,
  mask_to_png,
  save_image_embeddings,
  type BestMask,
} from 'sam3-tracker';

const PHOTO = path.join(__dirname, 'images', 'coffee.png');

type Click = [x: number, y: number, label: number];

/** What a user would click, object by object: label 1 on it, 0 beside it. */
// prettier-ignore
const OBJECTS: { category: string; clicks: Click[] }[] = [
  { category: 'cup', clicks: [[300, 150, 1], [235, 215, 0]] },
  { category: 'spoon', clicks: [[375, 280, 1], [365, 295, 1]] },
];

async function annotate(out: string): Promise<void> {
  await mkdir(out, { recursive: true });
  const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
  const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');
  const image = await RawImage.read(PHOTO);

  const cache = path.join(out, 'coffee.safetensors');
  if (!existsSync(cache)) {
    const { pixel_values, original_sizes } = await processor({ images: image });
    await save_image_embeddings(cache, {
      image_embeddings: await model.get_image_embeddings(pixel_values),
      original_sizes,
    });
  }
  const { image_embeddings, original_sizes } = await load_image_embeddings(cache, model);

  const dataset = new CocoDatasetBuilder(['cup', 'spoon']);
  const image_id = dataset.addImage('coffee.png', [image.height, image.width]);
  for (const [index, { category, clicks }] of OBJECTS.entries()) {
    let best: BestMask | null = null;
    for (const count of clicks.keys()) {
      // Each click refines what the ones before it gave.
      const points = clicks.slice(0, count + 1);
      const prompts = await processor({
        original_sizes,
        input_points: [[points.map(([x, y]) => [x, y])]],
        input_labels: [[points.map(([, , label]) => label)]],
      });
      const inputs = { ...prompts, image_embeddings, multimask_output: best === null };
      const outputs = await model.predict_masks({ ...inputs, input_masks: best?.pred_mask });
      [[best]] = await best_mask(outputs);
    }
    if (best === null) continue;
    const { mask, iou_score } = best;
    const { area, bbox } = dataset.addMask(image_id, mask, { category, score: iou_score });
    await writeFile(path.join(out, `object-${index + 1}.png`), await mask_to_png(mask));
    await cut_out(image, mask, { crop: true }).save(path.join(out, `cut-out-${index + 1}.png`));
    console.log(`${category}: score ${iou_score.toFixed(3)}, ${area} pixels, box ${bbox.join(', ')}`);
  }
  await writeFile(path.join(out, 'annotations.json'), JSON.stringify(dataset));
  model.dispose();
}

annotate(process.argv[2] ?? 'out').catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
