/**
 * The native surface. Everything here takes options that are already validated and complete: the addon has no defaults
 * of its own.
 */
import { types } from 'node:util';
import { Sam3TrackerError } from '../core/errors';
import type { ErrorCode } from '../core/errors';
import type { DType, TensorData } from '../core/dtype';
import type { Device } from '../core/types';
import { loadAddon } from './load';
import { isError } from '../core/kinds';

/** What an argument of one of libtorch's operators may be; a number stands for a tensor, too. */
export type OperatorArgument =
  NativeTensor | readonly NativeTensor[] | number | bigint | boolean | readonly number[] | null;

/** The arguments of an operator by their names in libtorch's schema; those that are left out have its defaults. */
export type OperatorArguments = Readonly<Record<string, OperatorArgument>>;

/** An operator that makes a view, with its arguments but `self`. */
export type ViewStep = readonly [operator: string, args: OperatorArguments];

/** A handle to a libtorch tensor. Row-major unless sliced; `device` is 'cpu' or 'cuda:N'. */
export interface NativeTensor {
  readonly dims: number[];
  /** Elements from one index of each axis to the next. */
  readonly strides: number[];
  readonly dtype: DType;
  readonly device: string;
  readonly disposed: boolean;
  /** The bytes of a CPU tensor's elements in row-major order, without a copy where they already lie so. */
  bytes(): ArrayBuffer;
  /** Copies a typed array's bytes to a byte offset of a contiguous CPU tensor. */
  write(offset: number, data: TensorData): void;
  /** A view of these elements after steps; throws for an operator that computes. */
  view(steps: readonly ViewStep[]): NativeTensor;
  /** Moves and converts on the inference thread of the device. */
  to(options: { device: string; dtype: DType }): Promise<NativeTensor>;
  dispose(): void;
}

/** Where weights lie in a safetensors file; native code maps it and checks every row against its size. */
export interface NativeWeightFile {
  path: string;
  /** Bytes of the file when its header was read. */
  size: number;
  /** By the tracker's plain names; `begin` and `end` are bytes from the start of the file. */
  weights: { name: string; dtype: DType; shape: number[]; begin: number; end: number }[];
}

/** How one weight of a new model is drawn: normally distributed, or constant where the deviation is 0. */
export interface NativeRandomWeight {
  name: string;
  shape: number[];
  mean: number;
  standard_deviation: number;
}

/** What `loadTrackerModel` needs: absolute paths, a resolved device, a resolved dtype. */
export interface NativeLoadOptions {
  vision_encoder: string;
  prompt_encoder: string;
  mask_decoder: string;
  /** Empty where the graphs hold their weights, or where they are random. */
  weight_files: NativeWeightFile[];
  /** Weights of a new model, or null. The seed is an integer from 0 to 2^53 - 1. */
  random_weights: { seed: number; weights: NativeRandomWeight[] } | null;
  device: string;
  dtype: DType;
  /** Of the mask decoder's configuration; the delta on logits. */
  dynamic_multimask_via_stability: boolean;
  dynamic_multimask_stability_delta: number;
  dynamic_multimask_stability_thresh: number;
  /** Of the prompt encoder's configuration: labels are below it. */
  num_point_embeddings: number;
}

/** Prompts of one call; coordinates in pixels of the model's input. */
export interface NativePrompts {
  input_points: NativeTensor | null;
  input_labels: NativeTensor | null;
  input_boxes: NativeTensor | null;
  input_masks: NativeTensor | null;
}

/** Which components of a mask go: those of at most so many low-resolution pixels; 0 leaves all. */
interface NativeSmallComponents {
  max_hole_area: number;
  max_sprinkle_area: number;
}

/** What is done to mask logits on their way to the original sizes. */
export interface NativePostProcessOptions extends NativeSmallComponents {
  /** [height, width] of each image in pixels. */
  original_sizes: [number, number][];
  /** On logits. */
  mask_threshold: number;
  binarize: boolean;
  apply_non_overlapping_constraints: boolean;
}

/** What `forward` takes. */
export interface NativeForwardOptions extends NativePrompts {
  pixel_values: NativeTensor | null;
  image_embeddings: NativeTensor[] | null;
  multimask_output: boolean;
  attention_similarity: NativeTensor | null;
  target_embedding: NativeTensor | null;
  output_hidden_states: boolean;
  output_attentions: boolean;
  eager_attention: boolean;
  /** null where no masks in the original size are wanted. */
  post_process: NativePostProcessOptions | null;
}

/** What `forward` gives. */
export interface NativeForwardResult {
  iou_scores: NativeTensor;
  pred_masks: NativeTensor;
  object_score_logits: NativeTensor;
  /** (objects, masks, height, width) an image, null without `post_process`. */
  masks: NativeTensor[] | null;
  image_embeddings: NativeTensor[];
  vision_hidden_states: NativeTensor[] | null;
  vision_attentions: NativeTensor[] | null;
  mask_decoder_attentions: NativeTensor[] | null;
}

/** What `getImageFeatures` gives. */
export interface NativeFeatures {
  last_hidden_state: NativeTensor;
  hidden_states: NativeTensor[] | null;
  attentions: NativeTensor[] | null;
  fpn_hidden_states: NativeTensor[];
  fpn_position_encoding: NativeTensor[];
}

/** What `generateMasks` takes: one batch of points on one part of an image. Boxes are xyxy in pixels of the image. */
export interface NativeMaskBatchOptions extends NativeSmallComponents {
  /** Of the one image that the crop is. */
  image_embeddings: NativeTensor[];
  /** (points, 2), x and y in pixels of the model's square input. */
  points: NativeTensor;
  multimask_output: boolean;
  eager_attention: boolean;
  pred_iou_thresh: number;
  stability_score_thresh: number;
  /** On logits. */
  stability_score_offset: number;
  mask_threshold: number;
  /** Right and bottom excluded. */
  crop_box: number[];
  /** Where a mask at the crop's edge is whole nevertheless; right and bottom excluded. */
  bounds: number[];
  /** [height, width] in pixels. */
  original_size: [number, number];
  /** Once `cancel` has set it the job ends early, with a part of the masks. */
  cancel_flag: NativeCancelFlag | null;
}

/** What decides the memory of batches. */
export interface NativeBatchMemoryOptions {
  device: string;
  dtype: DType;
  eager_attention: boolean;
  /** Of the configurations: [height, width] of each level, and of the decoder. */
  backbone_feature_sizes: readonly (readonly number[])[];
  hidden_size: number;
  num_multimask_outputs: number;
  /** Bytes. */
  max_memory: number;
}

/** What a job looks at while it runs; opaque here. */
export interface NativeCancelFlag {
  readonly __cancelFlag: unique symbol;
}

/** A mask that `generateMasks` kept. */
export interface NativeFilteredMask {
  /** point * masks of a point + mask. */
  index: number;
  /** Predicted IoU. */
  score: number;
  stability_score: number;
  /** xyxy, first and last column and row inside. */
  box: [number, number, number, number];
  /** RLE of the whole image: column-major lengths of runs, alternating outside and inside. */
  counts: Uint32Array;
}

/** What `generateMasks` gives; the times are of the decoder, the filters, and the pass that upsamples and encodes. */
export interface NativeMaskBatch {
  masks: NativeFilteredMask[];
  decode_seconds: number;
  filter_seconds: number;
  upsample_seconds: number;
}

/** The three components with their weights, and the thread that runs them. */
export interface NativeTrackerModel {
  readonly device: string;
  readonly dtype: DType;
  readonly disposed: boolean;
  readonly parameterCount: number;
  forward(options: NativeForwardOptions): Promise<NativeForwardResult>;
  getImageFeatures(options: {
    pixel_values: NativeTensor;
    output_hidden_states: boolean;
    output_attentions: boolean;
    eager_attention: boolean;
  }): Promise<NativeFeatures>;
  getImageEmbeddings(options: {
    pixel_values: NativeTensor;
    eager_attention: boolean;
  }): Promise<NativeTensor[]>;
  getPromptEmbeddings(options: NativePrompts): Promise<{ sparse: NativeTensor | null; dense: NativeTensor }>;
  getImageWidePositionalEmbeddings(): Promise<NativeTensor>;
  /** A handle to the same model elsewhere, on the same thread; this one stays as it is. */
  to(options: { device: string; dtype: DType }): Promise<NativeTrackerModel>;
  /** Writes a safetensors file, which is on the disk when the promise resolves. */
  saveWeights(options: { file: string }): Promise<void>;
  /** Decodes and filters in one job. */
  generateMasks(options: NativeMaskBatchOptions): Promise<NativeMaskBatch>;
  dispose(): void;
}

/** One image as it lies in memory. */
export interface NativeImage {
  /** Elements of any dtype, as many as size and channels say. */
  data: NativeTensor;
  /** [height, width] in pixels. */
  size: [number, number];
  channels: number;
  layout: 'HWC' | 'CHW';
  /** As PIL's convert('RGB'): alpha (a 2nd or 4th channel) is dropped, not blended, and grey is repeated. */
  convert_rgb: boolean;
}

/**
 * What the image processor asks of native code: the steps in their order, each null where it is left out. Sizes are
 * [height, width]. The result is one tensor (images, channels, height, width) if all results have the same shape and
 * dtype, or else one tensor of three dimensions for each image.
 */
export interface NativePreprocessOptions {
  images: NativeImage[];
  /** One size an image; bilinear and bicubic are antialiased. */
  resize: { sizes: [number, number][]; mode: 'nearest-exact' | 'bilinear' | 'bicubic' } | null;
  center_crop: [number, number] | null;
  /** Multiplies; combined with mean and std into one step as the reference does. */
  scale: number | null;
  /** One value, or one for each channel; null exactly where `std` is. */
  mean: number[] | null;
  std: number[] | null;
  /** Zeros at the right and at the bottom; to the largest height and width of the batch where `size` is null. */
  pad: { size: [number, number] | null } | null;
  output_layout: 'CHW' | 'HWC';
  /** null: what the steps give (float32 once normalised, the image's own dtype where nothing is computed). */
  output_dtype: DType | null;
  device: string;
}

/** Versions, threads and devices of the loaded libtorch. */
export interface NativeRuntimeInfo {
  torchVersion: string;
  threads: number;
  cudaDevices: number;
  cpuCapability: string;
  /** What at::get_parallel_info says, several lines. */
  parallelInfo: string;
}

/** The exports of `native/addon/addon.cc`. */
export interface NativeBinding {
  /** A CPU tensor with a copy of `data`, or with undefined elements where that is null. */
  Tensor: new (dtype: DType, dims: number[], data: TensorData | null) => NativeTensor;
  /** Calls an operator of native/runtime/operators.cc by its name there, on the thread of tensors. */
  callOperator(operator: string, args: OperatorArguments): Promise<NativeTensor[]>;
  loadTrackerModel(options: NativeLoadOptions): Promise<NativeTrackerModel>;
  preprocessImages(options: NativePreprocessOptions): Promise<NativeTensor[]>;
  /** One tensor an image, (objects, masks, height, width). */
  postProcessMasks(options: NativePostProcessOptions & { masks: NativeTensor[] }): Promise<NativeTensor[]>;
  /** About how many bytes one point takes, and how many points take max_memory; Infinity where more take no more. */
  batchMemory(options: NativeBatchMemoryOptions): { least: number; points: number };
  /** For one job. */
  makeCancelFlag(): NativeCancelFlag;
  /** Asks the job that has the flag to end. */
  cancel(flag: NativeCancelFlag): void;
  /** torchvision's nms: positions of the boxes (xyxy) that stay, best score first. */
  suppressOverlaps(options: {
    boxes: number[][];
    scores: number[];
    iou_threshold: number;
  }): Promise<number[]>;
  /** SAM's remove_small_regions on the RLE of masks of one size: holes and sprinkles below min_area pixels. */
  removeSmallRegions(options: {
    masks: Uint32Array[];
    /** [height, width] in pixels. */
    size: [number, number];
    min_area: number;
  }): Promise<{ counts: Uint32Array; box: [number, number, number, number]; changed: boolean }[]>;
  runtimeInfo(): NativeRuntimeInfo;
  /** Threads of one operation on the CPU; 1 or more. */
  setThreads(count: number): void;
}

let loaded: NativeBinding | null = null;

/**
 * The addon. The first call loads it, and libtorch with it, which takes up to seconds; importing this package loads
 * neither. A failure is not remembered: the next call tries again, since libtorch may have been installed meanwhile.
 *
 * @throws Sam3TrackerError LIBTORCH_NOT_FOUND or ADDON_NOT_LOADED, saying what was tried and what helps.
 */
export function addon(): NativeBinding {
  return (loaded ??= loadAddon() as NativeBinding);
}

/** Whether a value is a native tensor; loads nothing, since there is none before the addon is there. */
export function isNativeTensor(value: unknown): value is NativeTensor {
  return loaded !== null && value instanceof loaded.Tensor;
}

/**
 * Runs a native call and gives its errors the package's form: Sam3TrackerError with the native code, RangeError for a
 * refused value, with the caller's stack and the native error as `cause`.
 */
export async function callNative<T>(run: () => T | Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    throw translate(error);
  }
}

/** As `callNative`, for calls that return at once. */
export function callNativeSync<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw translate(error);
  }
}

/** A CPU tensor with a copy of `data`, or with undefined elements where that is null. @throws as `callNativeSync`. */
export function makeNativeTensor(dtype: DType, dims: number[], data: TensorData | null): NativeTensor {
  return callNativeSync(() => {
    const { Tensor } = addon();
    return new Tensor(dtype, dims, data && unshared(data));
  });
}

/** The same elements in memory that Node-API can read, which shared memory is not. */
export function unshared<T extends TensorData>(data: T): T {
  return types.isSharedArrayBuffer(data.buffer) ? (data.slice() as T) : data;
}

function translate(cause: unknown): unknown {
  if (!isError(cause) || cause instanceof Sam3TrackerError) return cause;
  if (cause.name === 'RangeError') return new RangeError(cause.message, { cause });
  if (cause.name === 'TypeError') return new TypeError(cause.message, { cause });
  return new Sam3TrackerError((cause as { code?: ErrorCode }).code ?? 'NATIVE_ERROR', cause.message, {
    cause,
  });
}

/** The device that 'auto' stands for: CUDA where there is one. Any other stays. */
export function resolveDevice(wanted: Device | 'auto'): Device {
  if (wanted !== 'auto') return wanted;
  return addon().runtimeInfo().cudaDevices > 0 ? 'cuda:0' : 'cpu';
}
