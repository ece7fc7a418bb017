/** One configuration under test: our model and transformers' on the same files, and the comparison of a case. */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { Sam3ImageProcessor } from '../../lib/image/image-processing-sam3';
import { Sam3TrackerModel } from '../../lib/model/modeling-sam3-tracker';
import type { AttentionImplementation } from '../../lib/model/load';
import { Sam3TrackerProcessor } from '../../lib/processor/processing-sam3-tracker';
import { Tensor } from '../../lib/tensor';
import type { DeviceOption, ImageSize } from '../../lib/core/types';
import type { Reference } from '../support/python';
import type { ParityCase } from './cases';
import { flatten } from './compare';
import type { Outputs } from './compare';
import { readTensors } from '../support/safetensors';

/** Where either side computes: 'cpu', or what SAM3_TRACKER_PARITY_DEVICE names, such as cuda:0. */
export const PARITY_DEVICE = (process.env.SAM3_TRACKER_PARITY_DEVICE ?? 'cpu') as DeviceOption;

/** The dtypes that the tests compute in. */
export type ComputeDtype = 'float32' | 'float16' | 'bfloat16';

/** What the reference's `run` gave. */
export interface Answer {
  inputs: Map<string, Tensor>;
  /** Under flattened names, as `flatten` gives them. */
  outputs: Map<string, Tensor>;
  /** null, 'tensor' or the length of a list. */
  kinds: Record<string, 'tensor' | number | null>;
  /** For each object, whether the single mask counted as stable; empty where that was not asked. */
  stable: boolean[];
}

/** A model directory of ours, and the checkpoint that transformers reads. */
export interface Files {
  model: string;
  checkpoint: string;
}

/** Loads and keeps our models of one configuration by dtype and attention, and asks the reference for the same. */
export class Subject {
  readonly files: Files;
  readonly #reference: Reference;
  readonly #scratch: string;
  readonly #models = new Map<string, Promise<Sam3TrackerModel>>();

  constructor(files: Files, reference: Reference, scratch: string) {
    this.files = files;
    this.#reference = reference;
    this.#scratch = scratch;
  }

  /** What transformers gives for a case. */
  async theirs(
    dtype: ComputeDtype,
    attention: AttentionImplementation,
    parityCase: ParityCase,
    seed: number,
  ): Promise<Answer> {
    const file = path.join(this.#scratch, `${randomUUID()}.safetensors`);
    const { checkpoint } = this.files;
    const answer = await this.#reference.result('run', {
      checkpoint,
      dtype,
      attention,
      case: parityCase,
      seed,
      file,
    });
    const { kinds, stable } = answer as Pick<Answer, 'kinds' | 'stable'>;
    const tensors = [...readTensors(file)];
    await rm(file);
    const part = (prefix: string): Map<string, Tensor> =>
      new Map(
        tensors
          .filter(([name]) => name.startsWith(prefix))
          .map(([name, tensor]) => [name.slice(prefix.length), tensor]),
      );
    return { inputs: part('inputs.'), outputs: part('outputs.'), kinds, stable };
  }

  /** What we give for the reference's inputs; the kinds of outputs must be those of the reference. */
  async ours(
    dtype: ComputeDtype,
    attention: AttentionImplementation,
    parityCase: ParityCase,
    { inputs, kinds }: Answer,
  ): Promise<Map<string, Tensor>> {
    const outputs = await call(await this.model(dtype, attention), parityCase, inputs);
    if (parityCase.method === 'forward') {
      const masks = outputs.pred_masks as Tensor;
      const processor = new Sam3TrackerProcessor(new Sam3ImageProcessor());
      outputs.post_processed = await processor.post_process_masks(
        masks.type === 'float32' ? masks : await masks.to('float32'),
        originalSizes(masks.dims[0]),
      );
    }
    const ownKinds = Object.fromEntries(
      Object.keys(kinds).map((name) => {
        const value = outputs[name];
        return [name, value instanceof Tensor ? 'tensor' : value ? value.length : value];
      }),
    );
    assert.deepEqual(ownKinds, kinds);
    const flat = [...flatten(outputs)].map(async ([name, tensor]) => [name, await tensor.cpu()] as const);
    return new Map(await Promise.all(flat));
  }

  /** Lets go of the models. */
  async dispose(): Promise<void> {
    for (const model of this.#models.values()) (await model).dispose();
    this.#models.clear();
  }

  /** Our model, loaded once. */
  model(dtype: ComputeDtype, attn_implementation: AttentionImplementation): Promise<Sam3TrackerModel> {
    const key = `${dtype} ${attn_implementation}`;
    let model = this.#models.get(key);
    if (!model) {
      model = Sam3TrackerModel.from_pretrained(this.files.model, {
        device: PARITY_DEVICE,
        dtype,
        attn_implementation,
      });
      this.#models.set(key, model);
    }
    return model;
  }
}

/** As in model_reference.py. */
function originalSizes(images: number): ImageSize[] {
  return Array.from({ length: images }, (_, index) => [97 + 22 * index, 131 - 17 * index]);
}

/** Calls a method of ours with a case's inputs, and gives its results by name. */
export async function call(
  model: Sam3TrackerModel,
  { method, options }: ParityCase,
  inputs: Map<string, Tensor>,
): Promise<Outputs> {
  const named = Object.fromEntries([...inputs].filter(([name]) => !name.startsWith('image_embeddings.')));
  const embeddings = [...inputs].filter(([name]) => name.startsWith('image_embeddings.'));
  if (embeddings.length > 0) Object.assign(named, { image_embeddings: embeddings.map(([, level]) => level) });
  switch (method) {
    case 'forward':
      return { ...(await model({ ...named, ...options })) };
    case 'get_image_features': {
      const { output_hidden_states, output_attentions } = options ?? {};
      const features = await model.get_image_features(named.pixel_values, {
        output_hidden_states,
        output_attentions,
      });
      return { ...features };
    }
    case 'get_image_embeddings':
      return { image_embeddings: await model.get_image_embeddings(named.pixel_values) };
    case 'get_prompt_embeddings': {
      const [sparse, dense] = await model.get_prompt_embeddings(named);
      return { sparse, dense };
    }
    case 'get_image_wide_positional_embeddings':
      return { image_wide_positional_embeddings: await model.get_image_wide_positional_embeddings() };
  }
}
