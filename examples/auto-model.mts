/** The Auto classes, which choose a class by what the model's files say: `npx tsx examples/auto-model.mts`. */
import { mkdir } from 'node:fs/promises';
import { AutoModel, AutoProcessor, draw_overlay, RawImage } from 'sam3-tracker';

const model = await AutoModel.from_pretrained('sam3-tracker-tiny');
const processor = await AutoProcessor.from_pretrained('sam3-tracker-tiny');
console.log(`${model.constructor.name}, ${processor.constructor.name}`);

const image = await RawImage.read(new URL('images/coffee.png', import.meta.url));

const input_points = [[[[235, 215]]]];
const inputs = await processor({ images: image, input_points, input_labels: [[[1]]] });
const outputs = await model({ ...inputs, multimask_output: false });

const [masks] = await processor.post_process_masks(await outputs.pred_masks.cpu(), inputs.original_sizes);
console.log('Scores:', JSON.stringify((await outputs.iou_scores.cpu()).tolist()));

const overlay = await draw_overlay(image, masks, { points: input_points[0][0] });
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/auto-model.png`);
