/** What the compiler must take and refuse of the image processor: test/repo/types.test.ts. */
import { PILImageResampling, Sam3ImageProcessor } from '../../lib/index';
import type { ArrayWithDims, ImageFeatures, SizeDict, Tensor, RawImage } from '../../lib/index';

/** Settings. */
export function settings(): void {
  const processor = new Sam3ImageProcessor({
    size: 512,
    crop_size: [4, 5],
    pad_size: { height: 8, width: 9 },
    resample: PILImageResampling.BICUBIC,
    image_mean: 0.5,
    image_std: [0.5, 0.5, 0.5],
    do_resize: null,
  });
  const size: SizeDict | null = processor.size;
  processor.size = { shortest_edge: 300 };
  // @ts-expect-error the option's short form is no setting
  processor.size = 512;
  // @ts-expect-error a misspelt setting
  new Sam3ImageProcessor({ do_resiz: false });
  // @ts-expect-error an edge that a size does not have
  new Sam3ImageProcessor({ size: { shortestEdge: 300 } });
  // @ts-expect-error a size of three numbers
  new Sam3ImageProcessor({ size: [1, 2, 3] });
  // @ts-expect-error a layout by another name
  new Sam3ImageProcessor({ data_format: 'HWC' });
  // @ts-expect-error no such kind of tensors
  new Sam3ImageProcessor({ return_tensors: 'tf' });
  // @ts-expect-error no such filter
  void PILImageResampling.CUBIC;
  // @ts-expect-error filters do not change
  PILImageResampling.BILINEAR = 3;
  void size;
}

/** Calls: what a result holds follows `return_tensors`. */
export async function calls(processor: Sam3ImageProcessor, image: RawImage): Promise<void> {
  const features: ImageFeatures = await processor(image);
  const batch: Tensor = (await processor([image, image], { return_tensors: 'pt', do_pad: true }))
    .pixel_values;
  const array: ArrayWithDims = (await processor(image, { return_tensors: 'np' })).pixel_values;
  const list: Tensor[] = (await processor('photo.jpg', { return_tensors: null })).pixel_values;
  const sizes: [number, number][] = features.original_sizes;
  await processor(new URL('file:///photo.jpg'), {
    segmentation_maps: { data: [1, 2], dims: [1, 2] } as never,
  });
  // @ts-expect-error there may be no maps
  const labels: Tensor = features.labels;
  // @ts-expect-error typed arrays are no Tensors
  const tensor: Tensor = (await processor(image, { return_tensors: 'np' })).pixel_values;
  // @ts-expect-error pixels without a shape
  await processor([1, 2, 3]);
  // @ts-expect-error an array that is not typed
  await processor({ data: 'pixels', dims: [1, 2, 3] });
  // @ts-expect-error a misspelt option
  await processor(image, { maskSize: 4 });
  // @ts-expect-error an option of another type
  await processor(image, { do_normalize: 'no' });
  // @ts-expect-error no image
  await processor();
  void [batch, array, list, sizes, labels, tensor];
}
