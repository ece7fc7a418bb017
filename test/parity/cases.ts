/** The cases of the parity tests: what is called, with which prompts. The reference draws the tensors. */

/** One call of one method. Counts only: model_reference.py draws the values, from the case's own seed. */
export interface ParityCase {
  /** Unique within a list. */
  name: string;
  method:
    | 'forward'
    | 'get_image_features'
    | 'get_image_embeddings'
    | 'get_prompt_embeddings'
    | 'get_image_wide_positional_embeddings';
  images: number;
  /** Whether pixel_values are drawn (default true). */
  pixels?: boolean;
  /** Whether get_image_embeddings is called first, and its result passed instead of pixel_values. */
  embeddings?: boolean;
  /** Whether pixel_values are passed beside them all the same, which is refused. */
  keep_pixels?: boolean;
  /** [objects per image, points per object] */
  points?: [objects: number, points: number];
  /** Repeated over all points of an image; null leaves input_labels out. */
  labels?: number[] | null;
  /** Objects per image. */
  boxes?: number;
  /** Whether the boxes are points. */
  zero_area?: boolean;
  /** Height and width as multiples of the prompt encoder's mask_input_size. */
  masks?: [height: number, width: number];
  similarity?: boolean;
  target?: boolean;
  /** Of points and boxes (default float32). */
  prompt_dtype?: 'float32' | 'float64' | 'float16' | 'bfloat16' | 'int64';
  options?: { multimask_output?: boolean; output_hidden_states?: boolean; output_attentions?: boolean };
}

type Prompts = Omit<ParityCase, 'name' | 'method'>;

const forward = (name: string, prompts: Prompts): ParityCase => ({ name, method: 'forward', ...prompts });

/** Positive, negative, background, padding, and the corner embeddings, as a caller may mix them. */
const ALL_LABELS = [1, 0, -1, -10, 2, 3];
const SINGLE = { multimask_output: false };

/** Every kind of prompt. */
export const PROMPT_CASES: readonly ParityCase[] = [
  forward('1 point', { images: 1, points: [1, 1], labels: [1] }),
  forward('4 points', { images: 1, points: [1, 4], labels: [1] }),
  forward('positive and negative points', { images: 1, points: [2, 4], labels: [1, 0, 0] }),
  forward('label -1', { images: 1, points: [2, 3], labels: [1, -1] }),
  forward('labels 2 and 3', { images: 1, points: [1, 4], labels: [2, 3, 1, 0] }),
  forward('padded points', { images: 2, points: [3, 4], labels: [1, 0, -10, -10, 1, -10, -10, -10] }),
  forward('padding alone', { images: 1, points: [2, 2], labels: [-10] }),
  forward('all labels', { images: 3, points: [3, 5], labels: ALL_LABELS }),
  forward('no labels', { images: 2, points: [2, 3], labels: null }),
  forward('1 box', { images: 1, boxes: 1 }),
  forward('3 boxes, 2 images', { images: 2, boxes: 3 }),
  forward('points and boxes', { images: 2, points: [2, 3], labels: [1, 0, -10], boxes: 2 }),
  forward('points without labels and boxes', { images: 1, points: [2, 1], labels: null, boxes: 2 }),
  forward('no prompt', { images: 1 }),
  forward('no prompt, 3 images', { images: 3 }),
  forward('mask', { images: 1, masks: [1, 1] }),
  forward('mask, 3 images', { images: 3, masks: [1, 1] }),
  forward('larger mask', { images: 1, masks: [2.3, 1.7] }),
  forward('smaller mask', { images: 2, masks: [0.6, 0.4] }),
  forward('mask and points', { images: 2, masks: [1, 1], points: [3, 2], labels: [1, 0] }),
  forward('larger mask and points', { images: 1, masks: [1.5, 3], points: [1, 2], labels: [1, 0] }),
  forward('mask and boxes', { images: 3, masks: [1, 1], boxes: 2 }),
  forward('smaller mask, points and boxes', {
    images: 2,
    masks: [0.5, 0.9],
    points: [2, 2],
    labels: [1, -10],
    boxes: 2,
  }),
  forward('float64 points', { images: 1, points: [2, 2], labels: [1], prompt_dtype: 'float64' }),
  forward('points and boxes of integers', {
    images: 1,
    points: [2, 2],
    labels: [1],
    boxes: 2,
    prompt_dtype: 'int64',
  }),
  forward('bfloat16 points and boxes', {
    images: 1,
    points: [2, 2],
    labels: [1, 0],
    boxes: 2,
    prompt_dtype: 'bfloat16',
  }),
];

/** Counts of images and objects, single masks, and the rest of forward's arguments. */
export const FORWARD_CASES: readonly ParityCase[] = [
  forward('64 objects', { images: 1, points: [64, 1], labels: [1] }),
  forward('64 objects, 2 images, padding', { images: 2, points: [64, 3], labels: [1, 0, -10, 1, -10] }),
  forward('64 boxes', { images: 1, boxes: 64 }),
  forward('3 images, 7 objects', { images: 3, points: [7, 2], labels: [1, 0] }),
  forward('single mask', { images: 1, points: [1, 1], labels: [1], options: SINGLE }),
  forward('single masks, 32 objects, 2 images', {
    images: 2,
    points: [32, 1],
    labels: [1],
    options: SINGLE,
  }),
  forward('single masks, boxes, 3 images', { images: 3, boxes: 9, options: SINGLE }),
  forward('single mask of a mask', { images: 2, masks: [1, 1], options: SINGLE }),
  forward('single mask without a prompt', { images: 2, options: SINGLE }),
  forward('attention_similarity', { images: 2, points: [2, 2], labels: [1, 0], similarity: true }),
  forward('target_embedding', { images: 2, points: [2, 2], labels: [1, 0], target: true }),
  forward('similarity and target, boxes', {
    images: 1,
    boxes: 3,
    similarity: true,
    target: true,
    options: SINGLE,
  }),
  forward('image_embeddings', { images: 1, points: [2, 2], labels: [1, 0], embeddings: true }),
  forward('image_embeddings, 3 images, boxes', { images: 3, boxes: 2, embeddings: true }),
  forward('hidden states', { images: 1, boxes: 1, options: { output_hidden_states: true } }),
  forward('attentions', {
    images: 2,
    points: [2, 2],
    labels: [1, 0],
    options: { output_attentions: true },
  }),
  forward('hidden states and attentions', {
    images: 1,
    masks: [1, 1],
    options: { output_hidden_states: true, output_attentions: true, ...SINGLE },
  }),
  forward('image_embeddings with attentions', {
    images: 1,
    boxes: 2,
    embeddings: true,
    options: { output_attentions: true, output_hidden_states: true },
  }),
];

/** The methods beside forward. */
export const METHOD_CASES: readonly ParityCase[] = [
  { name: 'get_image_features', method: 'get_image_features', images: 2 },
  {
    name: 'get_image_features, hidden states',
    method: 'get_image_features',
    images: 3,
    options: { output_hidden_states: true },
  },
  {
    name: 'get_image_features, attentions',
    method: 'get_image_features',
    images: 1,
    options: { output_attentions: true, output_hidden_states: true },
  },
  { name: 'get_image_embeddings', method: 'get_image_embeddings', images: 3 },
  {
    name: 'get_prompt_embeddings, points',
    method: 'get_prompt_embeddings',
    images: 2,
    pixels: false,
    points: [3, 5],
    labels: ALL_LABELS,
  },
  {
    name: 'get_prompt_embeddings, points, boxes and masks',
    method: 'get_prompt_embeddings',
    images: 2,
    pixels: false,
    points: [3, 2],
    labels: [1, 0, -10],
    boxes: 3,
    masks: [1, 1],
  },
  {
    name: 'get_prompt_embeddings, boxes',
    method: 'get_prompt_embeddings',
    images: 1,
    pixels: false,
    boxes: 2,
  },
  {
    name: 'get_prompt_embeddings, masks of another size',
    method: 'get_prompt_embeddings',
    images: 2,
    pixels: false,
    masks: [0.5, 1.5],
  },
  { name: 'get_prompt_embeddings, nothing', method: 'get_prompt_embeddings', images: 1, pixels: false },
  {
    name: 'get_image_wide_positional_embeddings',
    method: 'get_image_wide_positional_embeddings',
    images: 1,
    pixels: false,
  },
];

/** Once more under eager attention, which gives other outputs and takes other paths through the graphs. */
export const EAGER_CASES: readonly ParityCase[] = [
  ...PROMPT_CASES.filter(({ name }) => ['all labels', 'mask and boxes', 'no prompt'].includes(name)),
  ...FORWARD_CASES.filter(
    ({ name }) =>
      /attentions|hidden|similarity|target|image_embeddings/.test(name) ||
      name === '64 objects, 2 images, padding',
  ),
  ...METHOD_CASES.filter(({ method }) => method.startsWith('get_image_') && !method.includes('wide')),
];

/** In half precision: each path of the graphs once. */
export const HALF_CASES: readonly ParityCase[] = [
  ...PROMPT_CASES.filter(({ name }) =>
    [
      '1 point',
      'all labels',
      '3 boxes, 2 images',
      'points and boxes',
      'mask',
      'larger mask and points',
    ].includes(name),
  ),
  forward('bfloat16 points', { images: 1, points: [4, 2], labels: [1, 0], prompt_dtype: 'bfloat16' }),
  ...FORWARD_CASES.filter(({ name }) =>
    ['64 objects', 'attention_similarity', 'target_embedding'].includes(name),
  ),
  ...METHOD_CASES.filter(({ name }) => ['get_image_features', 'get_image_embeddings'].includes(name)),
];
