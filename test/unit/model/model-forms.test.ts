/** Forms of a call that transformers' own does not have, and return_dict: each against the form that it has. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerImageSegmentationOutput } from '../../../lib/model/outputs';
import type { ModelOutputTuple } from '../../../lib/model/outputs';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import type { Tensor } from '../../../lib/tensor';
import { difference } from '../../parity/compare';
import {
  BUNDLED_MODEL,
  assertSameBits,
  boxes,
  bytesOf,
  float32,
  pixels,
  points,
  randomTensor,
} from '../../support/bundled-model';
import { reference } from '../../support/python';
import type { Reference } from '../../support/python';
import { readTensors } from '../../support/safetensors';

const tensorsOf = (tuple: ModelOutputTuple): Tensor[] => tuple.flatMap((field) => field);

describe('forms of a call', () => {
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  let embeddings: Tensor[];

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    embeddings = await model.get_image_embeddings(pixels());
  });
  after(() => model?.dispose());

  describe('return_dict: false', () => {
    it('gives the fields that are not null, in their order', async () => {
      const inputs = { pixel_values: pixels(), input_points: points() };
      for (const more of [{}, { output_hidden_states: true, output_attentions: true }]) {
        const output = await model({ ...inputs, ...more });
        const tuple = await model({ ...inputs, ...more, return_dict: false });
        assert.ok(Array.isArray(tuple));
        assert.equal(tuple.length, 'output_attentions' in more ? 7 : 4);
        const expected = tensorsOf(output.to_tuple());
        tensorsOf(tuple).forEach((tensor, index) =>
          assert.ok(bytesOf(tensor).equals(bytesOf(expected[index]))),
        );
      }
      const features = await model.get_image_features(pixels(), { return_dict: false });
      assert.deepEqual(
        features.map((field) => (Array.isArray(field) ? field.length : (field as Tensor).dims)),
        [[1, 576, 128], 3, 3],
      );
    });

    describe('compared with transformers', () => {
      let judge: Reference;
      let scratch: string;
      before(async function () {
        judge = reference(path.join(__dirname, '..', '..', 'support', 'model_reference.py'), this);
        scratch = await mkdtemp(path.join(tmpdir(), 'sam3-tracker-tuples-'));
      });
      after(async () => {
        if (scratch) await rm(scratch, { recursive: true });
      });

      const both = { output_hidden_states: true, output_attentions: true };
      for (const [method, options] of [
        ['forward', {}],
        ['forward', both],
        ['get_image_features', {}],
        ['get_image_features', both],
      ] as const)
        it(`gives the same fields of ${method} with ${JSON.stringify(options)}`, async () => {
          const file = path.join(scratch, `${method}.safetensors`);
          const kinds = await judge.result('call_for_tuple', {
            folder: BUNDLED_MODEL,
            method,
            options,
            file,
          });
          const tensors = readTensors(file);
          const pixel_values = tensors.get('pixel_values')!;
          const more = { ...options, return_dict: false } as const;
          const tuple: ModelOutputTuple = await (method === 'forward'
            ? model({ pixel_values, input_points: tensors.get('input_points')!, ...more })
            : model.get_image_features(pixel_values, more));
          assert.deepEqual(
            tuple.map((field) => (Array.isArray(field) ? field.length : 'tensor')),
            kinds,
          );
          for (const [index, field] of tuple.entries())
            for (const [item, own] of [field].flat().entries()) {
              const name = Array.isArray(field) ? `${index}.${item}` : `${index}`;
              const { max, scale } = await difference(own, tensors.get(name)!, name);
              assert.ok(max <= 1e-5 * scale, `field ${name} differs by ${max} of ${scale}`);
            }
        });
    });

    it('is the default where the configuration says so, and null is what it is there', async () => {
      using other = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      other.config.return_dict = false;
      const inputs = { image_embeddings: embeddings };
      assert.ok(Array.isArray(await other(inputs)));
      assert.ok(
        (await other({ ...inputs, return_dict: null })) instanceof Sam3TrackerImageSegmentationOutput,
      );
      assert.ok(
        (await other({ ...inputs, return_dict: true })) instanceof Sam3TrackerImageSegmentationOutput,
      );
      assert.ok(Array.isArray(await other.get_image_features(pixels(), { return_dict: null })));
      await assert.rejects(other({ ...inputs, return_dict: 0 as never }), TypeError);
    });
  });

  describe("transformers.js' image embeddings", () => {
    it('are the levels by name, to be spread or passed on', async () => {
      const named = await model.get_image_embeddings({ pixel_values: pixels() });
      assert.deepEqual(Object.keys(named), [
        'image_embeddings.0',
        'image_embeddings.1',
        'image_embeddings.2',
      ]);
      const input_points = points(1, 2, 2);
      const expected = await model({ image_embeddings: embeddings, input_points });
      assertSameBits(await model({ ...named, input_points }), expected);
      assertSameBits(await model({ image_embeddings: named, input_points }), expected);
    });

    it('are refused in part, twice, and beside pixel values', async () => {
      const [first, second, third] = embeddings;
      await assert.rejects(model({ 'image_embeddings.0': first, 'image_embeddings.2': third }), {
        name: 'RangeError',
        message: /image_embeddings\.1/,
      });
      await assert.rejects(model({ 'image_embeddings.0': first, 'image_embeddings.1': second }), RangeError);
      await assert.rejects(model({ 'image_embeddings.0': first, image_embeddings: embeddings }), {
        name: 'TypeError',
        message: /twice/,
      });
      await assert.rejects(
        model({ ...(await model.get_image_embeddings({ pixel_values: pixels() })), pixel_values: pixels() }),
        { message: 'Exactly one of pixel_values or image_embeddings must be provided.' },
      );
    });
  });

  describe('one mask an object', () => {
    /** Each object's own results of a call for all, against a call for it alone, which transformers has too. */
    async function compareEach(
      images: number,
      objects: number,
      prompts: { input_points?: Tensor; input_boxes?: Tensor },
      size: [number, number],
    ): Promise<void> {
      const levels = images === 1 ? embeddings : await model.get_image_embeddings(pixels(images));
      const masks = randomTensor([images, objects, ...size], 5, [-8, 8]);
      const all = await model({ image_embeddings: levels, input_masks: masks, ...prompts });
      assert.deepEqual(all.pred_masks.dims.slice(0, 2), [images, objects]);
      for (let object = 0; object < objects; object++) {
        const of = (tensor: Tensor | undefined): Tensor | undefined =>
          tensor?.slice(null, [object, object + 1]);
        const alone = await model({
          image_embeddings: levels,
          input_masks: of(masks),
          input_points: of(prompts.input_points),
          input_boxes: of(prompts.input_boxes),
        });
        for (const name of ['pred_masks', 'iou_scores', 'object_score_logits'] as const) {
          const { max, scale } = await difference(of(all[name])!, alone[name], name);
          assert.ok(max < 1e-5 * scale, `${name} of object ${object}: ${max}`);
        }
      }
    }

    it('gives each object the results that it has alone, with points', () =>
      compareEach(2, 3, { input_points: points(2, 3, 2) }, [96, 96]));
    it('with boxes, and masks that are resized', () =>
      compareEach(1, 4, { input_boxes: boxes(1, 4) }, [40, 70]));
    it('with points and boxes', () =>
      compareEach(1, 2, { input_points: points(1, 2, 2), input_boxes: boxes(1, 2) }, [96, 96]));
    it('with nothing else: an object for each mask', () => compareEach(2, 2, {}, [96, 96]));

    it('differs from one mask for all', async () => {
      const masks = randomTensor([1, 2, 96, 96], 5, [-8, 8]);
      const input_points = points(1, 2, 2);
      const each = await model({ image_embeddings: embeddings, input_points, input_masks: masks });
      const shared = await model({
        image_embeddings: embeddings,
        input_points,
        input_masks: masks.slice(null, [0, 1]),
      });
      const of = (output: typeof each, object: number): Tensor => output.pred_masks.slice(null, object);
      assert.ok((await difference(of(each, 0), of(shared, 0), 'first')).max < 1e-5);
      assert.ok((await difference(of(each, 1), of(shared, 1), 'second')).max > 1e-2);
    });

    it('is refused for another number of objects', () =>
      assert.rejects(
        model({ image_embeddings: embeddings, input_boxes: boxes(1, 3), input_masks: float32(1, 2, 96, 96) }),
        {
          name: 'RangeError',
          message: /^Expected one mask for all objects .* for input_masks but .*\[1, 2, 96, 96\]/,
        },
      ));

    it('embeds them as get_prompt_embeddings does', async () => {
      const masks = randomTensor([2, 3, 96, 96], 5);
      const [, dense] = await model.get_prompt_embeddings({ input_masks: masks });
      assert.deepEqual(dense.dims, [6, 64, 24, 24]);
      const [, last] = await model.get_prompt_embeddings({ input_masks: masks.slice([1, 2], [2, 3]) });
      assert.ok((await difference(dense.slice([5, 6]), last, 'dense')).max < 1e-5);
    });
  });

  describe('allow_ragged_boxes', () => {
    const original_sizes = [
      [300, 400],
      [200, 500],
      [100, 100],
    ];
    const input_boxes = [
      [[10, 20, 200, 250]],
      [],
      [
        [5, 5, 50, 60],
        [0, 0, 99, 99],
        [20, 30, 40, 90],
      ],
    ];

    it('fills shorter lists with boxes of the padding value', async () => {
      const inputs = await processor({ original_sizes, input_boxes, allow_ragged_boxes: true });
      assert.deepEqual(inputs.input_boxes.dims, [3, 3, 4]);
      const padding = [-10, -10, -10, -10];
      const list = inputs.input_boxes.tolist<number[][][]>();
      assert.deepEqual(list[0].slice(1), [padding, padding]);
      assert.deepEqual(list[1], [padding, padding, padding]);
      for (const image of [0, 2]) {
        const alone = await processor({
          original_sizes: [original_sizes[image]],
          input_boxes: [input_boxes[image]],
        });
        assert.deepEqual(
          list[image].slice(0, input_boxes[image].length),
          alone.input_boxes.tolist<number[][][]>()[0],
        );
      }
    });

    it('leaves the results of an image as they are without the padding', async () => {
      const pixel_values = pixels(3);
      const { input_boxes: together } = await processor({
        original_sizes,
        input_boxes,
        allow_ragged_boxes: true,
      });
      const all = await model({ pixel_values, input_boxes: together });
      for (const image of [0, 2]) {
        const count = input_boxes[image].length;
        const { input_boxes: own } = await processor({
          original_sizes: [original_sizes[image]],
          input_boxes: [input_boxes[image]],
        });
        const alone = await model({ pixel_values: pixel_values.slice([image, image + 1]), input_boxes: own });
        for (const name of ['pred_masks', 'iou_scores'] as const) {
          const padded = all[name].slice([image, image + 1], [0, count]);
          const { max, scale } = await difference(padded, alone[name], name);
          assert.ok(max < 1e-5 * scale, `${name} of image ${image}: ${max}`);
        }
      }
    });

    it('changes nothing where all images have as many boxes', async () => {
      const even = [[[1, 2, 3, 4]], [[5, 6, 7, 8]], [[9, 10, 11, 12]]];
      const [ragged, plain] = await Promise.all([
        processor({ original_sizes, input_boxes: even, allow_ragged_boxes: true }),
        processor({ original_sizes, input_boxes: even }),
      ]);
      assert.deepEqual(ragged.input_boxes.tolist(), plain.input_boxes.tolist());
    });

    it('is needed, and does not allow other mistakes', async () => {
      await assert.rejects(
        processor({ original_sizes: original_sizes.slice(1), input_boxes: [input_boxes[0], input_boxes[2]] }),
        {
          name: 'RangeError',
          message: /^Input boxes have inconsistent dimensions that would require padding/,
        },
      );
      const ragged = { original_sizes, allow_ragged_boxes: true };
      await assert.rejects(processor({ ...ragged, input_boxes: [[], [], []] }), RangeError);
      await assert.rejects(processor({ ...ragged, input_boxes: [[[1, 2, 3]], [], []] }), RangeError);
      await assert.rejects(processor({ ...ragged, input_boxes: [[], [[1, 2, 3, 4]]] }), /2 images/);
      await assert.rejects(processor({ original_sizes, allow_ragged_boxes: 1 as never }), TypeError);
    });
  });
});
