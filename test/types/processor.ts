/** What the compiler must take and refuse of the processor: test/repo/types.test.ts. */
import { Sam3TrackerProcessor } from '../../lib/index';
import type { ArrayWithDims, ImageSize, Tensor } from '../../lib/index';

/** Calls of the processor: which fields a result surely has. */
export async function processorTypes(
  processor: Sam3TrackerProcessor,
  image: ArrayWithDims<Uint8Array>,
): Promise<void> {
  const points = [[[[500, 375]]]];
  const inputs = await processor({ images: image, input_points: points, input_labels: [[[1]]] });
  const given: Tensor[] = [
    inputs.pixel_values,
    inputs.original_sizes,
    inputs.input_points,
    inputs.input_labels,
  ];
  // @ts-expect-error no boxes were given
  const boxes: Tensor = inputs.input_boxes;
  const later = await processor(image, { input_boxes: [[[1, 2, 3, 4]]], return_tensors: 'np' });
  const arrays: ArrayWithDims[] = [later.pixel_values, later.input_boxes];
  // @ts-expect-error typed arrays have no device
  await later.pixel_values.cpu();
  const again = await processor({ original_sizes: inputs.original_sizes, input_points: points });
  // @ts-expect-error there were no images
  const pixels: Tensor = again.pixel_values;
  // @ts-expect-error a misspelt option
  await processor({ images: image, input_point: points });
  // @ts-expect-error an option of another type
  await processor({ images: image, do_resize: 'yes' });
  // @ts-expect-error no such kind of tensors
  await processor({ images: image, return_tensors: 'tf' });
  // @ts-expect-error text among the coordinates
  await processor({ images: image, input_points: [[[['a', 'b']]]] });
  // @ts-expect-error a misspelt option beside the images
  await processor(image, { input_label: [[[1]]] });
  const options: Parameters<typeof processor>[0] = { images: image };
  const wide = await processor(options);
  // @ts-expect-error the options may hold no images
  const unsure: Tensor = wide.pixel_values;
  await processor({ images: [Buffer.alloc(1), new URL('file:///photo.jpg')] });
  new Sam3TrackerProcessor(processor.image_processor, { target_size: 500, point_pad_value: -7 });
  // @ts-expect-error a misspelt setting
  new Sam3TrackerProcessor(processor.image_processor, { targetSize: 500 });
  // @ts-expect-error a setting twice
  new Sam3TrackerProcessor(processor.image_processor, { target_size: 500 }, -7);
  const sizes: ImageSize[] = [[4, 6]];
  await processor({ original_sizes: sizes });
  void [unsure, given, boxes, arrays, pixels];
}
