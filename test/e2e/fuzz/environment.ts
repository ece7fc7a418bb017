/** The bundled model and what goes with it, loaded once a process. */
import {
  pipeline,
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  type MaskGenerationPipeline,
  type Tensor,
} from '../../../lib';
import { BUNDLED_MODEL, pixels } from '../../support/bundled-model';

/** What calls are made on. */
export interface Environment {
  model: Sam3TrackerModel;
  processor: Sam3TrackerProcessor;
  generator: MaskGenerationPipeline;
  embeddings: Tensor[];
}

let loaded: Promise<Environment> | undefined;

/** Loads the model at the first call. */
export function environment(): Promise<Environment> {
  return (loaded ??= (async () => {
    const options = { device: 'cpu', dtype: 'float32' } as const;
    const model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, options);
    const processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    const generator = await pipeline('mask-generation', BUNDLED_MODEL, options);
    return { model, processor, generator, embeddings: await model.get_image_embeddings(pixels()) };
  })());
}
