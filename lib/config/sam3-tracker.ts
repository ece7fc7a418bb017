/** Configurations of the tracker: transformers' models/sam3_tracker/configuration_sam3_tracker.py. */
import type { FieldTable } from './fields';
import { PreTrainedConfig } from './pretrained-config';
import { Sam3VisionConfig, type Sam3VisionConfigFields } from './sam3-vision';
import { acceptCopies } from '../core/kinds';
import { wrongType } from '../core/errors';
import type { FieldsOf } from '../core/types';
import { isPlainObject } from '../core/options';

/** Fields of a Sam3TrackerPromptEncoderConfig, all optional. */
export type Sam3TrackerPromptEncoderConfigFields = FieldsOf<Sam3TrackerPromptEncoderConfig>;

/** The prompt encoder. Mirrors `Sam3TrackerPromptEncoderConfig`. */
export class Sam3TrackerPromptEncoderConfig extends PreTrainedConfig {
  static override readonly base_config_key = 'prompt_encoder_config';
  static override readonly readable_model_types = {
    sam3_tracker_prompt_encoder: 'sam3_tracker_prompt_encoder',
    sam3_tracker_video_prompt_encoder: '',
  };
  static override readonly fields: FieldTable = {
    hidden_size: { kind: 'int', default: 256 },
    image_size: { kind: 'size', default: 1008 },
    patch_size: { kind: 'size', default: 14 },
    mask_input_channels: { kind: 'int', default: 16 },
    num_point_embeddings: { kind: 'int', default: 4 },
    hidden_act: { kind: 'string', default: 'gelu' },
    layer_norm_eps: { kind: 'float', default: 1e-6 },
    scale: { kind: 'int', default: 1 },
  };

  /** Channels of a prompt token. Default 256. */
  declare hidden_size: number;
  /** Side of the image that the model sees, or [height, width], in pixels. Default 1008. */
  declare image_size: number | number[];
  /** Side of a cell of the image embedding, or [height, width], in pixels. Default 14. */
  declare patch_size: number | number[];
  /** Channels inside the mask embedding. Default 16. */
  declare mask_input_channels: number;
  /** Number of point kinds: negative, positive and the two corners of a box. Default 4. */
  declare num_point_embeddings: number;
  /** Activation of the mask embedding: 'gelu' or 'relu'. Default 'gelu'. */
  declare hidden_act: string;
  /** Added to the variance in layer norms. Default 1e-6. */
  declare layer_norm_eps: number;
  /** Standard deviation of the positional embedding's frequencies. Default 1. */
  declare scale: number;

  /**
   * A configuration with the given fields; the rest takes its default.
   *
   * @throws TypeError for a field of another kind; RangeError for the `model_type` of another class.
   */
  constructor(fields: Sam3TrackerPromptEncoderConfigFields = {}) {
    super(fields);
  }
}

/** Fields of a Sam3TrackerMaskDecoderConfig, all optional. */
export type Sam3TrackerMaskDecoderConfigFields = FieldsOf<Sam3TrackerMaskDecoderConfig>;

/** The mask decoder. Mirrors `Sam3TrackerMaskDecoderConfig`. */
export class Sam3TrackerMaskDecoderConfig extends PreTrainedConfig {
  static override readonly base_config_key = 'mask_decoder_config';
  static override readonly readable_model_types = {
    sam3_tracker_mask_decoder: 'sam3_tracker_mask_decoder',
    sam3_tracker_video_mask_decoder: '',
  };
  static override readonly fields: FieldTable = {
    hidden_size: { kind: 'int', default: 256 },
    hidden_act: { kind: 'string', default: 'gelu' },
    mlp_dim: { kind: 'int', default: 2048 },
    num_hidden_layers: { kind: 'int', default: 2 },
    num_attention_heads: { kind: 'int', default: 8 },
    attention_downsample_rate: { kind: 'int', default: 2 },
    num_multimask_outputs: { kind: 'int', default: 3 },
    iou_head_depth: { kind: 'int', default: 3 },
    iou_head_hidden_dim: { kind: 'int', default: 256 },
    dynamic_multimask_via_stability: { kind: 'bool', default: true },
    dynamic_multimask_stability_delta: { kind: 'float', default: 0.05 },
    dynamic_multimask_stability_thresh: { kind: 'float', default: 0.98 },
  };

  /** Channels of a token. Default 256. */
  declare hidden_size: number;
  /** Activation: 'gelu' or 'relu'. Default 'gelu'. */
  declare hidden_act: string;
  /** Channels inside the MLP of the two-way transformer. Default 2048. */
  declare mlp_dim: number;
  /** Layers of the two-way transformer. Default 2. */
  declare num_hidden_layers: number;
  /** Heads of every attention. Default 8. */
  declare num_attention_heads: number;
  /** What cross attention divides its channels by. Default 2. */
  declare attention_downsample_rate: number;
  /** Masks per prompt when several are asked for. Default 3. */
  declare num_multimask_outputs: number;
  /** Layers of the head that scores masks. Default 3. */
  declare iou_head_depth: number;
  /** Channels inside the head that scores masks. Default 256. */
  declare iou_head_hidden_dim: number;
  /** Whether a single mask that is not stable gives way to the best of several. Default true. */
  declare dynamic_multimask_via_stability: boolean;
  /** How far the threshold moves in the stability score, in logits. Default 0.05. */
  declare dynamic_multimask_stability_delta: number;
  /** The stability score from which the single mask is kept, 0 to 1. Default 0.98. */
  declare dynamic_multimask_stability_thresh: number;

  /**
   * A configuration with the given fields; the rest takes its default.
   *
   * @throws TypeError for a field of another kind; RangeError for the `model_type` of another class.
   */
  constructor(fields: Sam3TrackerMaskDecoderConfigFields = {}) {
    super(fields);
  }
}

/** Fields of a Sam3TrackerConfig, all optional; nested configurations as objects of fields or as instances. */
export type Sam3TrackerConfigFields = Omit<
  FieldsOf<Sam3TrackerConfig>,
  'vision_config' | 'prompt_encoder_config' | 'mask_decoder_config'
> & {
  /** The vision encoder. */
  vision_config?: Sam3VisionConfigFields | Sam3VisionConfig | null;
  /** The prompt encoder. */
  prompt_encoder_config?: Sam3TrackerPromptEncoderConfigFields | Sam3TrackerPromptEncoderConfig | null;
  /** The mask decoder. */
  mask_decoder_config?: Sam3TrackerMaskDecoderConfigFields | Sam3TrackerMaskDecoderConfig | null;
};

/** The whole model. Mirrors `Sam3TrackerConfig`. */
export class Sam3TrackerConfig extends PreTrainedConfig {
  static override readonly model_type = 'sam3_tracker';
  static override readonly readable_model_types = { sam3_tracker_video: 'sam3_tracker' };
  static override readonly sub_configs = {
    vision_config: Sam3VisionConfig,
    prompt_encoder_config: Sam3TrackerPromptEncoderConfig,
    mask_decoder_config: Sam3TrackerMaskDecoderConfig,
  };
  static override readonly fields: FieldTable = {
    initializer_range: { kind: 'float', default: 0.02 },
  };

  /** The vision encoder. */
  declare vision_config: Sam3VisionConfig;
  /** The prompt encoder. */
  declare prompt_encoder_config: Sam3TrackerPromptEncoderConfig;
  /** The mask decoder. */
  declare mask_decoder_config: Sam3TrackerMaskDecoderConfig;
  /** Standard deviation of random weights. Default 0.02. */
  declare initializer_range: number;

  /**
   * One object of fields, as in transformers.
   *
   * @throws TypeError for a field of another kind; RangeError for the `model_type` of another class.
   */
  constructor(fields?: Sam3TrackerConfigFields);
  /**
   * The three nested configurations in turn, as transformers' documentation shows and 5.8.0 refuses.
   *
   * @throws as the other form.
   */
  constructor(
    vision_config?: Sam3VisionConfig | Sam3VisionConfigFields | null,
    prompt_encoder_config?: Sam3TrackerPromptEncoderConfig | Sam3TrackerPromptEncoderConfigFields | null,
    mask_decoder_config?: Sam3TrackerMaskDecoderConfig | Sam3TrackerMaskDecoderConfigFields | null,
    initializer_range?: number,
  );
  constructor(first?: unknown, ...rest: unknown[]) {
    super(trackerFields(first, rest));
  }
}

acceptCopies(Sam3TrackerPromptEncoderConfig, 'Sam3TrackerPromptEncoderConfig');
acceptCopies(Sam3TrackerMaskDecoderConfig, 'Sam3TrackerMaskDecoderConfig');
acceptCopies(Sam3TrackerConfig, 'Sam3TrackerConfig');

function trackerFields(first: unknown, rest: unknown[]): object {
  if (rest.length === 0 && (first === undefined || isPlainObject(first))) return first ?? {};
  if (rest.length === 0 && !(first instanceof Sam3VisionConfig))
    throw wrongType('an object of fields or a Sam3VisionConfig', 'Sam3TrackerConfig', first);
  if (rest.length > 3) throw new TypeError('Sam3TrackerConfig takes at most 4 arguments.');
  const [prompt_encoder_config, mask_decoder_config, initializer_range] = rest;
  return { vision_config: first, prompt_encoder_config, mask_decoder_config, initializer_range };
}
