/** What the compiler must take and refuse of configurations: test/repo/types.test.ts. */
import {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
  Sam3TrackerVisionConfig,
  Sam3ViTConfig,
  Sam3VisionConfig,
} from '../../lib/index';

/** Construction from fields, nested and positional. */
export function construction(): void {
  const vision = new Sam3TrackerVisionConfig({
    backbone_config: { hidden_size: 64 },
    scale_factors: [4, 2, 1],
  });
  new Sam3TrackerConfig(vision, { hidden_size: 64 }, { mlp_dim: 64 });
  new Sam3TrackerConfig(vision, new Sam3TrackerPromptEncoderConfig(), null, 0.02);
  new Sam3TrackerConfig({ mask_decoder_config: new Sam3TrackerMaskDecoderConfig({ mlp_dim: 64 }) });
  // @ts-expect-error a number where a configuration is
  new Sam3TrackerConfig(vision, 64);
  new Sam3TrackerConfig({ vision_config: vision, initializer_range: 0.02 });
  // @ts-expect-error a misspelt field
  new Sam3ViTConfig({ hiden_size: 64 });
  // @ts-expect-error a field of another type
  new Sam3ViTConfig({ hidden_size: '64' });
  // @ts-expect-error one number where a list is
  new Sam3ViTConfig({ global_attn_indexes: 7 });
  // @ts-expect-error a misspelt nested field
  new Sam3TrackerConfig({ vision_config: { backbone_config: { windowsize: 4 } } });
  // @ts-expect-error a method is no field
  new Sam3TrackerPromptEncoderConfig({ to_dict: () => ({}) });
}

/** Fields and what reads them. */
export async function fields(): Promise<void> {
  const config: Sam3TrackerConfig = await Sam3TrackerConfig.from_pretrained('sam3-tracker-tiny');
  const size: number | number[] = config.vision_config.image_size;
  const threshold: number = config.mask_decoder_config.dynamic_multimask_stability_thresh;
  const vision: Sam3VisionConfig = Sam3VisionConfig.from_dict({ num_feature_levels: 3 });
  const text: string = config.to_json_string(false);
  config.prompt_encoder_config.image_size = [192, 192];
  // @ts-expect-error no such field
  void config.visionConfig;
  // @ts-expect-error a field of another type
  config.mask_decoder_config.mlp_dim = '64';
  // @ts-expect-error what names the class does not change
  config.model_type = 'sam';
  // @ts-expect-error the class's own name is no instance of another
  const other: Sam3TrackerConfig = Sam3VisionConfig.from_dict({});
  // @ts-expect-error a flag that is no boolean
  config.to_json_string('diff');
  void [size, threshold, vision, text, other];
}
