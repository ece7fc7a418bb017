/** Several objects in one image: `npx tsx examples/multiple-objects.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/coffee.png', import.meta.url));

const input_points = [[[[235, 215]], [[290, 160]]]]; // one image, two objects (the saucer, the cup) with one point each
const input_labels = [[[1], [1]]];

const inputs = await processor({ images: image, input_points, input_labels });
const outputs = await model({ ...inputs, multimask_output: false });

// Each object gets its own mask.
const [masks] = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log(`Generated masks for ${masks.dims[0]} objects, shape [${masks.dims.join(', ')}]`);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const overlay = await draw_overlay(image, masks, { points: input_points[0].flat() });
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/multiple-objects.png`);
