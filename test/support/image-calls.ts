/** The generated calls of the image processor, and what they are to have among their arguments. */
import { Draw, randomCase, type Case } from './image-cases';

/** Number of calls. */
export const COUNT = 190;

/** What the calls have among their images and options. */
export const ARGUMENTS = [
  'do_convert_rgb true',
  'do_convert_rgb false',
  'do_convert_rgb null',
  'do_resize true',
  'do_resize false',
  'do_resize null',
  'do_rescale true',
  'do_rescale false',
  'do_rescale null',
  'do_normalize true',
  'do_normalize false',
  'do_normalize null',
  'default_to_square true',
  'default_to_square false',
  'default_to_square null',
  'do_center_crop true',
  'do_center_crop false',
  'do_center_crop null',
  'do_pad true',
  'do_pad false',
  'do_pad null',
  'size height,width',
  'size list',
  'size number',
  'size shortest_edge',
  'size shortest_edge,longest_edge',
  'size max_height,max_width',
  'size null',
  'resample 0',
  'resample 1',
  'resample 2',
  'resample 3',
  'resample null',
  'crop_size list',
  'crop_size null',
  'pad_size list',
  'pad_size null',
  'mask_size height,width',
  'rescale_factor number',
  'rescale_factor null',
  'image_mean number',
  'image_mean list',
  'image_mean null',
  'image_std number',
  'image_std list',
  'image_std null',
  'input_data_format channels_first',
  'input_data_format channels_last',
  'input_data_format null',
  'data_format channels_first',
  'data_format null',
  'device cpu',
  'device null',
  'disable_grouping true',
  'disable_grouping false',
  'disable_grouping null',
  'image_seq_length number',
  'image_seq_length null',
  'return_tensors pt',
  'return_tensors np',
  'return_tensors null',
  '1 images',
  '2 images',
  '3 images',
  'maps as image',
  'maps as array',
  'maps as tensor',
  'array of an unknown layout',
  'image',
  'array',
  'tensor',
  'uint8',
  'float32',
  'float64',
  'int8',
  'int16',
  'int32',
  'int64',
  'float16',
  'bool',
];

/** The calls of one run: the largest image, the smallest, the two thinnest, and any between. */
export function drawCall(index: number): Case {
  const extremes: [number, number][] = [
    [2000, 3000],
    [1, 1],
    [2000, 1],
    [1, 3000],
  ];
  return randomCase(new Draw(index), extremes[index]);
}

/** What of ARGUMENTS a call has. */
export function describeCall({ images, maps, options }: Case): string[] {
  return [
    `${images.length} images`,
    images[0].kind,
    images[0].dtype,
    ...(maps ? [`maps as ${maps[0].kind}`] : []),
    ...(images[0].kind !== 'image' && !options.input_data_format ? ['array of an unknown layout'] : []),
    ...Object.entries(options).map(([name, value]) => {
      if (typeof value === 'object' && value !== null)
        return `${name} ${Array.isArray(value) ? 'list' : Object.keys(value).join()}`;
      return `${name} ${typeof value === 'number' && name !== 'resample' ? 'number' : value}`;
    }),
  ];
}
