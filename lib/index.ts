/** The public surface of sam3-tracker. */
// First: it refuses a Node that is too old for what the others load.
import './core/package';
export { SAMPLE_IMAGE } from './core/package';
export { Sam3TrackerModel, Sam3TrackerModel as SamModel } from './model/modeling-sam3-tracker';
export { Sam3TrackerPreTrainedModel } from './model/pretrained-model';
export type { AttentionImplementation, NewModelOptions, PretrainedModelOptions } from './model/load';
export type { ForEither, ForObject, ForTuple, ImageFeaturesOptions } from './model/modeling-sam3-tracker';
export type { ModelTarget } from './model/pretrained-model';
export type { NamedImageEmbeddings, Sam3TrackerModelInputs, Sam3TrackerPrompts } from './model/inputs';
export type { ModelOutputTuple } from './model/outputs';
export {
  Sam3TrackerImageSegmentationOutput,
  Sam3TrackerMasksOutput,
  Sam3TrackerVisionEncoderOutput,
} from './model/outputs';
export { best_mask } from './model/best-mask';
export type { BestCandidate, BestMask } from './model/best-mask';
export { load_image_embeddings, save_image_embeddings } from './model/saved-embeddings';
export type { ImageEmbeddingsToSave, SavedImageEmbeddings } from './model/saved-embeddings';
export {
  Sam3TrackerProcessor,
  Sam3TrackerProcessor as SamProcessor,
} from './processor/processing-sam3-tracker';
export type {
  ProcessorResult,
  PromptInput,
  Sam3TrackerProcessorOptions,
  Sam3TrackerProcessorSettings,
} from './processor/options';
export type { NestedNumbers } from './image/nested-numbers';
export { BatchEncoding } from './processor/batch-encoding';
export type { BatchField, BatchFields } from './processor/batch-encoding';
export { PILImageResampling } from './image/options';
export { Sam3ImageProcessor } from './image/image-processing-sam3';
export type { ChannelDimension, Sam3ImageProcessorOptions } from './image/options';
export type { ImageFeatures, Sam3ImageProcessorCallOptions } from './image/image-processing-sam3';
export type { ImageInput, ImagesInput } from './image/inputs';
export type {
  MaskDType,
  MasksInput,
  PostProcessArguments,
  PostProcessMasksOptions,
  SizesInput,
} from './image/post-process-masks';
export type { SizeDict, SizeOption } from './image/sizes';
export {
  Sam3TrackerConfig,
  Sam3TrackerMaskDecoderConfig,
  Sam3TrackerPromptEncoderConfig,
} from './config/sam3-tracker';
export type {
  Sam3TrackerConfigFields,
  Sam3TrackerMaskDecoderConfigFields,
  Sam3TrackerPromptEncoderConfigFields,
} from './config/sam3-tracker';
export { Sam3TrackerVisionConfig, Sam3ViTConfig, Sam3VisionConfig } from './config/sam3-vision';
export type { RopeParameters, Sam3ViTConfigFields, Sam3VisionConfigFields } from './config/sam3-vision';
export { PreTrainedConfig } from './config/pretrained-config';
export type { ConfigDict } from './config/fields';
export { AutoConfig, AutoImageProcessor, AutoModel, AutoModelForMaskGeneration, AutoProcessor } from './auto';
export { Tensor } from './tensor';
export {
  cat,
  full,
  full_like,
  interpolate,
  interpolate_4d,
  matmul,
  mean,
  ones,
  ones_like,
  permute,
  stack,
  std_mean,
  topk,
  zeros,
  zeros_like,
} from './tensor-functions';
export type { InterpolationMode } from './tensor-functions';
export { env } from './hub/environment';
export type { Index, NestedList, Operand, Promoted, SliceRange, SumOf, TensorJSON } from './tensor';
export type { TensorElements } from './core/elements';
export { RawImage, load_image } from './image/raw-image';
export type { RawImageData, RawImageInput, Resample } from './image/raw-image';
export type { RawImageReadOptions } from './image/read-options';
export { RLEMask, coco_decode_rle, coco_encode_rle } from './masks/rle';
export {
  maskPlanes,
  mask_planes,
  mask_area,
  mask_iou,
  mask_merge,
  mask_to_box,
  mask_to_rle,
  rle_to_mask,
} from './masks/masks';
export type { Box, CocoRLE, Mask, MaskLike, RLE } from './masks/types';
export { mask_to_polygons } from './masks/polygons';
export type { Polygon } from './masks/polygons';
export { cut_out, mask_to_png } from './masks/pictures';
export { CocoDatasetBuilder } from './masks/coco';
export type {
  CocoAnnotation,
  CocoAnnotationOptions,
  CocoCategories,
  CocoCategory,
  CocoDataset,
  CocoImage,
  CocoSegmentation,
} from './masks/coco';
export type { GeneratedMask, MaskBatch, MaskBatchResult, MaskFilter } from './model/generate-masks';
export { write_coco_annotations } from './pipelines/coco-annotations';
export type { CocoAnnotationsOptions, CocoSource } from './pipelines/coco-annotations';
export { pipeline } from './pipelines/pipeline';
export type { MaskGenerationPipelineOptions } from './pipelines/pipeline';
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
export { drawOverlay, draw_overlay } from './masks/overlay';
export type { Color, OverlayOptions } from './masks/overlay';
export type { DownloadProgress, HubOptions, IgnoredOptions } from './hub/settings';
export { Sam3TrackerError } from './core/errors';
export type { ErrorCode } from './core/errors';
export type {
  DataTypes,
  DType,
  DTypeAlias,
  ElementOf,
  FloatingDType,
  ModelDType,
  TensorData,
} from './core/dtype';
export type {
  ArrayWithDims,
  Device,
  DeviceMapOption,
  DeviceOption,
  DTypeOption,
  ImageSize,
  ReturnTensors,
} from './core/types';
export { get_num_threads, set_num_threads } from './native/threads';
