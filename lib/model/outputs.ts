/** What the model's calls return: fields as in transformers' output classes, moved and disposed together. */
import type { ModelDType } from '../core/dtype';
import type { DeviceOption } from '../core/types';
import type { NativeForwardResult, NativeTensor } from '../native/binding';
import { Tensor } from '../tensor';
import { guardMethods } from '../core/receivers';

/** What `return_dict: false` gives: the fields that are not null, in their order. */
export type ModelOutputTuple = (Tensor | readonly Tensor[])[];

type Field = Tensor | readonly Tensor[] | null;

/** Tensors in an output that are the caller's own: embeddings that were passed in. */
const borrowed = new WeakMap<ModelOutput, readonly Tensor[]>();

function fieldsOf(output: ModelOutput): [string, Field][] {
  return Object.entries(output) as [string, Field][];
}

/** Base of the outputs: named fields, each a Tensor, a list of Tensors, or null where the reference has None. */
export abstract class ModelOutput {
  /** The fields that are not null, in their order: what `return_dict: false` gives. As transformers' `to_tuple`. */
  to_tuple(): ModelOutputTuple {
    return fieldsOf(this)
      .map(([, value]) => value)
      .filter((value) => value !== null);
  }

  /** A copy of this output with every tensor on a device ('cpu', 'cuda', 'cuda:N', N). */
  async to(device: Exclude<DeviceOption, 'auto'>): Promise<this> {
    const moved = Object.create(Object.getPrototypeOf(this) as object) as this;
    for (const [name, value] of fieldsOf(this)) {
      const there = Array.isArray(value)
        ? await Promise.all((value as Tensor[]).map((tensor) => tensor.to(device)))
        : value && (await (value as Tensor).to(device));
      Object.assign(moved, { [name]: there });
    }
    return moved;
  }

  /** A copy of this output on the CPU. */
  cpu(): Promise<this> {
    return this.to('cpu');
  }

  /** Disposes every tensor of this output, except embeddings that the caller had passed in. Safe twice. */
  dispose(): void {
    const kept = borrowed.get(this) ?? [];
    for (const [, value] of fieldsOf(this)) {
      for (const tensor of Array.isArray(value) ? (value as Tensor[]) : [value as Tensor | null])
        if (tensor && !kept.includes(tensor)) tensor.dispose();
    }
  }

  /** As `dispose`, for `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }
}

guardMethods(ModelOutput);

/** What `Sam3TrackerModel.forward` returns; transformers' class of this name. All masks are logits. */
export class Sam3TrackerImageSegmentationOutput extends ModelOutput {
  /** Predicted IoU of each mask, from 0 to 1: (images, objects, masks). */
  readonly iou_scores: Tensor<ModelDType>;
  /** Low-resolution mask logits: (images, objects, masks, height, width). */
  readonly pred_masks: Tensor<ModelDType>;
  /** Whether the object is there, a logit: (images, objects, 1). */
  readonly object_score_logits: Tensor<ModelDType>;
  /** Features of the image, finest level first, each (images, channels, height, width); pass them back in. */
  readonly image_embeddings: readonly Tensor<ModelDType>[];
  /** With output_hidden_states: one (images, rows, columns, channels) a layer, the embeddings first; else null. */
  readonly vision_hidden_states: readonly Tensor<ModelDType>[] | null;
  /** With output_attentions: the attention weights under 'eager', an empty list under 'sdpa'; else null. */
  readonly vision_attentions: readonly Tensor<ModelDType>[] | null;
  /** With output_attentions: what each two-way block returns third, (images * objects, 1, positions, channels); else null. */
  readonly mask_decoder_attentions: readonly Tensor<ModelDType>[] | null;

  /** An output of the given fields. */
  constructor(fields: {
    iou_scores: Tensor<ModelDType>;
    pred_masks: Tensor<ModelDType>;
    object_score_logits: Tensor<ModelDType>;
    image_embeddings: readonly Tensor<ModelDType>[];
    vision_hidden_states: readonly Tensor<ModelDType>[] | null;
    vision_attentions: readonly Tensor<ModelDType>[] | null;
    mask_decoder_attentions: readonly Tensor<ModelDType>[] | null;
  }) {
    super();
    this.iou_scores = fields.iou_scores;
    this.pred_masks = fields.pred_masks;
    this.object_score_logits = fields.object_score_logits;
    this.image_embeddings = fields.image_embeddings;
    this.vision_hidden_states = fields.vision_hidden_states;
    this.vision_attentions = fields.vision_attentions;
    this.mask_decoder_attentions = fields.mask_decoder_attentions;
  }
}

/** What `Sam3TrackerModel.predict_masks` returns. */
export class Sam3TrackerMasksOutput extends Sam3TrackerImageSegmentationOutput {
  /** Masks in the size of each image, (objects, masks, height, width): bool, or logits with `binarize: false`. */
  readonly masks: readonly Tensor<'bool' | ModelDType>[];

  /** An output of the given fields. */
  constructor(
    fields: ConstructorParameters<typeof Sam3TrackerImageSegmentationOutput>[0] & {
      masks: readonly Tensor<'bool' | ModelDType>[];
    },
  ) {
    super(fields);
    this.masks = fields.masks;
  }
}

/** What `Sam3TrackerModel.get_image_features` returns; transformers' class of this name. */
export class Sam3TrackerVisionEncoderOutput extends ModelOutput {
  /** Output of the last layer: (images, positions, channels). */
  readonly last_hidden_state: Tensor<ModelDType>;
  /** Always null, as in transformers. */
  readonly pooler_output: null;
  /** With output_hidden_states: one (images, rows, columns, channels) a layer, the embeddings first; else null. */
  readonly hidden_states: readonly Tensor<ModelDType>[] | null;
  /** With output_attentions: the attention weights under 'eager', an empty list under 'sdpa'; else null. */
  readonly attentions: readonly Tensor<ModelDType>[] | null;
  /** Feature maps, finest first, flattened to (positions, images, channels); the decoder's projections are applied. */
  readonly fpn_hidden_states: readonly Tensor<ModelDType>[];
  /** Sine position encodings of the same levels: (positions, images, channels). */
  readonly fpn_position_encoding: readonly Tensor<ModelDType>[];

  /** An output of the given fields. */
  constructor(fields: {
    last_hidden_state: Tensor<ModelDType>;
    hidden_states: readonly Tensor<ModelDType>[] | null;
    attentions: readonly Tensor<ModelDType>[] | null;
    fpn_hidden_states: readonly Tensor<ModelDType>[];
    fpn_position_encoding: readonly Tensor<ModelDType>[];
  }) {
    super();
    this.last_hidden_state = fields.last_hidden_state;
    this.pooler_output = null;
    this.hidden_states = fields.hidden_states;
    this.attentions = fields.attentions;
    this.fpn_hidden_states = fields.fpn_hidden_states;
    this.fpn_position_encoding = fields.fpn_position_encoding;
  }
}

/** The handle of a Tensor that may be left out. */
export const handleOf = (tensor: Tensor | null): NativeTensor | null => tensor && tensor.handle;
/** Tensors of handles. */
export const tensorsOf = (handles: NativeTensor[]): Tensor<ModelDType>[] =>
  handles.map((handle) => new Tensor(handle));

type FieldOf<T> = T extends NativeTensor
  ? Tensor<ModelDType>
  : T extends NativeTensor[]
    ? Tensor<ModelDType>[]
    : T;

/** Tensors of a native result, under the names that their handles have there. */
export function tensorFields<T extends object>(result: T): { [K in keyof T]: FieldOf<T[K]> } {
  const handles = Object.entries(result) as [string, NativeTensor | NativeTensor[] | null][];
  const tensors = handles.map(([name, value]) => [
    name,
    Array.isArray(value) ? tensorsOf(value) : value && new Tensor(value),
  ]);
  return Object.fromEntries(tensors) as { [K in keyof T]: FieldOf<T[K]> };
}

/** The fields of what `forward` returns; `embeddings` are those that were passed in. */
export function forwardFields(
  { image_embeddings, ...rest }: NativeForwardResult,
  embeddings: readonly Tensor<ModelDType>[] | null,
): ConstructorParameters<typeof Sam3TrackerImageSegmentationOutput>[0] & { masks: Tensor[] | null } {
  return { ...tensorFields(rest), image_embeddings: embeddings ?? tensorsOf(image_embeddings) };
}

/** The output, with embeddings in it that remain the caller's: `dispose` leaves them alone. */
export function lent<T extends ModelOutput>(output: T, embeddings: readonly Tensor[] | null): T {
  if (embeddings) borrowed.set(output, embeddings);
  return output;
}
