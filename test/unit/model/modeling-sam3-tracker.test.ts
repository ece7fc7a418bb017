/** Sam3TrackerModel's border: what its calls do to each other and to their tensors. Refusals: model-inputs.test.ts. Numbers: test/parity. */
import assert from 'node:assert/strict';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import type { Sam3TrackerModelInputs } from '../../../lib/model/inputs';
import type { Sam3TrackerImageSegmentationOutput } from '../../../lib/model/outputs';
import type { Tensor } from '../../../lib/tensor';
import {
  BUNDLED_MODEL,
  assertSameBits,
  boxes,
  bytesOf,
  float32,
  labels,
  pixels,
  points,
} from '../../support/bundled-model';

describe('Sam3TrackerModel', () => {
  let model: Sam3TrackerModel;
  let embeddings: Tensor[];

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    embeddings = await model.get_image_embeddings(pixels());
  });
  after(() => model?.dispose());

  describe('what it returns', () => {
    it('is callable, and gives shapes in the order of axes that transformers has', async () => {
      const outputs = await model({ pixel_values: pixels(2), input_points: points(2, 3, 2) });
      assert.deepEqual(outputs.pred_masks.dims, [2, 3, 3, 96, 96]);
      assert.deepEqual(outputs.iou_scores.dims, [2, 3, 3]);
      assert.deepEqual(outputs.object_score_logits.dims, [2, 3, 1]);
      assert.deepEqual(
        outputs.image_embeddings.map(({ dims }) => dims),
        [
          [2, 8, 96, 96],
          [2, 16, 48, 48],
          [2, 64, 24, 24],
        ],
      );
      assert.equal(outputs.vision_hidden_states, null);
      assert.equal(outputs.vision_attentions, null);
      assert.equal(outputs.mask_decoder_attentions, null);
    });

    it('gives the same bits when image embeddings are passed back in', async () => {
      const input_points = points(1, 2, 3);
      const first = await model({ pixel_values: pixels(), input_points });
      const again = await model({ image_embeddings: first.image_embeddings, input_points });
      assertSameBits(again, first);
      again.image_embeddings.forEach((level, index) =>
        assert.ok(bytesOf(level).equals(bytesOf(first.image_embeddings[index]))),
      );
    });

    it('gives what get_image_embeddings gives as image_embeddings', async () => {
      const { image_embeddings } = await model({ pixel_values: pixels(), input_boxes: boxes() });
      image_embeddings.forEach((level, index) =>
        assert.ok(bytesOf(level).equals(bytesOf(embeddings[index]))),
      );
    });

    it('takes a mask prompt without its axis of one channel', async () => {
      const mask = float32(1, 96, 96);
      const [without, withAxis] = await Promise.all([
        model({ image_embeddings: embeddings, input_masks: mask }),
        model({ image_embeddings: embeddings, input_masks: mask.unsqueeze(1) }),
      ]);
      assertSameBits(without, withAxis);
    });

    it('leaves the tensors it is given as they are', async () => {
      const inputs = {
        input_points: points(1, 2, 2),
        input_boxes: boxes(1, 2),
        input_masks: float32(1, 1, 96, 96),
        target_embedding: float32(1, 1, 1, 64),
      };
      const given = [...Object.values(inputs), ...embeddings];
      const before = given.map((tensor) => Buffer.from(bytesOf(tensor)));
      await model({ ...inputs, image_embeddings: embeddings });
      given.forEach((tensor, index) => assert.ok(bytesOf(tensor).equals(before[index])));
    });
  });

  describe('calls on one model', () => {
    it('give the same at once as one after the other', async () => {
      const calls: Sam3TrackerModelInputs[] = [
        { image_embeddings: embeddings, input_points: points(1, 1, 1, 3) },
        { pixel_values: pixels(2), input_boxes: boxes(2, 3) },
        { image_embeddings: embeddings, input_points: points(1, 20, 2, 4), multimask_output: false },
        { image_embeddings: embeddings, input_masks: float32(1, 1, 50, 70) },
        { image_embeddings: embeddings },
      ];
      const oneByOne: Sam3TrackerImageSegmentationOutput[] = [];
      for (const inputs of calls) oneByOne.push(await model(inputs));
      const rounds = [...calls, ...calls].map((inputs) => model(inputs));
      (await Promise.all(rounds)).forEach((outputs, index) =>
        assertSameBits(outputs, oneByOne[index % calls.length]),
      );
    });

    it('go on after one that fails', async () => {
      const failing = model({ image_embeddings: embeddings, target_embedding: float32(1, 1, 1, 5) });
      const next = model({ image_embeddings: embeddings, input_boxes: boxes() });
      await assert.rejects(failing);
      assert.deepEqual((await next).pred_masks.dims, [1, 1, 3, 96, 96]);
    });

    it('fail for a label without an embedding, and later calls do not', async () => {
      const input_points = points();
      const call = model({
        image_embeddings: embeddings,
        input_points,
        input_labels: labels([1, 1, 1], 4),
      });
      await assert.rejects(call, Error);
      await model({ image_embeddings: embeddings, input_points });
    });
  });

  describe('dispose', () => {
    it('refuses every later call, and lets the one in flight finish', async () => {
      const other = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      const running = other({ pixel_values: pixels(), input_points: points() });
      assert.equal(other.disposed, false);
      other.dispose();
      other.dispose();
      assert.equal(other.disposed, true);
      assertSameBits(await running, await model({ pixel_values: pixels(), input_points: points() }));
      const disposed = { name: 'Sam3TrackerError', code: 'DISPOSED', message: /model has been disposed/ };
      await assert.rejects(other({ image_embeddings: embeddings }), disposed);
      await assert.rejects(other.get_image_features(pixels()), disposed);
      await assert.rejects(other.get_image_embeddings(pixels()), disposed);
      await assert.rejects(other.get_prompt_embeddings(), disposed);
      await assert.rejects(other.get_image_wide_positional_embeddings(), disposed);
      assert.throws(() => other.num_parameters(), disposed);
    });

    it('of a tensor makes a call with it fail by name', async () => {
      const gone = pixels();
      gone.dispose();
      await assert.rejects(model({ pixel_values: gone }), { name: 'Sam3TrackerError', code: 'DISPOSED' });
    });

    it('of the inputs does not disturb the call that has them', async () => {
      const image_embeddings = await model.get_image_embeddings(pixels());
      const input_points = points();
      const running = model({ image_embeddings, input_points });
      for (const tensor of [...image_embeddings, input_points]) tensor.dispose();
      assertSameBits(await running, await model({ image_embeddings: embeddings, input_points: points() }));
    });
  });

  describe('options of from_pretrained', () => {
    const refusals: [what: string, options: object, kind: string, message: RegExp][] = [
      ['an unknown option', { devise: 'cpu' }, 'TypeError', /"devise".*"device"/],
      ['a device of another name', { device: 'gpu' }, 'RangeError', /device.*"gpu"/],
      ['a CUDA device without a number', { device: 'cuda:' }, 'RangeError', /device.*"cuda:"/],
      ['a negative device', { device: -1 }, 'RangeError', /device.*-1/],
      ['a fraction of a device', { device: 0.5 }, 'RangeError', /device.*0\.5/],
      ['a device of another kind', { device: true }, 'TypeError', /device.*true/],
      [
        'a map of several parts',
        { device_map: { vision_encoder: 'cpu', '': 'cpu' } },
        'RangeError',
        /device_map/,
      ],
      ['two devices that differ', { device: 'cpu', device_map: 'cuda:0' }, 'RangeError', /device_map/],
      ['a dtype that models do not compute in', { dtype: 'int8' }, 'RangeError', /dtype.*"int8"/],
      ['a dtype of another kind', { dtype: 16 }, 'TypeError', /dtype.*16/],
      ['two dtypes that differ', { dtype: 'float32', torch_dtype: 'bfloat16' }, 'RangeError', /torch_dtype/],
      [
        'an attention that is not there',
        { attn_implementation: 'flash_attention_2' },
        'RangeError',
        /attn_implementation/,
      ],
    ];
    for (const [what, options, name, message] of refusals) {
      it(`refuses ${what}`, () =>
        assert.rejects(Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, options), { name, message }));
    }

    it('takes a map of one device', async () => {
      const mapped = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device_map: { '': 'cpu' } });
      assert.equal(mapped.device, 'cpu');
      mapped.dispose();
    });

    it('names a device that is not there', () =>
      assert.rejects(Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cuda:97' }), {
        name: 'Sam3TrackerError',
        code: 'DEVICE_UNAVAILABLE',
        message: /cuda:97/,
      }));

    it('names where it looked for a model', async () => {
      const load = (name: unknown): Promise<unknown> => Sam3TrackerModel.from_pretrained(name as string);
      const notFound = { name: 'Sam3TrackerError', code: 'FILE_NOT_FOUND' };
      await assert.rejects(load('no-such-model'), { ...notFound, message: /No model "no-such-model"/ });
      await assert.rejects(load('sam3-tracker-tiny/../sam3-tracker-tiny'), notFound);
      await assert.rejects(load(''), RangeError);
      await assert.rejects(load(7), TypeError);
    });
  });
});
