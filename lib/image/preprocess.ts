/** One call of the image processor: checked settings and images to one native job, and its results back. */
import { disposeViews, prepareImages, type PreparedImage } from './inputs';
import { resizeMode, type ImageProcessorSettings } from './options';
import { checkMostPixels, cropSize, padSize, resizedSize } from './sizes';
import { addon, callNative, callNativeSync, resolveDevice } from '../native/binding';
import type { NativePreprocessOptions } from '../native/binding';
import { Tensor } from '../tensor';
import type { DType, TensorData } from '../core/dtype';
import type { ArrayWithDims, ImageSize } from '../core/types';

type Outputs = Tensor | Tensor[] | ArrayWithDims<TensorData>;

// Broadcasting of mean and std over channels, as torch would refuse it.
function checkChannels(channels: number, mean: number[], std: number[]): void {
  const refuse = (a: number, b: number): never => {
    throw new RangeError(
      `The size of tensor a (${a}) must match the size of tensor b (${b}) at non-singleton dimension 1`,
    );
  };
  if (channels !== 1 && mean.length !== 1 && mean.length !== channels) refuse(channels, mean.length);
  const normalized = Math.max(channels, mean.length);
  if (std.length !== 1 && std.length !== normalized) refuse(normalized, std.length);
}

function deviceOf(wanted: ImageProcessorSettings['device'], images: readonly PreparedImage[]): string {
  if (wanted !== null) return resolveDevice(wanted);
  const { data } = images[0].native;
  return callNativeSync(() => data.device);
}

function planJob(
  images: readonly PreparedImage[],
  settings: ImageProcessorSettings,
  outputDtype: DType | null,
): NativePreprocessOptions {
  const { size, resample, do_rescale, do_normalize, image_mean, image_std } = settings;
  let sizes: ImageSize[] = images.map((image) => image.native.size);
  let resize: NativePreprocessOptions['resize'] = null;
  if (settings.do_resize && size !== null && resample !== null) {
    const resized = sizes.map((image) => checkMostPixels(resizedSize(image, size), 'size'));
    // As in torchvision, a filter that does not exist is no error where there is nothing to resize.
    if (resized.some(([height, width], index) => height !== sizes[index][0] || width !== sizes[index][1]))
      resize = { sizes: resized, mode: resizeMode(resample) };
    sizes = resized;
  }
  const centerCrop = settings.do_center_crop && settings.crop_size ? cropSize(settings.crop_size) : null;
  if (centerCrop) sizes = sizes.map(() => centerCrop);
  const mean = do_normalize && image_mean !== null ? [image_mean].flat() : null;
  const std = do_normalize && image_std !== null ? [image_std].flat() : null;
  if (mean && std)
    for (const { native: image } of images) checkChannels(image.convert_rgb ? 3 : image.channels, mean, std);
  return {
    images: images.map((image) => image.native),
    resize,
    center_crop: centerCrop,
    scale: do_rescale ? settings.rescale_factor : null,
    mean,
    std,
    pad: settings.do_pad ? { size: settings.pad_size && padSize(settings.pad_size, sizes) } : null,
    output_layout: settings.data_format === 'channels_last' ? 'HWC' : 'CHW',
    output_dtype: outputDtype,
    device: deviceOf(settings.device, images),
  };
}

interface Results {
  tensors: Tensor[];
  /** Whether there is one tensor, with an axis for the images. */
  isBatch: boolean;
}

async function runJob(
  images: readonly PreparedImage[],
  settings: ImageProcessorSettings,
  outputDtype: DType | null,
): Promise<Results> {
  try {
    const job = planJob(images, settings, outputDtype);
    const handles = await callNative(() => addon().preprocessImages(job));
    const tensors = handles.map((handle) => new Tensor(handle));
    return { tensors, isBatch: tensors[0].dims.length === 4 };
  } finally {
    disposeViews(images);
  }
}

// A stack that torch would refuse, in the words of transformers' BatchFeature.
function refuseStack(tensors: readonly Tensor[]): never {
  const [first] = tensors;
  const shape = (tensor: Tensor): string => `[${tensor.dims.join(', ')}]`;
  const index = tensors.findIndex((tensor) => shape(tensor) !== shape(first));
  const reason =
    index > 0
      ? `stack expects each tensor to be equal size, but got ${shape(first)} at entry 0 and ${shape(tensors[index])} at entry ${index}`
      : `the images have different types: ${tensors.map(({ type }) => type).join(', ')}`;
  for (const tensor of tensors) tensor.dispose();
  throw new RangeError(
    `Unable to convert output 'pixel_values' (type: list) to tensor: ${reason}\n` +
      'You can try:\n' +
      '  1. Use padding=True to ensure all outputs have the same shape\n' +
      '  2. Set return_tensors=None to return Python objects instead of tensors',
  );
}

async function packResults(
  { tensors, isBatch }: Results,
  return_tensors: ImageProcessorSettings['return_tensors'],
): Promise<Outputs> {
  const [batch] = tensors;
  if (return_tensors === null)
    return isBatch ? Array.from({ length: batch.dims[0] }, (_, index) => batch.slice(index)) : tensors;
  if (!isBatch) refuseStack(tensors);
  if (return_tensors === 'pt') return batch;
  const onCpu = batch.device === 'cpu' ? batch : await batch.cpu();
  return { data: onCpu.data, dims: onCpu.dims };
}

/**
 * Images to pixel values. Mirrors `Sam3ImageProcessor._preprocess_image_like_inputs`.
 *
 * @param images what the caller passed.
 * @param settings checked, by themselves and together.
 * @throws TypeError and RangeError as prepareImages; RangeError for sizes, channels or a batch that do not fit.
 */
export async function preprocessImages(
  images: unknown,
  settings: ImageProcessorSettings,
): Promise<{ pixel_values: Outputs; original_sizes: ImageSize[] }> {
  const { do_convert_rgb, input_data_format, return_tensors } = settings;
  const prepared = await prepareImages(images, 'images', 3, do_convert_rgb ?? false, input_data_format);
  const results = await runJob(prepared, settings, null);
  return {
    pixel_values: await packResults(results, return_tensors),
    original_sizes: prepared.map((image) => image.native.size),
  };
}

/**
 * Segmentation maps to labels: resized by the nearest pixel to `mask_size`, int64, not rescaled or normalised.
 *
 * @throws RangeError where they are to be resized and `mask_size` is null; else as preprocessImages.
 */
export async function preprocessMaps(maps: unknown, settings: ImageProcessorSettings): Promise<Outputs> {
  if (settings.do_resize && settings.mask_size === null)
    throw new RangeError('`mask_size` must be specified for segmentation maps if `do_resize` is `True`.');
  const prepared = await prepareImages(maps, 'segmentation_maps', 2, false, 'channels_first');
  const mapSettings: ImageProcessorSettings = {
    ...settings,
    size: settings.mask_size,
    resample: 0,
    do_rescale: false,
    do_normalize: false,
    data_format: null,
    device: null,
  };
  const { tensors, isBatch } = await runJob(prepared, mapSettings, 'int64');
  const channel = isBatch ? 1 : 0;
  const labels = tensors.map((tensor) => {
    // Maps have one channel, which labels go without; transformers keeps those of a colour image.
    if (tensor.dims[channel] !== 1) return tensor;
    const squeezed = tensor.squeeze(channel);
    tensor.dispose();
    return squeezed;
  });
  return packResults({ tensors: labels, isBatch }, settings.return_tensors);
}
