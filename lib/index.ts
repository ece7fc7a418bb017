/** The public surface of sam3-tracker. */
export { Sam3TrackerModel } from './modeling-sam3-tracker';
export type { AttentionImplementation, PretrainedModelOptions } from './modeling-sam3-tracker';
export type { Sam3TrackerModelInputs, Sam3TrackerPrompts } from './model-inputs';
export { Sam3TrackerImageSegmentationOutput, Sam3TrackerVisionEncoderOutput } from './model-output';
export { Sam3TrackerProcessor } from './processing-sam3-tracker';
export { BatchEncoding } from './batch-encoding';
export { Sam3ImageProcessor } from './image-processing-sam3';
export {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
} from './configuration-sam3-tracker';
export { Sam3TrackerVisionConfig, Sam3ViTConfig, Sam3VisionConfig } from './configuration-sam3-vision';
export { Tensor } from './tensor';
export type { NestedList, SliceRange, TensorElements } from './tensor';
export { RawImage } from './raw-image';
export { Sam3TrackerError } from './errors';
export type { ErrorCode } from './errors';
export type { DType, TensorData } from './dtype';
export type { Device, DeviceMapOption, DeviceOption, DTypeOption, ImageSize } from './types';
