/** Several images, objects and points: `npx tsx examples/batched-points.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const images = [
  await RawImage.read(new URL('images/coffee.png', import.meta.url)),
  await RawImage.read(new URL('images/astronaut.png', import.meta.url)),
];

// prettier-ignore
const input_points = [
  [[[235, 215]], [[290, 160]]], // coffee: two objects with one point each
  [[[225, 120]], [[220, 300], [190, 440]]], // astronaut: one point, and two points for the second object
];
// prettier-ignore
const input_labels = [
  [[1], [1]],
  [[1], [1, 1]],
];

const inputs = await processor({ images, input_points, input_labels });
const outputs = await model({ ...inputs, multimask_output: false });

const all_masks = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
for (const masks of all_masks) console.log(`Masks with shape [${masks.dims.join(', ')}]`);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
for (const [index, masks] of all_masks.entries()) {
  const overlay = await draw_overlay(images[index], masks, { points: input_points[index].flat() });
  await overlay.save(`${out}/batched-points-${index}.png`);
}
