/** Calls of the model's methods with arguments drawn at random, every argument among them, and calls that both refuse. */
import { Draw } from '../support/image-cases';
import type { ParityCase } from './cases';

const LABELS = [1, 1, 1, 0, 0, -1, -10, 2, 3];

/** A case with its attention. */
export interface GeneratedCase {
  attention: 'sdpa' | 'eager';
  parityCase: ParityCase;
}

/** Valid calls, the same in every run. */
export function generatedCases(count: number): GeneratedCase[] {
  const draw = new Draw(20261122);
  const make = (index: number): ParityCase => {
    const kind = draw.integer(0, 9);
    const images = draw.integer(1, 3);
    const options: NonNullable<ParityCase['options']> = {};
    if (draw.chance(0.2)) options.output_hidden_states = draw.chance(0.7);
    if (draw.chance(0.3)) options.output_attentions = draw.chance(0.7);
    if (kind === 0) return { name: `${index}`, method: 'get_image_features', images, options };
    const prompts: Partial<ParityCase> = {};
    const objects = draw.integer(1, 5);
    if (draw.chance(0.65)) {
      prompts.points = [objects, draw.integer(1, 6)];
      prompts.labels = draw.chance(0.25)
        ? null
        : Array.from({ length: draw.integer(1, 7) }, () => draw.pick(LABELS));
    }
    if (draw.chance(0.4)) {
      prompts.boxes = objects;
      if (draw.chance(0.2)) prompts.zero_area = true;
    }
    if (draw.chance(0.15))
      prompts.prompt_dtype = draw.pick(['float64', 'float16', 'bfloat16', 'int64'] as const);
    const hasMasks = draw.chance(0.35);
    if (kind === 1) {
      if (prompts.labels === null) prompts.labels = [1];
      if (hasMasks) prompts.masks = [draw.integer(1, 24) / 12, draw.integer(1, 24) / 12];
      return { name: `${index}`, method: 'get_prompt_embeddings', images, pixels: false, ...prompts };
    }
    if (hasMasks)
      prompts.masks = draw.chance(0.4) ? [1, 1] : [draw.random() * 3 + 0.02, draw.random() * 3 + 0.02];
    if (draw.chance(0.2)) prompts.similarity = true;
    if (draw.chance(0.2)) prompts.target = true;
    if (draw.chance(0.35)) prompts.embeddings = true;
    if (draw.chance(0.6)) options.multimask_output = draw.chance(0.4);
    return { name: `${index}`, method: 'forward', images, ...prompts, options };
  };
  return Array.from({ length: count }, (_, index) => {
    const attention = draw.pick(['sdpa', 'sdpa', 'eager'] as const);
    const parityCase = make(index);
    const { name, method, images, options, ...rest } = parityCase;
    const given = [...Object.keys(rest), ...Object.keys(options ?? {})].join(', ');
    return {
      attention,
      parityCase: { ...parityCase, name: `${name}: ${attention} ${method}, ${images} images: ${given}` },
    };
  });
}

/** Calls that transformers refuses with an error of its own. */
export const REFUSED_CASES: readonly ParityCase[] = [
  { name: 'nothing', method: 'forward', images: 1, pixels: false },
  {
    name: 'prompts without an image',
    method: 'forward',
    images: 1,
    pixels: false,
    points: [1, 1],
    labels: [1],
  },
  {
    name: 'pixel values and image embeddings',
    method: 'forward',
    images: 1,
    embeddings: true,
    keep_pixels: true,
  },
  { name: 'more points than boxes', method: 'forward', images: 1, points: [3, 1], labels: [1], boxes: 2 },
  { name: 'more boxes than points', method: 'forward', images: 2, points: [1, 2], labels: null, boxes: 4 },
  {
    name: 'more boxes than points, with embeddings',
    method: 'forward',
    images: 1,
    embeddings: true,
    points: [2, 2],
    labels: [1, 0],
    boxes: 1,
  },
  {
    name: 'points without labels for get_prompt_embeddings',
    method: 'get_prompt_embeddings',
    images: 1,
    pixels: false,
    points: [1, 2],
    labels: null,
  },
];
