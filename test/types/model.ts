/** What the compiler must take and refuse of the model and its outputs: test/repo/types.test.ts. */
import {
  AutoModel,
  AutoProcessor,
  Sam3TrackerModel,
  best_mask,
  load_image_embeddings,
} from '../../lib/index';
import type {
  BestMask,
  Mask,
  Sam3TrackerMasksOutput,
  Sam3TrackerImageSegmentationOutput,
  Sam3TrackerProcessor,
  Sam3TrackerVisionEncoderOutput,
  Tensor,
  Sam3TrackerConfig,
} from '../../lib/index';

/** The best masks and saved embeddings. */
export async function annotating(
  model: Sam3TrackerModel,
  forward: Sam3TrackerImageSegmentationOutput,
  predicted: Sam3TrackerMasksOutput,
): Promise<void> {
  const [[best]]: BestMask[][] = await best_mask(predicted);
  const mask: Mask = best.mask;
  const [[candidate]] = await best_mask(forward);
  const logits: Tensor = candidate.pred_mask;
  // @ts-expect-error forward gives no masks in the image's size
  void candidate.mask;
  const [[beside]]: BestMask[][] = await best_mask({ ...forward, masks: predicted.masks });
  const { image_embeddings, original_sizes } = await load_image_embeddings('file', model);
  // @ts-expect-error embeddings belong to a model
  await load_image_embeddings('file');
  void [mask, logits, beside];
  await model.predict_masks({ image_embeddings, original_sizes, input_masks: best.pred_mask });
}

/** Loading. */
export async function loading(): Promise<void> {
  const model: Sam3TrackerModel = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', {
    device_map: { '': 'cuda:0' },
    dtype: 'bfloat16',
    attn_implementation: 'eager',
  });
  const count: number = model.num_parameters();
  // @ts-expect-error no such device
  await Sam3TrackerModel.from_pretrained('a', { device: 'gpu' });
  // @ts-expect-error no element type of a model
  await Sam3TrackerModel.from_pretrained('a', { dtype: 'int8' });
  // @ts-expect-error a kernel that there is not
  await Sam3TrackerModel.from_pretrained('a', { attn_implementation: 'flash_attention_2' });
  // @ts-expect-error a misspelt option
  await Sam3TrackerModel.from_pretrained('a', { divice: 'cpu' });
  // @ts-expect-error no model
  await Sam3TrackerModel.from_pretrained();
  // @ts-expect-error loading takes a while
  Sam3TrackerModel.from_pretrained('a').dispose();
  void count;
}

/** Making, moving and saving. */
export async function making(config: Sam3TrackerConfig): Promise<void> {
  const model = new Sam3TrackerModel(config, { seed: 1, dtype: 'float16' });
  const moved: Sam3TrackerModel = await model.to({ device: 'cpu', dtype: 'bfloat16' });
  const found: Sam3TrackerModel = await AutoModel.from_pretrained('a');
  const processor: Sam3TrackerProcessor = await AutoProcessor.from_pretrained('a');
  await moved.save_pretrained('a');
  // @ts-expect-error fields are no configuration
  new Sam3TrackerModel({ initializer_range: 0.02 });
  // @ts-expect-error a seed that is no number
  new Sam3TrackerModel(config, { seed: 'a' });
  // @ts-expect-error a misspelt option
  new Sam3TrackerModel(config, { sede: 1 });
  // @ts-expect-error no element type of a model
  await model.to('int8');
  // @ts-expect-error a model goes to a named device
  await model.to('auto');
  // @ts-expect-error no directory
  await model.save_pretrained();
  // @ts-expect-error it has no instances
  new AutoModel();
  void [found, processor];
}

/** Calls, with what the processor gave. */
export async function calls(
  model: Sam3TrackerModel,
  processor: Sam3TrackerProcessor,
  image: Tensor,
): Promise<void> {
  const inputs = await processor({ images: image, input_points: [[[[1, 2]]]], input_labels: [[[1]]] });
  const outputs: Sam3TrackerImageSegmentationOutput = await model({ ...inputs, multimask_output: false });
  await model(inputs);
  const { image_embeddings } = outputs;
  await model({ image_embeddings, input_points: inputs.input_points, input_masks: null });
  const levels: readonly Tensor[] = await model.get_image_embeddings(inputs.pixel_values);
  const features: Sam3TrackerVisionEncoderOutput = await model.get_image_features(inputs, {
    output_attentions: true,
  });
  const [scores] = await model({ ...inputs, return_dict: false });
  // @ts-expect-error a misspelt input
  await model({ ...inputs, multimaskOutput: false });
  // @ts-expect-error nested numbers are no Tensor: the processor makes them
  await model({ ...inputs, input_points: [[[[1, 2]]]] });
  // @ts-expect-error a flag that is no boolean
  await model({ ...inputs, multimask_output: 'no' });
  // @ts-expect-error one level of embeddings
  await model({ image_embeddings: image_embeddings[0] });
  const arrays = await processor({ images: image, return_tensors: 'np' });
  // @ts-expect-error typed arrays are no Tensors
  await model(arrays);
  // @ts-expect-error an option of forward's alone
  await model.get_image_features(inputs, { multimask_output: true });
  // @ts-expect-error prompts without pixels
  await model.get_image_embeddings({ input_points: inputs.input_points });
  // @ts-expect-error where a model lies is not assigned
  model.device = 'cpu';
  void [levels, features, scores];
}

/** Fields of the outputs. */
export async function outputs(
  output: Sam3TrackerImageSegmentationOutput,
  features: Sam3TrackerVisionEncoderOutput,
): Promise<void> {
  const masks: Tensor = output.pred_masks.slice(null, null, 0);
  const states: readonly Tensor[] | null = output.vision_hidden_states;
  const pooled: null = features.pooler_output;
  const moved: Sam3TrackerImageSegmentationOutput = await output.to('cuda:1');
  using owned = output;
  // @ts-expect-error hidden states may not be there
  void output.vision_hidden_states[0];
  // @ts-expect-error no such field
  void output.masks;
  // @ts-expect-error fields are not assigned
  output.iou_scores = masks;
  // @ts-expect-error an output goes to a named device
  await output.to('auto');
  // @ts-expect-error fields of the other output
  void features.pred_masks;
  void [masks, states, pooled, moved, owned];
}
