/** Between the handles of native tensors and the fields of outputs. */
import { lend } from './outputs';
import type { ModelOutput, Sam3TrackerImageSegmentationOutput } from './outputs';
import type { NativeForwardResult, NativeTensor } from '../native/binding';
import { Tensor } from '../tensor';

/** The handle of a Tensor that may be left out. */
export const handleOf = (tensor: Tensor | null): NativeTensor | null => tensor && tensor.handle;
/** Tensors of handles. */
export const tensorsOf = (handles: NativeTensor[]): Tensor[] => handles.map((handle) => new Tensor(handle));

type FieldOf<T> = T extends NativeTensor ? Tensor : T extends NativeTensor[] ? Tensor[] : T;

/** Tensors of a native result under the names that their handles have there. */
export function fieldsOf<T extends object>(result: T): { [K in keyof T]: FieldOf<T[K]> } {
  const fields = Object.entries(result) as [string, NativeTensor | NativeTensor[] | null][];
  const tensors = fields.map(([name, handles]) => [
    name,
    Array.isArray(handles) ? tensorsOf(handles) : handles && new Tensor(handles),
  ]);
  return Object.fromEntries(tensors) as { [K in keyof T]: FieldOf<T[K]> };
}

/** The fields of what `forward` returns; `embeddings` are those that were passed in. */
export function forwardFields(
  result: NativeForwardResult,
  embeddings: readonly Tensor[] | null,
): ConstructorParameters<typeof Sam3TrackerImageSegmentationOutput>[0] {
  const { masks, image_embeddings, ...rest } = result;
  return { ...fieldsOf(rest), image_embeddings: embeddings ?? tensorsOf(image_embeddings) };
}

/** The output, with embeddings in it that remain the caller's. */
export function lent<T extends ModelOutput>(output: T, embeddings: readonly Tensor[] | null): T {
  if (embeddings) lend(output, embeddings);
  return output;
}
