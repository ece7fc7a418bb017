/** Different numbers of objects in several images: `npx tsx examples/batched-objects.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const images = [
  await RawImage.read(new URL('images/coffee.png', import.meta.url)),
  await RawImage.read(new URL('images/chelsea.png', import.meta.url)),
];

// prettier-ignore
const input_points = [
  [[[235, 215]], [[290, 160]]], // coffee: two objects
  [[[250, 150]]], // cat: one object
];
// prettier-ignore
const input_labels = [
  [[1], [1]],
  [[1]],
];

const inputs = await processor({ images, input_points, input_labels });
const outputs = await model({ ...inputs, multimask_output: false });

const all_masks = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
// The batch is padded to two objects an image: the cat has a second mask, which nobody asked for.
for (const masks of all_masks) console.log(`Masks with shape [${masks.dims.join(', ')}]`);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
for (const [index, masks] of all_masks.entries()) {
  const asked = masks.slice([0, input_points[index].length]);
  const overlay = await draw_overlay(images[index], asked, { points: input_points[index].flat() });
  await overlay.save(`${out}/batched-objects-${index}.png`);
}
