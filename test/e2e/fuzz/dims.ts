/** Calls whose arguments have something wrong in them: axes, sizes, nesting, options, getters, prototypes. */
import * as sam from '../../../lib';
import { RawImage, RLEMask, Tensor } from '../../../lib';
import { boxes, labels, points } from '../../support/bundled-model';
import { KEEP_ALL } from '../../support/mask-generation';
import { Dice, expect, type Attack } from './attack';
import { environment, type Environment } from './environment';
import { editTree } from './values';

const H = 6;
const W = 8;
const bytes = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => +(index % 5 < 2));
const mask = () => ({ data: bytes(H * W), dims: [H, W] });
const rle = () => ({ size: [H, W], counts: [10, 20, 8, 10] });
const coco = () => sam.coco_encode_rle({ size: [H, W], counts: [10, 20, 8, 10] });
const image = () => new RawImage(bytes(H * W * 3), W, H, 3);
const array = () => ({ data: bytes(H * W * 3), dims: [H, W, 3] });
const floats = (...dims: number[]): Tensor =>
  new Tensor('float32', new Float32Array(dims.reduce((a, b) => a * b, 1)).fill(0.5), dims);
const batch = ({ embeddings }: Environment) => ({
  image_embeddings: [...embeddings],
  points: Float32Array.from([20, 20, 90, 90]),
  multimask_output: true,
  crop_box: [0, 0, W, H],
  bounds: [0, 0, W, H],
  original_size: [H, W],
  ...KEEP_ALL,
});
const prompts = () => ({
  input_points: [
    [
      [
        [1, 2],
        [3, 4],
      ],
      [[5, 6]],
    ],
  ],
  input_labels: [[[1, 0], [1]]],
  input_boxes: [
    [
      [0, 0, 4, 4],
      [1, 1, 5, 5],
    ],
  ],
});

type Callable = (...args: unknown[]) => unknown;
/** A public function: its arguments, made anew each time, and what is called. */
type Call = [args: (environment: Environment) => unknown[], callee: (environment: Environment) => unknown];

const of = (args: () => unknown[], callee: unknown): Call => [args, () => callee];
/** A method of an object that is made for each call. */
const on =
  (type: string, make: () => object) =>
  (name: string, ...args: unknown[]): [string, Call] => [
    `${type}.${name}`,
    [
      () => structuredClone(args),
      () => {
        const self = make() as Record<string, Callable>;
        return self[name].bind(self);
      },
    ],
  ];
const onTensor = on('Tensor', () => floats(2, 3, 4));
const onImage = on('RawImage', image);

const IMAGE_OPTIONS = {
  do_resize: true,
  size: { height: 20, width: 30 },
  resample: 2,
  do_center_crop: true,
  crop_size: { height: 16, width: 16 },
  rescale_factor: 0.5,
  image_mean: [0.5, 0.5, 0.5],
  image_std: [0.5, 0.5, 0.5],
  do_pad: true,
  pad_size: { height: 32, width: 32 },
  mask_size: { height: 8, width: 8 },
  input_data_format: 'channels_last',
  return_tensors: 'np',
};

const METHODS: [string, Call][] = [
  onTensor('slice', 1, [0, 2], null),
  onTensor('reshape', 6, -1),
  onTensor('squeeze', 0),
  onTensor('unsqueeze', 0),
  onTensor('argmax', 1, true),
  onTensor('to', { device: 'cpu', dtype: 'float16' }),
  onTensor('select', 0, 1),
  onTensor('permute', 2, 0, 1),
  onTensor('transpose', 0, 1),
  onTensor('view', 6, 4),
  onTensor('flatten', 0, 1),
  onTensor('gt', 0.5),
  onTensor('clamp', 0, 1),
  onTensor('softmax', 1),
  onTensor('sum', 1, false),
  onTensor('mean', [0, 1], true),
  onTensor('norm', 2, 1),
  onTensor('normalize', 2, 1),
  onTensor('max', 1, true),
  onTensor('repeat', 2, 1, 2),
  onTensor('tile', 1, 2, 1),
  onImage('convert', 4),
  onImage('crop', [0, 0, 3, 3]),
  onImage('center_crop', 4, 4),
  onImage('pad', [1, 1, 2, 2]),
  onImage('resize', 12, 9),
  onImage('toTensor', 'CHW'),
  onImage('toBlob', 'image/png', 1),
];

const CALLS: Record<string, Call> = {
  processor: [() => [{ images: array(), ...prompts() }], ({ processor }) => processor],
  'processor, images first': [() => [[image(), array()]], ({ processor }) => processor],
  'processor without images': [
    () => [{ original_sizes: [[H, W]], ...prompts(), return_tensors: 'np' }],
    ({ processor }) => processor,
  ],
  'processor, arrays': [
    () => [
      {
        original_sizes: { data: Int32Array.of(H, W), dims: [1, 2] },
        input_points: { data: new Float32Array(4), dims: [1, 1, 2, 2] },
        input_labels: { data: new BigInt64Array(2), dims: [1, 1, 2] },
        input_boxes: points(1, 1, 2).reshape(1, 1, 4),
      },
    ],
    ({ processor }) => processor,
  ],
  'image processor': [
    () => [array(), structuredClone(IMAGE_OPTIONS)],
    ({ processor }) => processor.image_processor,
  ],
  segmentation_maps: [
    () => [{ images: [array()], segmentation_maps: [mask()] }],
    ({ processor }) => processor,
  ],
  post_process_masks: [
    () => [
      [floats(1, 3, 8, 8)],
      [[H, W]],
      { mask_threshold: 0, binarize: true, max_hole_area: 1, max_sprinkle_area: 1 },
    ],
    ({ processor }) => processor.post_process_masks.bind(processor),
  ],
  forward: [
    ({ embeddings }) => [
      {
        image_embeddings: [...embeddings],
        input_points: points(),
        input_labels: labels([1, 1, 1]),
        input_boxes: boxes(),
        input_masks: floats(1, 1, 32, 32),
      },
    ],
    ({ model }) => model.forward.bind(model),
  ],
  predict_masks: [
    ({ embeddings }) => [
      { image_embeddings: [...embeddings], input_points: points(), original_sizes: [[H, W]] },
      { binarize: false },
    ],
    ({ model }) => model.predict_masks.bind(model),
  ],
  get_prompt_embeddings: [
    () => [{ input_points: points(), input_labels: labels([1, 1, 1]) }],
    ({ model }) => model.get_prompt_embeddings.bind(model),
  ],
  generate_masks: [(loaded) => [batch(loaded)], ({ model }) => model.generate_masks.bind(model)],
  'mask generation': [
    () => [
      image(),
      {
        points_per_crop: 2,
        points_per_batch: 2,
        crops_n_layers: 1,
        crop_overlap_ratio: 0.3,
        box_of_interest: [0, 0, 4, 4],
        pred_iou_thresh: 0,
        stability_score_thresh: 0,
      },
    ],
    ({ generator }) => generator,
  ],
  'mask generation, grids': [
    () => [
      image(),
      {
        point_grids: [
          [
            [0.5, 0.5],
            [0.2, 0.3],
          ],
        ],
        output_mode: 'polygons',
      },
    ],
    ({ generator }) => generator,
  ],
  Tensor: of(
    () => ['float32', [1, 2, 3, 4], [2, 2]],
    (...args: ConstructorParameters<typeof Tensor>) => new Tensor(...args),
  ),
  'Tensor int64': of(
    () => ['int64', [1n, 2n], [2]],
    (...args: ConstructorParameters<typeof Tensor>) => new Tensor(...args),
  ),
  RawImage: of(
    () => [bytes(H * W), W, H, 1],
    (...args: ConstructorParameters<typeof RawImage>) => new RawImage(...args),
  ),
  'RawImage.fromTensor': of(
    () => [{ type: 'uint8', dims: [3, H, W], data: bytes(3 * H * W) }, 'CHW'],
    RawImage.fromTensor.bind(RawImage),
  ),
  RLEMask: of(
    () => [[H, W], Uint32Array.of(10, 20, 18)],
    (...args: ConstructorParameters<typeof RLEMask>) => new RLEMask(...args),
  ),
  mask_planes: of(() => [{ data: bytes(2 * H * W), dims: [2, H, W] }], sam.mask_planes),
  mask_to_rle: of(() => [mask()], sam.mask_to_rle),
  rle_to_mask: of(() => [rle()], sam.rle_to_mask),
  'rle_to_mask, coco': of(() => [coco()], sam.rle_to_mask),
  coco_encode_rle: of(() => [rle()], sam.coco_encode_rle),
  coco_decode_rle: of(() => [coco()], sam.coco_decode_rle),
  mask_area: of(() => [mask()], sam.mask_area),
  'mask_area, rle': of(() => [rle()], sam.mask_area),
  mask_to_box: of(() => [rle()], sam.mask_to_box),
  mask_iou: of(() => [mask(), rle()], sam.mask_iou),
  mask_merge: of(() => [[mask(), rle(), coco()], { intersect: true }], sam.mask_merge),
  mask_to_polygons: of(() => [mask()], sam.mask_to_polygons),
  mask_to_png: of(() => [rle()], sam.mask_to_png),
  cut_out: of(() => [image(), mask(), { crop: true }], sam.cut_out),
  draw_overlay: of(
    () => [
      image(),
      [mask(), new RLEMask([H, W], Uint32Array.of(10, 20, 18))],
      {
        colors: [[1, 2, 3]],
        opacity: 0.5,
        contourWidth: 1,
        points: [
          [1, 1],
          [2, 2],
        ],
        labels: [1, 0],
        boxes: [[0, 0, 3, 3]],
      },
    ],
    sam.draw_overlay,
  ),
  CocoDatasetBuilder: of(
    () => [
      ['cat', { id: 7, name: 'dog', supercategory: 'animal' }],
      ['x.jpg', [H, W]],
      [1, rle(), { score: 0.5, segmentation: 'polygons', category: 'dog' }],
    ],
    (categories: never, added: never[], annotation: never[]) => {
      const builder = new sam.CocoDatasetBuilder(categories);
      builder.addImage(...(added as unknown as [string, [number, number]]));
      return builder.addMask(...(annotation as unknown as [number, never]));
    },
  ),
  best_mask: of(
    () => [
      {
        pred_masks: floats(1, 1, 3, 8, 8),
        iou_scores: floats(1, 1, 3),
        object_score_logits: floats(1, 1, 1),
      },
    ],
    sam.best_mask,
  ),
  Sam3ImageProcessor: of(
    () => [{ ...structuredClone(IMAGE_OPTIONS), return_tensors: undefined }],
    (options: never) => new sam.Sam3ImageProcessor(options).to_json_string(),
  ),
};

/** What has a length that its other fields tell. */
function measured(value: object): boolean {
  const { data, dims, width, height, channels } = value as {
    data?: ArrayLike<unknown>;
    dims?: number[];
    width?: number;
    height?: number;
    channels?: number;
  };
  if (value instanceof RawImage) return data!.length === width! * height! * channels!;
  const isArray = typeof data === 'object' && data !== null && Array.isArray(dims);
  return !isArray || data.length === dims.reduce((product, length) => product * length, 1);
}

/** @throws AssertionError for a result whose lengths do not fit, or that holds numbers which are none. */
function checkResult(value: unknown, depth = 0): void {
  if (typeof value === 'number') expect(!Number.isNaN(value), 'NaN');
  if (typeof value !== 'object' || value === null || depth > 5 || ArrayBuffer.isView(value)) return;
  if (value instanceof Tensor && value.disposed) return;
  expect(measured(value), 'data of another length than dims');
  if (value instanceof Tensor || value instanceof RawImage) return;
  const { size, counts } = value as { size?: number[]; counts?: number[] };
  if (Array.isArray(size) && Array.isArray(counts))
    expect(
      counts.reduce((sum, count) => sum + count, 0) === size[0] * size[1],
      'runs that do not fill the size',
    );
  for (const item of Object.values(value)) checkResult(item, depth + 1);
}

let calls: Map<string, Call> | undefined;

/** A call with one to three edits of its arguments. */
export async function dims(seed: number): Promise<Attack> {
  const dice = new Dice(seed);
  calls ??= new Map([
    ...Object.entries(CALLS),
    ...METHODS.filter(
      ([name]) => name.split('.')[1] in (name.startsWith('Tensor') ? Tensor : RawImage).prototype,
    ),
  ]);
  const loaded = await environment();
  const [name, [args, callee]] = dice.pick([...calls]);
  const given = args(loaded);
  const description = `${name}: ${editTree(dice, given, false)}`;
  return {
    description,
    bytes: 500_000,
    run: async () => checkResult(await (callee(loaded) as Callable)(...given)),
  };
}
