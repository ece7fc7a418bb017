/**
 * The fields of a configuration that shape the TorchScript graphs, and their hash: the same as the exporter's
 * (scripts/sam3_tracker_export/config.py), which writes it into the manifest as `config_hash`.
 */
import { createHash } from 'node:crypto';
import type { PreTrainedConfig } from '../config/pretrained-config';
import type { Sam3TrackerConfig } from '../config/sam3-tracker';
import { wrongValue } from '../core/errors';
import { canonicalJson } from '../core/json';

const BACKBONE_FIELDS = [
  'hidden_size',
  'intermediate_size',
  'num_hidden_layers',
  'num_attention_heads',
  'num_channels',
  'image_size',
  'patch_size',
  'hidden_act',
  'layer_norm_eps',
  'rope_theta',
  'window_size',
  'global_attn_indexes',
  'pretrain_image_size',
];
const NECK_FIELDS = ['fpn_hidden_size', 'backbone_feature_sizes', 'scale_factors'];
const PROMPT_ENCODER_FIELDS = [
  'hidden_size',
  'image_size',
  'patch_size',
  'mask_input_channels',
  'num_point_embeddings',
  'hidden_act',
  'layer_norm_eps',
];
const MASK_DECODER_FIELDS = [
  'hidden_size',
  'mlp_dim',
  'num_hidden_layers',
  'num_attention_heads',
  'attention_downsample_rate',
  'num_multimask_outputs',
  'iou_head_depth',
  'iou_head_hidden_dim',
];
const SIZES = ['image_size', 'patch_size', 'pretrain_image_size'];

/** What shapes the graphs: the `graph_config` object of a manifest. */
export interface GraphConfig {
  vision: Record<string, unknown>;
  prompt_encoder: Record<string, unknown>;
  mask_decoder: Record<string, unknown>;
}

function pick(config: PreTrainedConfig, names: readonly string[]): Record<string, unknown> {
  const values = config as unknown as Record<string, unknown>;
  return Object.fromEntries(
    names.map((name) => {
      const value = values[name];
      if (!SIZES.includes(name) || !Array.isArray(value)) return [name, structuredClone(value)];
      if (value.length !== 2 || value[0] !== value[1])
        throw wrongValue('a square size', `${config.constructor.name}.${name}`, value);
      return [name, value[0]];
    }),
  );
}

/**
 * The fields of a configuration that shape the graphs, without those that only weights or thresholds depend on.
 *
 * @throws RangeError for an image or patch that is not square, for which there are no graphs.
 */
export function graphConfig(config: Sam3TrackerConfig): GraphConfig {
  return {
    vision: {
      ...pick(config.vision_config.backbone_config, BACKBONE_FIELDS),
      ...pick(config.vision_config, NECK_FIELDS),
    },
    prompt_encoder: pick(config.prompt_encoder_config, PROMPT_ENCODER_FIELDS),
    mask_decoder: pick(config.mask_decoder_config, MASK_DECODER_FIELDS),
  };
}

/** sha256 (hex) over the canonical JSON of `graphConfig`: equal to the `config_hash` of a manifest whose graphs fit. */
export function configHash(config: Sam3TrackerConfig): string {
  return createHash('sha256')
    .update(canonicalJson(graphConfig(config)))
    .digest('hex');
}
