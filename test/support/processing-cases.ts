/** Arguments of the processor for a comparison with transformers: generated ones, and ones that both refuse. */
import { randomNumbers } from './random';

/**
 * Arguments as JSON, in which { $tensor }, { $array } and { $image } stand for Tensors, arrays with dims and images;
 * their elements are a list, `data`, or bytes, `base64`.
 */
export type Json = null | boolean | number | string | Json[] | { [name: string]: Json };
export interface ProcessingCase {
  settings: { target_size?: number; point_pad_value?: number };
  options: Record<string, Json>;
}

/** Elements in row-major order with their dims. */
function flatten(list: Json): { dims: number[]; data: Json[] } {
  const dims: number[] = [];
  for (let level = list; Array.isArray(level); level = level[0]) dims.push(level.length);
  return { dims, data: (list as unknown[]).flat(Infinity) as Json[] };
}

const asTensor = (list: Json, dtype: string): Json => ({ $tensor: { dtype, ...flatten(list) } });
const asArray = (list: Json, dtype: string): Json => ({ $array: { dtype, ...flatten(list) } });

type Random = () => number;

/** Settings of the image processor for one call; `isSmall` where one image may stay as it is. */
function drawImageOptions(random: Random, isSmall: boolean): Record<string, Json> {
  const pick = <T>(...items: T[]): T => items[Math.floor(random() * items.length)];
  const side = (): number => 1 + Math.floor(random() * 40);
  const options: Record<string, Json> = {};
  const draw = (probability: number, make: () => Record<string, Json>): void => {
    if (random() < probability) Object.assign(options, make());
  };
  draw(0.3, () => ({ size: pick<Json>({ height: side(), width: side() }, [side(), side()], side()) }));
  if (typeof options.size === 'number') options.default_to_square = true;
  draw(0.3, () => ({ resample: pick(0, 1, 2, 3) }));
  draw(0.5, () => ({ do_rescale: pick(true, false, null) }));
  draw(0.3, () => ({ rescale_factor: pick(0.3, 1 / 255) }));
  draw(0.5, () => ({ do_normalize: pick(true, false, null) }));
  draw(0.3, () => ({ image_mean: [0.1, random(), 0.3] }));
  draw(0.3, () => ({ image_std: [0.25, 0.1 + random(), 0.3] }));
  draw(0.5, () => ({ do_convert_rgb: pick(true, null, false) }));
  draw(0.2, () => ({ do_center_crop: true, crop_size: [side(), side()] }));
  draw(0.2, () => ({ do_pad: true, pad_size: [41, 45] }));
  draw(0.2, () => ({ mask_size: { height: side(), width: side() } }));
  draw(0.2, () => ({ device: pick('cpu', null) }));
  draw(0.2, () => ({ data_format: pick('channels_first', null) }));
  draw(0.2, () => ({ disable_grouping: pick(true, false, null) }));
  draw(0.2, () => ({ image_seq_length: pick(3, null) }));
  if (isSmall) draw(0.5, () => ({ do_resize: pick(false, null) }));
  return options;
}

/** Images from 1x1 to 3000x2000, small ones as often as large ones, maps for some, and image options. */
function drawImages(random: Random, sizes: readonly number[][]): Record<string, Json> {
  const bytes = (dims: number[], limit: number): Json => {
    const count = dims.reduce((product, size) => product * size, 1);
    const data = Uint8Array.from({ length: count }, () => Math.floor(random() * limit));
    return { dtype: 'uint8', dims, base64: Buffer.from(data.buffer).toString('base64') };
  };
  const isImage = random() < 0.4;
  const images = sizes.map((size): Json => ({
    [isImage ? '$image' : '$array']: bytes([...size, 3], 256),
  }));
  const options: Record<string, Json> = {
    images: sizes.length === 1 && random() < 0.5 ? images[0] : images,
    ...drawImageOptions(random, sizes.length === 1 && Math.max(...sizes[0]) <= 40),
  };
  // Sides of 1, 3 (and 4 in transformers 5.23) would be taken for channels.
  const isAmbiguous = sizes.flat().some((side) => [1, 3, 4].includes(side));
  if (!isImage && (isAmbiguous || random() < 0.3)) options.input_data_format = 'channels_last';
  // Padded, maps would need to be no larger than the images.
  if (random() < 0.3 && options.do_pad === undefined)
    options.segmentation_maps = sizes.map((size): Json => ({ $array: bytes(size, 6) }));
  return options;
}

/** Valid arguments: images or sizes, ragged points and labels, boxes, in every form that is accepted. */
export function generatedCases(count: number): ProcessingCase[] {
  const random = randomNumbers(20261122);
  const pick = <T>(...items: T[]): T => items[Math.floor(random() * items.length)];
  const int = (low: number, high: number): number => low + Math.floor(random() * (high - low + 1));
  const times = <T>(length: number, make: (index: number) => T): T[] =>
    Array.from({ length }, (_, i) => make(i));
  const coordinate = (): number => pick(int(-20, 3000), random() * 2000, random() * 10 - 5, -10);
  const label = (): number => pick(0, 1, 1, 2, 3, -1, -10);

  return times(count, () => {
    const settings: ProcessingCase['settings'] = {};
    if (random() < 0.7) settings.target_size = pick(1008, 192, 504, 1, 333);
    if (random() < 0.2) settings.point_pad_value = pick(-10, -7, 0);
    const options: Record<string, Json> = {};
    const images = int(1, 3);
    const side = (longest: number): number => Math.round(longest ** random());
    const [height, width] = pick([2000, 3000], [40, 40]);
    const sizes = times(images, () => [side(height), side(width)]);
    if (random() < 0.5) Object.assign(options, drawImages(random, sizes));
    else {
      const large: Json = sizes.map(() => [int(1, 4000), int(1, 4000)]);
      options.original_sizes = pick(large, asTensor(large, 'int64'), asTensor(large, 'float32'));
    }
    const shapeOf = (isRagged: boolean): number[][] => {
      const [objects, points] = [int(1, 3), int(1, 4)];
      return times(images, () =>
        isRagged ? times(int(1, 3), () => int(1, 4)) : times(objects, () => points),
      );
    };
    const isRagged = random() < 0.5;
    if (random() < 0.8) {
      const shape = shapeOf(isRagged);
      const points = shape.map((objects) => objects.map((n) => times(n, () => [coordinate(), coordinate()])));
      const labels = shape.map((objects) => objects.map((n) => times(n, label)));
      const forms = isRagged ? [points] : [points, asTensor(points, 'float32'), asArray(points, 'float64')];
      options.input_points = pick<Json>(
        ...forms,
        points.map((objects) => objects.map((p) => asTensor(p, 'float32'))),
      );
      if (random() < 0.8)
        options.input_labels = pick<Json>(...(isRagged ? [labels] : [labels, asTensor(labels, 'int64')]));
    }
    if (random() < 0.4) {
      const boxes = int(1, 3);
      const list = times(images, () => times(boxes, () => times(4, coordinate)));
      options.input_boxes = pick<Json>(list, asTensor(list, 'float32'), asArray(list, 'float32'));
    }
    const kind = pick<Json>('pt', 'np', null);
    if (kind !== null || random() < 0.5) options.return_tensors = kind;
    // The reference has no maps but with 'pt' (it calls methods of Tensors on lists and NumPy arrays).
    if (options.segmentation_maps !== undefined) options.return_tensors = 'pt';
    return { settings, options };
  });
}

const SIZES = [[60, 90]];
const IMAGE = asArray([[[1, 2, 3]]], 'uint8');
const withSizes = (options: Record<string, Json>): Record<string, Json> => ({
  original_sizes: SIZES,
  ...options,
});

/** Arguments that the reference refuses with a message of its own, which ours repeats. */
export const REFUSED: readonly Record<string, Json>[] = [
  {},
  { input_points: [[[[1, 2]]]] },
  { images: null, original_sizes: null },
  ...['tf', 'jax', 'xx', 'PT'].flatMap((return_tensors) => [
    withSizes({ return_tensors }),
    { images: IMAGE, return_tensors },
  ]),
  { original_sizes: SIZES, return_tensors: 'mlx' },
  { images: [[IMAGE, IMAGE], [IMAGE]] },
  ...[
    [],
    [[]],
    [[[]]],
    [1],
    [[1]],
    [[1, 2]],
    [[[1, 2]]],
    [[[[[1, 2]]]]],
    [[], [[[1, 2]]]],
    [[[1, 2], [[3, 4]]]],
  ].map((input_points) => withSizes({ input_points })),
  ...[[], [[]], [1], [[1]], [[[[1]]]], [[1, [1]]]].map((input_labels) => withSizes({ input_labels })),
  ...[[], [[]], [1], [[1, 2, 3, 4]], [[[[1, 2, 3, 4]]]], [[], [[1, 2, 3, 4]]]].map((input_boxes) =>
    withSizes({ input_boxes }),
  ),
  withSizes({ input_points: asTensor([[[1, 2]]], 'float32') }),
  withSizes({ input_points: asTensor([[[[1, 2, 3]]]], 'float32') }),
  withSizes({ input_points: asArray([1, 2], 'float64') }),
  withSizes({ input_points: asArray([[[[1]]]], 'float64') }),
  withSizes({ input_labels: asTensor([[1]], 'int64') }),
  withSizes({ input_boxes: asTensor([[1, 2, 3, 4]], 'float32') }),
  withSizes({ input_boxes: asTensor([[[1, 2, 3]]], 'float32') }),
  withSizes({ input_points: [[[['a', 'b']]]] }),
  withSizes({ input_labels: [[['a']]] }),
  withSizes({ input_boxes: [[['a', 1, 1, 1]]] }),
  withSizes({ input_points: [[[[1, 2]]]], input_labels: [[[1, 1]]] }),
  withSizes({ input_points: [[[[1, 2]]]], input_labels: [[[1], [1]]] }),
  withSizes({ input_points: [[[[1, 2]]]], input_labels: [[[1]], [[1]]] }),
  withSizes({
    input_points: [
      [
        [
          [1, 2],
          [3, 4],
        ],
      ],
    ],
    input_labels: [[[]]],
  }),
  ...[
    [
      [[1, 2, 3, 4]],
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
    ],
    [
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      [[1, 2, 3, 4]],
    ],
    [[[1, 2, 3, 4]], []],
  ].map((input_boxes) => ({
    original_sizes: [
      [6, 9],
      [7, 8],
    ],
    input_boxes,
  })),
];
