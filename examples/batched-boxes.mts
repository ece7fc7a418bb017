/** Several images with several boxes each: `npx tsx examples/batched-boxes.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const images = [
  await RawImage.read(new URL('images/astronaut.png', import.meta.url)),
  await RawImage.read(new URL('images/coffee.png', import.meta.url)),
];

// prettier-ignore
const input_boxes = [
  [[150, 15, 310, 200], [365, 0, 475, 290], [285, 350, 495, 512]], // astronaut: three boxes
  [[85, 15, 495, 395], [180, 15, 430, 220], [325, 230, 425, 330]], // coffee: three boxes
];

const inputs = await processor({ images, input_boxes });
const outputs = await model({ ...inputs, multimask_output: false });

const all_masks = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log(
  `Processed ${images.length} images with ${input_boxes[0].length} and ${input_boxes[1].length} boxes respectively`,
);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
for (const [index, masks] of all_masks.entries()) {
  const overlay = await draw_overlay(images[index], masks, { boxes: input_boxes[index] });
  await overlay.save(`${out}/batched-boxes-${index}.png`);
}
