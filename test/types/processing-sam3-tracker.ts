/** What the type checker must take and refuse of configurations and the processor; `npm run typecheck` runs it. */
import {
  Sam3TrackerConfig,
  Sam3TrackerVisionConfig,
  Sam3ViTConfig,
} from '../../lib/configuration-sam3-tracker';
import type { Sam3TrackerProcessor } from '../../lib/processing-sam3-tracker';
import type { Tensor } from '../../lib/tensor';
import type { ArrayWithDims, ImageSize } from '../../lib/types';

/** Calls of the processor: which fields a result surely has. */
export async function processorTypes(
  processor: Sam3TrackerProcessor,
  picture: ArrayWithDims<Uint8Array>,
): Promise<void> {
  const points = [[[[500, 375]]]];
  const inputs = await processor({ images: picture, input_points: points, input_labels: [[[1]]] });
  const given: Tensor[] = [
    inputs.pixel_values,
    inputs.original_sizes,
    inputs.input_points,
    inputs.input_labels,
  ];
  // @ts-expect-error no boxes were given
  const boxes: Tensor = inputs.input_boxes;
  const later = await processor(picture, { input_boxes: [[[1, 2, 3, 4]]], return_tensors: 'np' });
  const arrays: ArrayWithDims[] = [later.pixel_values, later.input_boxes];
  // @ts-expect-error typed arrays have no device
  await later.pixel_values.cpu();
  const again = await processor({ original_sizes: inputs.original_sizes, input_points: points });
  // @ts-expect-error there were no images
  const pixels: Tensor = again.pixel_values;
  // @ts-expect-error a misspelt option
  await processor({ images: picture, input_point: points });
  // @ts-expect-error an option of another type
  await processor({ images: picture, do_resize: 'yes' });
  // @ts-expect-error no such kind of tensors
  await processor({ images: picture, return_tensors: 'tf' });
  // @ts-expect-error text among the coordinates
  await processor({ images: picture, input_points: [[[['a', 'b']]]] });
  // @ts-expect-error a misspelt option beside the images
  await processor(picture, { input_label: [[[1]]] });
  const options: Parameters<typeof processor>[0] = { images: picture };
  const wide = await processor(options);
  // @ts-expect-error the options may hold no images
  const unsure: Tensor = wide.pixel_values;
  const sizes: ImageSize[] = [[4, 6]];
  await processor({ original_sizes: sizes });
  void [unsure, given, boxes, arrays, pixels];
}

/** Construction of configurations. */
export function configurationTypes(): void {
  const vision = new Sam3TrackerVisionConfig({
    backbone_config: { hidden_size: 64 },
    scale_factors: [4, 2, 1],
  });
  new Sam3TrackerConfig(vision, { hidden_size: 64 }, { mlp_dim: 64 });
  new Sam3TrackerConfig({ vision_config: vision, initializer_range: 0.02 });
  const size: number | number[] = new Sam3TrackerConfig().vision_config.image_size;
  // @ts-expect-error a misspelt field
  new Sam3ViTConfig({ hiden_size: 64 });
  // @ts-expect-error a field of another type
  new Sam3ViTConfig({ hidden_size: '64' });
  // @ts-expect-error a misspelt nested field
  new Sam3TrackerConfig({ vision_config: { backbone_config: { windowsize: 4 } } });
  // @ts-expect-error no such field
  void new Sam3TrackerConfig().visionConfig;
  void size;
}
