/** Fields of configurations as JSON text, with floats as Python has them (JavaScript would turn 1.0 into 1). */

/** [class, fields as JSON text] */
export type ConfigurationCase = [name: string, fields: string];

const VIT =
  '"model_type": "sam3_vit_model", "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3, "num_attention_heads": 2';

/** Defaults, every field of every class, nested and partly nested ones, and fields that transformers does not know. */
export const CONFIGURATION_CASES: readonly ConfigurationCase[] = [
  ['Sam3TrackerConfig', '{}'],
  ['Sam3VisionConfig', '{}'],
  ['Sam3ViTConfig', '{}'],
  ['Sam3TrackerPromptEncoderConfig', '{}'],
  ['Sam3TrackerMaskDecoderConfig', '{}'],
  [
    'Sam3ViTConfig',
    `{${VIT}, "num_channels": 1, "image_size": [56, 112], "patch_size": [7, 14], "hidden_act": "relu",
      "layer_norm_eps": 0.00001, "attention_dropout": 0.25, "rope_theta": 500.0, "window_size": 4,
      "global_attn_indexes": [0, 2], "layer_scale_init_value": 1.0, "pretrain_image_size": 28,
      "hidden_dropout": 0.5, "initializer_range": 1.0}`,
  ],
  ['Sam3ViTConfig', '{"rope_parameters": {"rope_theta": 10000.0, "rope_type": "axial"}}'],
  ['Sam3ViTConfig', '{"rope_theta": 77.5, "global_attn_indexes": []}'],
  [
    'Sam3VisionConfig',
    `{"backbone_config": {${VIT}}, "fpn_hidden_size": 32, "backbone_feature_sizes": [[16, 16], [8, 8], [4, 4]],
      "scale_factors": [2.0, 1.0, 0.5], "hidden_act": "relu", "layer_norm_eps": 1e-12, "initializer_range": 0.5}`,
  ],
  ['Sam3VisionConfig', '{"image_size": 504, "scale_factors": null, "backbone_feature_sizes": null}'],
  [
    'Sam3TrackerPromptEncoderConfig',
    `{"hidden_size": 32, "image_size": [224, 448], "patch_size": 16, "mask_input_channels": 4,
      "num_point_embeddings": 6, "hidden_act": "relu", "layer_norm_eps": 0.001, "scale": 3}`,
  ],
  [
    'Sam3TrackerMaskDecoderConfig',
    `{"hidden_size": 32, "hidden_act": "relu", "mlp_dim": 64, "num_hidden_layers": 1, "num_attention_heads": 4,
      "attention_downsample_rate": 1, "num_multimask_outputs": 2, "iou_head_depth": 2, "iou_head_hidden_dim": 16,
      "dynamic_multimask_via_stability": false, "dynamic_multimask_stability_delta": 1.0,
      "dynamic_multimask_stability_thresh": 0.5}`,
  ],
  [
    'Sam3TrackerConfig',
    `{"vision_config": {"backbone_config": {${VIT}}, "fpn_hidden_size": 32},
      "prompt_encoder_config": {"hidden_size": 32}, "mask_decoder_config": {"num_hidden_layers": 1},
      "initializer_range": 1.0, "architectures": ["Sam3TrackerModel"], "dtype": "bfloat16"}`,
  ],
  [
    'Sam3TrackerConfig',
    `{"torch_dtype": "float16", "num_labels": 3, "output_hidden_states": true, "output_attentions": true,
      "return_dict": false, "problem_type": "regression", "chunk_size_feed_forward": 2,
      "attn_implementation": "eager"}`,
  ],
  [
    'Sam3TrackerConfig',
    `{"my_note": "k\\u00e4se \\"quoted\\"", "my_numbers": [1, 2.5, 1e-07], "my_object": {"b": null, "a": [true, []]},
      "my_nan": {"deep": NaN}, "vision_config": {"my_inner": {}, "model_type": "sam3_vision_model"}}`,
  ],
  ['Sam3TrackerConfig', '{"id2label": {"0": "cup"}, "label2id": {"cup": 0}}'],
];
