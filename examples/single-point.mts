/** Single point click: `npx tsx examples/single-point.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/coffee.png', import.meta.url));

const input_points = [[[[235, 215]]]]; // image, object, point, coordinates: pixels of the image
const input_labels = [[[1]]]; // image, object, point: 1 for a positive click, 0 for a negative one

const inputs = await processor({ images: image, input_points, input_labels });
const outputs = await model(inputs);

const [masks] = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
// One click may mean a part or the whole: the model gives several masks, each with a score.
console.log(`Generated ${masks.dims[1]} masks with shape [${masks.dims.join(', ')}]`);

const iou_scores = await outputs.iou_scores.cpu();
console.log('Scores:', JSON.stringify(iou_scores.tolist()));

const best = Number((await iou_scores.argmax()).item());
const overlay = await draw_overlay(image, masks.slice(0, best), { points: input_points[0][0] });
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/single-point.png`);
