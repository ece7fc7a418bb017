/** Several points for one object: `npx tsx examples/multiple-points.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/coffee.png', import.meta.url));

// Positive clicks say what belongs to the object, negative ones what does not.
// prettier-ignore
const input_points = [[[[235, 215], [130, 270], [60, 350]]]];
const input_labels = [[[1, 1, 0]]];

const inputs = await processor({ images: image, input_points, input_labels });
const outputs = await model(inputs);

const [masks] = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log(`Generated ${masks.dims[1]} masks with shape [${masks.dims.join(', ')}]`);

const iou_scores = await outputs.iou_scores.cpu();
console.log('Scores:', JSON.stringify(iou_scores.tolist()));

const best = Number((await iou_scores.argmax()).item());
const overlay = await draw_overlay(image, masks.slice(0, best), {
  points: input_points[0][0],
  labels: input_labels[0][0],
});
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/multiple-points.png`);
