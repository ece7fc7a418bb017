/** Configurations, and models with random weights: `npx tsx examples/configuration.mts`. */
import {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerModel,
  Sam3TrackerPromptEncoderConfig,
  Sam3TrackerVisionConfig,
} from 'sam3-tracker';

// The configuration of facebook/sam3.
const configuration = new Sam3TrackerConfig();

// A model of that configuration, with random weights: they are drawn with the first call.
const model = new Sam3TrackerModel(configuration, { seed: 0 });
console.log(`${model.num_parameters()} parameters`);

// The model knows its configuration.
const { image_size, patch_size } = model.config.prompt_encoder_config;
console.log('Sizes of image and patch in pixels:', image_size, patch_size);

// A configuration of three others.
const vision_config = new Sam3TrackerVisionConfig();
const prompt_encoder_config = new Sam3TrackerPromptEncoderConfig();
const mask_decoder_config = new Sam3TrackerMaskDecoderConfig({ num_multimask_outputs: 3 });

const config = new Sam3TrackerConfig(vision_config, prompt_encoder_config, mask_decoder_config);
console.log(config.to_json_string() === configuration.to_json_string() ? 'The same again' : 'Another one');
