/** Configurations of the vision encoder: transformers' models/sam3/configuration_sam3.py. */
import { acceptCopies } from '../core/kinds';
import type { FieldTable } from './fields';
import { PreTrainedConfig } from './pretrained-config';
import { type ConfigDict } from './fields';
import { wrongType } from '../core/errors';
import { PythonFloat } from '../core/json';
import type { FieldsOf } from '../core/types';
import { isPlainObject } from '../core/options';

/** The rotary embedding's settings as transformers 5.23 writes them. */
export interface RopeParameters {
  /** Base of the frequencies. */
  rope_theta: number;
  /** 'axial', the only one that the vision encoder has. */
  rope_type: string;
  [name: string]: unknown;
}

/** Fields of a Sam3ViTConfig, all optional. */
export type Sam3ViTConfigFields = FieldsOf<Sam3ViTConfig>;

/** The ViT backbone. Mirrors `Sam3ViTConfig`; reads the forms of transformers 5.8 and 5.23. */
export class Sam3ViTConfig extends PreTrainedConfig {
  static override readonly model_type = 'sam3_vit_model';
  static override readonly base_config_key = 'backbone_config';
  static override readonly fields: FieldTable = {
    hidden_size: { kind: 'int', default: 1024 },
    intermediate_size: { kind: 'int', default: 4736 },
    num_hidden_layers: { kind: 'int', default: 32 },
    num_attention_heads: { kind: 'int', default: 16 },
    num_channels: { kind: 'int', default: 3 },
    image_size: { kind: 'size', default: 1008 },
    patch_size: { kind: 'size', default: 14 },
    hidden_act: { kind: 'string', default: 'gelu' },
    layer_norm_eps: { kind: 'float', default: 1e-6 },
    attention_dropout: { kind: 'float', default: 0 },
    rope_theta: { kind: 'float', default: 10000 },
    window_size: { kind: 'int', default: 24 },
    global_attn_indexes: { kind: 'ints', default: [7, 15, 23, 31], nullIsDefault: true },
    layer_scale_init_value: { kind: 'float', default: null, nullable: true },
    pretrain_image_size: { kind: 'size', default: 336 },
    hidden_dropout: { kind: 'float', default: 0 },
    initializer_range: { kind: 'float', default: 0.02 },
  };

  /** Channels of a token. Default 1024. */
  declare hidden_size: number;
  /** Channels inside the MLP. Default 4736. */
  declare intermediate_size: number;
  /** Layers. Default 32. */
  declare num_hidden_layers: number;
  /** Heads of every attention. Default 16. */
  declare num_attention_heads: number;
  /** Channels of the image. Default 3. */
  declare num_channels: number;
  /** Side of the image that the model sees, or [height, width], in pixels. Default 1008. */
  declare image_size: number | number[];
  /** Side of a patch, or [height, width], in pixels. Default 14. */
  declare patch_size: number | number[];
  /** Activation of the MLP: 'gelu' or 'relu'. Default 'gelu'. */
  declare hidden_act: string;
  /** Added to the variance in layer norms. Default 1e-6. */
  declare layer_norm_eps: number;
  /** Kept for round trips: inference drops nothing. Default 0. */
  declare attention_dropout: number;
  /** Base of the rotary frequencies; also what `rope_parameters` is written with. Default 10000. */
  declare rope_theta: number;
  /** The rotary settings in the form of transformers 5.23, where the file held them; undefined otherwise. */
  declare readonly rope_parameters?: Readonly<RopeParameters>;
  /** Side of an attention window, in patches. Default 24. */
  declare window_size: number;
  /** Indices of the layers that attend over the whole image. Default [7, 15, 23, 31]. */
  declare global_attn_indexes: number[];
  /** Start value of the layer scale, or null for none. Default null. */
  declare layer_scale_init_value: number | null;
  /** Side of the image whose position embeddings the weights hold, or [height, width], in pixels. Default 336. */
  declare pretrain_image_size: number | number[];
  /** Kept for round trips: inference drops nothing. Default 0. */
  declare hidden_dropout: number;
  /** Standard deviation of random weights. Default 0.02. */
  declare initializer_range: number;

  readonly #writesTheta: boolean;

  /**
   * A configuration with the given fields; the rest takes its default.
   *
   * @throws TypeError for a field of another kind; RangeError for the `model_type` of another class.
   */
  constructor(fields: Sam3ViTConfigFields = {}) {
    super(withTheta(fields));
    this.#writesTheta = this.rope_parameters === undefined || (fields as ConfigDict).rope_theta !== undefined;
  }

  /** All fields as plain values; the rotary settings in the form in which they were read. */
  override to_dict(): ConfigDict {
    const dict = super.to_dict();
    if (this.rope_parameters) dict.rope_parameters = { ...this.rope_parameters, rope_theta: this.rope_theta };
    // 5.8 reads rope_theta, 5.23 rope_parameters: written are those that were read.
    if (!this.#writesTheta) delete dict.rope_theta;
    return dict;
  }

  protected override markFloats(dict: ConfigDict): ConfigDict {
    const marked = super.markFloats(dict);
    if (isPlainObject(dict.rope_parameters))
      marked.rope_parameters = {
        ...dict.rope_parameters,
        rope_theta: new PythonFloat(dict.rope_parameters.rope_theta as number),
      };
    return marked;
  }
}

/** Takes the base frequency out of `rope_parameters`, which counts before `rope_theta` as it does in 5.23. */
function withTheta(fields: object): object {
  if (!isPlainObject(fields) || fields.rope_parameters === undefined) return fields;
  const { rope_parameters: rope, ...rest } = fields;
  if (rope === null) return rest;
  if (!isPlainObject(rope)) throw wrongType('an object', 'Sam3ViTConfig.rope_parameters', rope);
  const rope_theta = rope.rope_theta ?? fields.rope_theta ?? Sam3ViTConfig.fields.rope_theta.default;
  return { ...rest, rope_theta, rope_parameters: { rope_type: 'axial', ...rope, rope_theta } };
}

/** Fields of a Sam3VisionConfig, all optional; the backbone as an object of fields or as an instance. */
export type Sam3VisionConfigFields = Omit<FieldsOf<Sam3VisionConfig>, 'backbone_config'> & {
  /** The ViT backbone. */
  backbone_config?: Sam3ViTConfigFields | Sam3ViTConfig | null;
};

/** The vision encoder: backbone and FPN neck. Mirrors `Sam3VisionConfig`. */
export class Sam3VisionConfig extends PreTrainedConfig {
  static override readonly model_type = 'sam3_vision_model';
  static override readonly base_config_key = 'vision_config';
  static override readonly sub_configs = { backbone_config: Sam3ViTConfig };
  static override readonly fields: FieldTable = {
    fpn_hidden_size: { kind: 'int', default: 256 },
    backbone_feature_sizes: {
      kind: 'list',
      default: [
        [288, 288],
        [144, 144],
        [72, 72],
      ],
      nullIsDefault: true,
    },
    scale_factors: { kind: 'floats', default: [4, 2, 1, 0.5], nullIsDefault: true },
    hidden_act: { kind: 'string', default: 'gelu' },
    layer_norm_eps: { kind: 'float', default: 1e-6 },
    initializer_range: { kind: 'float', default: 0.02 },
  };

  /** The ViT backbone. */
  declare backbone_config: Sam3ViTConfig;
  /** Channels of the feature pyramid. Default 256. */
  declare fpn_hidden_size: number;
  /** [height, width] of each feature map that the model keeps, largest first. */
  declare backbone_feature_sizes: number[][];
  /** Size of each pyramid level relative to the backbone's grid. Default [4, 2, 1, 0.5]. */
  declare scale_factors: number[];
  /** Activation of the neck. Default 'gelu'. */
  declare hidden_act: string;
  /** Added to the variance in layer norms. Default 1e-6. */
  declare layer_norm_eps: number;
  /** Standard deviation of random weights. Default 0.02. */
  declare initializer_range: number;

  /**
   * A configuration with the given fields; the rest takes its default.
   *
   * @throws TypeError for a field of another kind; RangeError for the `model_type` of another class.
   */
  constructor(fields: Sam3VisionConfigFields = {}) {
    super(fields);
  }

  /** Side of the image that the model sees, or [height, width], in pixels: the backbone's. */
  get image_size(): number | number[] {
    return this.backbone_config.image_size;
  }

  /** Sets the backbone's. */
  set image_size(value: number | number[]) {
    this.backbone_config.image_size = value;
  }
}

acceptCopies(Sam3ViTConfig, 'Sam3ViTConfig');
acceptCopies(Sam3VisionConfig, 'Sam3VisionConfig');

/** The name that transformers' documentation gives `Sam3VisionConfig`. */
export const Sam3TrackerVisionConfig = Sam3VisionConfig;
/** An instance of `Sam3VisionConfig`. */
export type Sam3TrackerVisionConfig = Sam3VisionConfig;
