/** A bounding box: `npx tsx examples/bounding-box.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/rocket.jpg', import.meta.url));

const input_boxes = [[[295, 90, 345, 345]]]; // image, box: [x_min, y_min, x_max, y_max]

const inputs = await processor({ images: image, input_boxes });
const outputs = await model(inputs);

const [masks] = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log(`Generated ${masks.dims[1]} masks with shape [${masks.dims.join(', ')}]`);

const iou_scores = await outputs.iou_scores.cpu();
console.log('Scores:', JSON.stringify(iou_scores.tolist()));

const best = Number((await iou_scores.argmax()).item());
const overlay = await draw_overlay(image, masks.slice(0, best), { boxes: input_boxes[0] });
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/bounding-box.png`);
