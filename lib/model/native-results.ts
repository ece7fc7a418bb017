/** Between the handles of native tensors and the fields of outputs. */
import { lend } from './outputs';
import type { ModelOutput, Sam3TrackerImageSegmentationOutput } from './outputs';
import type { NativeForwardResult, NativeTensor } from '../native/binding';
import { Tensor } from '../tensor';

/** The handle of a Tensor that may be left out. */
export const handleOf = (tensor: Tensor | null): NativeTensor | null => tensor && tensor.handle;
/** Tensors of handles. */
export const tensorsOf = (handles: NativeTensor[]): Tensor[] => handles.map((handle) => new Tensor(handle));
/** Tensors of handles that may be left out. */
export const optionalTensorsOf = (handles: NativeTensor[] | null): Tensor[] | null =>
  handles && tensorsOf(handles);

/** The fields of what `forward` returns; `embeddings` are those that were passed in. */
export function forwardFields(
  result: NativeForwardResult,
  embeddings: readonly Tensor[] | null,
): ConstructorParameters<typeof Sam3TrackerImageSegmentationOutput>[0] {
  return {
    iou_scores: new Tensor(result.iouScores),
    pred_masks: new Tensor(result.predMasks),
    object_score_logits: new Tensor(result.objectScoreLogits),
    image_embeddings: embeddings ?? tensorsOf(result.imageEmbeddings),
    vision_hidden_states: optionalTensorsOf(result.visionHiddenStates),
    vision_attentions: optionalTensorsOf(result.visionAttentions),
    mask_decoder_attentions: optionalTensorsOf(result.maskDecoderAttentions),
  };
}

/** The output, with embeddings in it that remain the caller's. */
export function lent<T extends ModelOutput>(output: T, embeddings: readonly Tensor[] | null): T {
  if (embeddings) lend(output, embeddings);
  return output;
}
