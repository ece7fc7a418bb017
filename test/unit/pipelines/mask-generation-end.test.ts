import assert from 'node:assert/strict';
import path from 'node:path';
import {
  pipeline,
  RawImage,
  type Box,
  type ImageSize,
  type MaskGenerationPipeline,
} from '../../../lib/index';
import { Tensor } from '../../../lib/tensor';
import { FEW, ModelStub, makeImage, pipelineOf } from '../../support/mask-generation';

const PHOTO = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'astronaut.png');

describe('mask generation that is ended early', () => {
  describe('in the middle', () => {
    const embedding = (): Tensor => new Tensor('float32', new Float32Array(4), [1, 1, 2, 2]);
    const started = (stub: ModelStub, signal: AbortSignal): Promise<unknown> =>
      pipelineOf(stub)(makeImage(40, 30), { points_per_crop: 2, points_per_batch: 1, signal });

    it('rejects at once and lets the embeddings go while the decoder is busy', async () => {
      const controller = new AbortController();
      const stub = new ModelStub();
      const [held] = (stub.embeddings = [embedding()]);
      // A batch that never ends.
      stub.generate_masks = () => new Promise(() => setImmediate(() => controller.abort()));
      await assert.rejects(started(stub, controller.signal), { name: 'AbortError' });
      assert.equal(held.disposed, true);
    });

    it('lets the embeddings go that come after the end', async () => {
      const controller = new AbortController();
      const stub = new ModelStub();
      let finish = (_: Tensor[]): void => assert.fail('the encoder was not asked');
      stub.get_image_embeddings = () =>
        new Promise((resolve) => {
          finish = resolve;
          setImmediate(() => controller.abort());
        });
      await assert.rejects(started(stub, controller.signal), { name: 'AbortError' });
      const late = embedding();
      finish([late]);
      await new Promise((resolve) => setImmediate(resolve));
      assert.equal(late.disposed, true);
      assert.equal(stub.batches.length, 0);
    });
  });

  describe('with the bundled model', () => {
    let generator: MaskGenerationPipeline;
    before(async () => {
      generator = await pipeline('mask-generation', 'sam3-tracker-tiny', { device: 'cpu' });
    });
    after(() => generator.dispose());

    it('is ended by its signal, between batches or before', async () => {
      const controller = new AbortController();
      let batches = 0;
      const run = generator(PHOTO, {
        ...FEW,
        points_per_batch: 4,
        signal: controller.signal,
        progress_callback: () => {
          if (++batches === 2) controller.abort();
        },
      });
      await assert.rejects(run, { name: 'AbortError' });
      assert.equal(batches, 2);
      await assert.rejects(generator(PHOTO, { ...FEW, signal: AbortSignal.abort() }), { name: 'AbortError' });
      const own = new Error('enough');
      await assert.rejects(generator([PHOTO], { ...FEW, signal: AbortSignal.abort(own) }), own);
      assert.ok((await generator(PHOTO, FEW)).masks.length > 0);
    });

    it('ends in the middle of a batch: the model is free for the next call', async () => {
      const options = { ...FEW, points_per_crop: 32, points_per_batch: null };
      // One batch of 1,024 points; ended while it waits or has just begun.
      const took = async (signal: AbortSignal | null): Promise<number> => {
        const began = performance.now();
        const run = generator(PHOTO, { ...options, signal });
        if (signal) await assert.rejects(run, { name: 'AbortError' });
        else assert.ok((await run).masks.length > 0);
        // On the model's one thread: comes when the batch has gone.
        await generator.model.get_image_wide_positional_embeddings();
        return performance.now() - began;
      };
      const whole = await took(null);
      const controller = new AbortController();
      const { model } = generator;
      const generate = model.generate_masks.bind(model);
      let batches = 0;
      model.generate_masks = (batch) => {
        const run = generate(batch);
        batches++;
        setTimeout(() => controller.abort(), 20);
        return run;
      };
      try {
        const ended = await took(controller.signal);
        assert.ok(ended < whole / 2, `${ended} ms, ${whole} ms where it is not ended`);
        assert.equal(batches, 1);
      } finally {
        model.generate_masks = generate;
      }
    });

    it('takes a signal for a batch by itself', async () => {
      const { model } = generator;
      const { pixel_values } = await generator.image_processor(await RawImage.read(PHOTO));
      const image_embeddings = await model.get_image_embeddings(pixel_values);
      const box: Box = [0, 0, 512, 512];
      const batch = {
        ...{ pred_iou_thresh: 0, stability_score_thresh: 0, stability_score_offset: 1, mask_threshold: 0 },
        ...{ max_hole_area: 0, max_sprinkle_area: 0, multimask_output: true, crop_box: box, bounds: box },
        original_size: [512, 512] as ImageSize,
        points: new Float32Array(80).fill(90),
        image_embeddings,
      };
      const controller = new AbortController();
      const { signal } = controller;
      assert.equal((await model.generate_masks({ ...batch, signal })).masks.length, 120);
      const run = model.generate_masks({ ...batch, signal });
      controller.abort();
      await assert.rejects(run, { name: 'AbortError' });
      await assert.rejects(model.generate_masks({ ...batch, signal }), { name: 'AbortError' });
    });

    it('ends a stream by its signal, too', async () => {
      const controller = new AbortController();
      const stream = generator.stream(PHOTO, { ...FEW, signal: controller.signal });
      assert.equal((await stream.next()).done, false);
      controller.abort();
      await assert.rejects(
        async () => {
          for await (const { mask } of stream) assert.ok(mask);
        },
        { name: 'AbortError' },
      );
    });
  });
});
