/** Weights of a new model: transformers' scheme (`_init_weights` of its modeling_utils, sam3 and sam3_tracker). */
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import { wrongValue } from '../core/errors';
import type { NativeRandomWeight } from '../native/binding';

/** transformers takes this where a configuration's initializer_range is 0. */
const DEFAULT_DEVIATION = 0.02;

/** The only buffers of the model, by the end of their names: what is no parameter. */
const BUFFER = 'positional_embedding';

/** Number of parameters in a table of weights; buffers do not count. */
export function countParameters(shapes: Readonly<Record<string, readonly number[]>>): number {
  return Object.entries(shapes)
    .filter(([name]) => !name.endsWith(BUFFER))
    .reduce((sum, [, shape]) => sum + shape.reduce((product, dim) => product * dim, 1), 0);
}

/**
 * How each weight of a new model is drawn.
 *
 * @param config its initializer_range, and those of its vision_config and backbone_config, are standard deviations.
 * @param shapes the shape of each weight by its transformers name.
 * @throws RangeError for a negative standard deviation.
 */
export function initialWeights(
  config: Sam3TrackerConfig,
  shapes: Readonly<Record<string, readonly number[]>>,
): NativeRandomWeight[] {
  const { vision_config, prompt_encoder_config } = config;
  const backbone = vision_config.backbone_config;
  for (const [name, value] of [
    ['initializer_range', config.initializer_range],
    ['vision_config.initializer_range', vision_config.initializer_range],
    ['vision_config.backbone_config.initializer_range', backbone.initializer_range],
    ['prompt_encoder_config.scale', prompt_encoder_config.scale],
  ] as const)
    if (value < 0) throw wrongValue('a standard deviation of at least 0', name, value);
  // Each part is a model of its own in transformers and draws by its own configuration.
  const deviationOf = (name: string): number => {
    if (name.startsWith('vision_encoder.backbone.')) return backbone.initializer_range || DEFAULT_DEVIATION;
    if (name.startsWith('vision_encoder.')) return vision_config.initializer_range || DEFAULT_DEVIATION;
    return config.initializer_range || DEFAULT_DEVIATION;
  };
  const distributionOf = (name: string): [mean: number, standardDeviation: number] => {
    if (name === 'no_memory_embedding' || name.endsWith('.bias')) return [0, 0];
    if (/layer_norm\w*\.weight$/.test(name)) return [1, 0];
    if (name.endsWith(BUFFER)) return [0, prompt_encoder_config.scale];
    if (name.endsWith('.position_embeddings')) return [0, backbone.initializer_range];
    return [0, deviationOf(name)];
  };
  return Object.entries(shapes).map(([name, shape]) => {
    const [mean, standard_deviation] = distributionOf(name);
    return { name, shape: [...shape], mean, standard_deviation };
  });
}
