/** The public surface of sam3-tracker. */
import './node-version';
export { Sam3TrackerModel, Sam3TrackerPreTrainedModel } from './modeling-sam3-tracker';
export type {
  AttentionImplementation,
  ForEither,
  ForObject,
  ForTuple,
  ImageFeaturesOptions,
  ModelTarget,
  NewModelOptions,
  PretrainedModelOptions,
} from './modeling-sam3-tracker';
export type { NamedImageEmbeddings, Sam3TrackerModelInputs, Sam3TrackerPrompts } from './model-inputs';
export type { ModelOutputTuple } from './model-output';
export {
  Sam3TrackerImageSegmentationOutput,
  Sam3TrackerMasksOutput,
  Sam3TrackerVisionEncoderOutput,
} from './model-output';
export { Sam3TrackerProcessor } from './processing-sam3-tracker';
export type {
  ProcessorResult,
  PromptInput,
  Sam3TrackerProcessorOptions,
  Sam3TrackerProcessorSettings,
} from './processor-options';
export type { NestedNumbers } from './prompts';
export { BatchEncoding } from './batch-encoding';
export type { BatchField, BatchFields } from './batch-encoding';
export { PILImageResampling, Sam3ImageProcessor } from './image-processing-sam3';
export type {
  ChannelDimension,
  ImageFeatures,
  ImageInput,
  ImagesInput,
  MasksInput,
  PostProcessArguments,
  PostProcessMasksOptions,
  Sam3ImageProcessorCallOptions,
  Sam3ImageProcessorOptions,
  SizeDict,
  SizeOption,
  SizesInput,
} from './image-processing-sam3';
export {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
} from './configuration-sam3-tracker';
export type {
  Sam3TrackerConfigFields,
  Sam3TrackerMaskDecoderConfigFields,
  Sam3TrackerPromptEncoderConfigFields,
} from './configuration-sam3-tracker';
export { Sam3TrackerVisionConfig, Sam3ViTConfig, Sam3VisionConfig } from './configuration-sam3-vision';
export type {
  RopeParameters,
  Sam3ViTConfigFields,
  Sam3VisionConfigFields,
} from './configuration-sam3-vision';
export { PreTrainedConfig } from './configuration-utils';
export type { ConfigDict } from './configuration-utils';
export { AutoConfig, AutoImageProcessor, AutoModel, AutoModelForMaskGeneration, AutoProcessor } from './auto';
export { Tensor } from './tensor';
export type { NestedList, SliceRange, TensorElements } from './tensor';
export { RawImage } from './raw-image';
export type { RawImageData, RawImageInput, RawImageReadOptions } from './raw-image';
export {
  RLEMask,
  coco_decode_rle,
  coco_encode_rle,
  maskPlanes,
  mask_area,
  mask_iou,
  mask_merge,
  mask_to_box,
  mask_to_rle,
  rle_to_mask,
} from './masks';
export type { Box, CocoRLE, Mask, MaskLike, RLE } from './masks';
export { mask_to_polygons } from './polygons';
export type { Polygon } from './polygons';
export { CocoDatasetBuilder } from './coco';
export type { CocoAnnotation, CocoCategory, CocoDataset, CocoImage, CocoSegmentation } from './coco';
export type { GeneratedMask, MaskBatch, MaskBatchResult, MaskFilter } from './mask-batches';
export { write_coco_annotations } from './pipelines/coco-annotations';
export type { CocoAnnotationsOptions } from './pipelines/coco-annotations';
export { pipeline } from './pipelines/pipeline';
export { MaskGenerationError, MaskGenerationPipeline } from './pipelines/mask-generation';
export type {
  MaskGenerationComponents,
  MaskGenerationOutput,
  MaskOutputs,
  StreamedMask,
} from './pipelines/mask-generation';
export type {
  MaskGenerationDefaults,
  MaskGenerationOptions,
  MaskGenerationProgress,
  MaskGenerationSeconds,
  MaskOutputMode,
} from './pipelines/mask-generation-options';
export { drawOverlay } from './overlay';
export type { Color, OverlayOptions } from './overlay';
export type { DownloadProgress, HubOptions } from './hub/options';
export { Sam3TrackerError } from './errors';
export type { ErrorCode } from './errors';
export type { DType, TensorData } from './dtype';
export type {
  ArrayWithDims,
  Device,
  DeviceMapOption,
  DeviceOption,
  DTypeOption,
  ImageSize,
  ReturnTensors,
} from './types';
