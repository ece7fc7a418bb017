/** Several images in one call: `npx tsx examples/batched-images.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

// Images of different sizes may go together.
const images = [
  await RawImage.read(new URL('images/coffee.png', import.meta.url)),
  await RawImage.read(new URL('images/chelsea.png', import.meta.url)),
];

const input_points = [[[[235, 215]]], [[[250, 150]]]]; // one point for each image
const input_labels = [[[1]], [[1]]];

const inputs = await processor({ images, input_points, input_labels });
const outputs = await model({ ...inputs, multimask_output: false });

const all_masks = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log(`Processed ${all_masks.length} images, each with ${all_masks[0].dims[0]} objects`);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
for (const [index, masks] of all_masks.entries()) {
  const overlay = await draw_overlay(images[index], masks, { points: input_points[index].flat() });
  await overlay.save(`${out}/batched-images-${index}.png`);
}
