/** A previous mask as input, with an added point: `npx tsx examples/previous-mask.mts`. */
import { mkdir } from 'node:fs/promises';
import { draw_overlay, RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
const processor = await Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');

const image = await RawImage.read(new URL('images/coffee.png', import.meta.url));

// An initial segmentation.
const first_inputs = await processor({
  images: image,
  input_points: [[[[235, 215]]]],
  input_labels: [[[1]]],
});
const outputs = await model(first_inputs);

// The best mask is the input for refinement: (image, object, height, width) logits.
const best = Number((await (await outputs.iou_scores.argmax()).cpu()).item());
const mask_input = outputs.pred_masks.slice(null, null, best);

// Further points with the mask; the image is not encoded again.
// prettier-ignore
const input_points = [[[[235, 215], [150, 110]]]];
const input_labels = [[[1, 1]]];
const inputs = await processor({ input_points, input_labels, original_sizes: first_inputs.original_sizes });
const refined_outputs = await model({
  ...inputs,
  input_masks: mask_input,
  image_embeddings: outputs.image_embeddings,
  multimask_output: false,
});

const [masks] = await processor.post_process_masks(
  await refined_outputs.pred_masks.cpu(),
  inputs.original_sizes,
);
console.log(`Refined ${masks.dims[1]} mask with shape [${masks.dims.join(', ')}]`);
console.log('Scores:', JSON.stringify((await refined_outputs.iou_scores.cpu()).tolist()));

const overlay = await draw_overlay(image, masks, { points: input_points[0][0] });
const out = process.argv[2] ?? 'out';
await mkdir(out, { recursive: true });
await overlay.save(`${out}/previous-mask.png`);
