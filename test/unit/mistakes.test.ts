/** What people forget: `await`, `new`, and the object of a method. */
import assert from 'node:assert/strict';
import * as api from '../../lib/index';
import { Sam3TrackerModel, Sam3TrackerProcessor, Tensor } from '../../lib/index';

const MODEL = 'sam3-tracker-tiny';

/** Calls of a surface, which this test passes what its types forbid. */
type Loose = Record<string, (...args: unknown[]) => unknown>;

describe('a mistake that everybody makes', () => {
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  let generator: api.MaskGenerationPipeline;
  const image = new api.RawImage(new Uint8Array(12), 2, 2, 3);

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(MODEL, { device: 'cpu' });
    processor = await Sam3TrackerProcessor.from_pretrained(MODEL);
    generator = await api.pipeline('mask-generation', { model, image_processor: processor.image_processor });
  });
  after(() => model.dispose());

  it('a promise in the place of what it gives', async () => {
    const promise = Promise.resolve(new Tensor('float32', [1], [1]));
    const loose = api as unknown as Loose;
    const call = (object: unknown, name: string, ...args: unknown[]): unknown =>
      (Reflect.get(object as object, name) as (...given: unknown[]) => unknown).apply(object, args);
    const [tensor, ran] = [await promise, (run: () => unknown) => Promise.resolve().then(run)];
    const pixels = api.zeros([1, 3, 192, 192]);
    const calls: Record<string, () => unknown> = {
      model: () => call(model, 'forward', promise),
      'spread into the model': () => call(model, 'forward', { ...(promise as object) }),
      'spread beside an option': () =>
        call(model, 'forward', { ...(promise as object), multimask_output: false }),
      'a tensor of the model': () => call(model, 'forward', { pixel_values: promise }),
      'the points of the model': () =>
        call(model, 'forward', { pixel_values: pixels, input_points: promise }),
      embeddings: () => call(model, 'forward', { image_embeddings: promise }),
      get_image_embeddings: () => call(model, 'get_image_embeddings', promise),
      get_image_features: () => call(model, 'get_image_features', { pixel_values: promise }),
      get_prompt_embeddings: () => call(model, 'get_prompt_embeddings', promise),
      predict_masks: () => call(model, 'predict_masks', promise),
      processor: () => (processor as unknown as (images: unknown) => unknown)(promise),
      'an image of the processor': () => call(processor, '_call', { images: [promise] }),
      'spread into the processor': () => call(processor, '_call', { ...(promise as object) }),
      'points of the processor': () => call(processor, '_call', { images: image, input_points: promise }),
      'sizes of the processor': () => call(processor, '_call', { original_sizes: promise }),
      'image processor': () => call(processor.image_processor, '_call', promise),
      'masks to post-process': () => call(processor, 'post_process_masks', promise, [[2, 2]]),
      'masks of an output': () => call(processor, 'post_process_masks', (promise as never)['pred_masks'], []),
      'sizes to post-process': () => call(processor, 'post_process_masks', [tensor], promise),
      pipeline: () => call(generator, '_call', promise),
      'a list of the pipeline': () => call(generator, '_call', [promise]),
      'parts of a pipeline': () =>
        loose.pipeline('mask-generation', { model: promise, image_processor: null }),
      'a pipeline of a promise': () => loose.pipeline('mask-generation', promise),
      'new pipeline': () =>
        new api.MaskGenerationPipeline({ model: promise, image_processor: promise } as never),
      'new processor': () => new Sam3TrackerProcessor(promise as never),
      'new model': () => new Sam3TrackerModel(promise as never),
      from_pretrained: () => call(Sam3TrackerModel, 'from_pretrained', promise),
      from_config: () => call(api.AutoModel, 'from_config', promise),
      'new Tensor': () => new Tensor('float32', promise as never, [1]),
      'dims of a Tensor': () => new Tensor('float32', [1], promise as never),
      slice: () => call(tensor, 'slice', promise),
      select: () => call(tensor, 'select', 0, promise),
      add: () => call(tensor, 'add', promise),
      to: () => call(tensor, 'to', promise),
      sum: () => call(tensor, 'sum', promise),
      cat: () => loose.cat([promise]),
      topk: () => loose.topk(promise),
      interpolate: () => loose.interpolate(promise, [1, 1]),
      'RawImage.read': () => call(api.RawImage, 'read', promise),
      'RawImage.fromTensor': () => call(api.RawImage, 'fromTensor', promise),
      'new RawImage': () => new api.RawImage(promise as never, 1, 1, 3),
      draw_overlay: () => loose.draw_overlay(promise, []),
      'masks of draw_overlay': () => loose.draw_overlay(image, promise),
      mask_to_rle: () => loose.mask_to_rle(promise),
      rle_to_mask: () => loose.rle_to_mask(promise),
      mask_planes: () => loose.mask_planes(promise),
      mask_area: () => loose.mask_area(promise),
      mask_to_polygons: () => loose.mask_to_polygons(promise),
      mask_iou: () => loose.mask_iou(promise, promise),
      best_mask: () => loose.best_mask(promise),
    };
    const silent: string[] = [];
    for (const [name, run] of Object.entries(calls)) {
      const message = await ran(run).then(
        () => 'no error',
        (error: unknown) =>
          error instanceof TypeError || error instanceof RangeError ? error.message : String(error),
      );
      if (!/did you forget await\?/.test(message)) silent.push(`${name}: ${message}`);
    }
    assert.deepEqual(silent, []);
  });

  it('a class without new', () => {
    for (const [name, value] of Object.entries(api)) {
      if (typeof value !== 'function' || !Function.prototype.toString.call(value).startsWith('class'))
        continue;
      assert.throws(
        () => Reflect.apply(value, undefined, []),
        { name: 'TypeError', message: /without 'new'/ },
        name,
      );
    }
  });

  it('a method without its object', () => {
    const objects = [model, processor, processor.image_processor, generator, model.config, image];
    let count = 0;
    for (const object of objects)
      for (
        let owner = Object.getPrototypeOf(object) as object;
        owner !== Object.prototype && owner !== Function.prototype;
        owner = Object.getPrototypeOf(owner) as object
      )
        for (const [name, { value }] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
          if (typeof value !== 'function' || name === 'constructor' || owner.constructor.name === 'Callable')
            continue;
          const message = new RegExp(
            `\\.${name} was called without its object: call it as object\\.${name}\\(`,
          );
          assert.throws(() => Reflect.apply(value, undefined, []), { name: 'TypeError', message }, name);
          count += 1;
        }
    assert.ok(count > 30, String(count));
    for (const owner of [Sam3TrackerModel, api.Sam3TrackerConfig]) {
      const from = Reflect.get(owner, 'from_pretrained') as (id: string) => unknown;
      assert.throws(() => from(MODEL), {
        name: 'TypeError',
        message: /from_pretrained was called without its class/,
      });
    }
  });
});
