/** What annotation tools take from the model: the best mask, and embeddings that outlive the process. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import {
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  Tensor,
  best_mask,
  load_image_embeddings,
  mask_planes,
  save_image_embeddings,
  type NamedImageEmbeddings,
} from '../../../lib/index';
import { sameBits } from '../../parity/compare';
import { BUNDLED_MODEL, BUNDLED_SIDE, randomTensor } from '../../support/bundled-model';
import { ROOT, reference, type Reference } from '../../support/python';

const SIZES: [number, number][] = [
  [301, 400],
  [97, 131],
];

describe('annotation', () => {
  let python: Reference;
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  let image_embeddings: Tensor[];
  let directory: string;
  let file: string;

  before(async function () {
    python = reference(path.join(ROOT, 'test', 'support', 'annotation_reference.py'), this);
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu', dtype: 'float32' });
    processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    image_embeddings = await model.get_image_embeddings(randomTensor([2, 3, BUNDLED_SIDE, BUNDLED_SIDE], 3));
  });
  after(() => model?.dispose());
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-annotation-'));
    file = path.join(directory, 'made', 'image.safetensors');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  describe('best_mask', () => {
    for (const multimask_output of [true, false])
      it(`chooses as torch's argmax, for every image and object, ${multimask_output ? 'of three' : 'of one'}`, async () => {
        const input_points = randomTensor([2, 3, 1, 2], 4, [0, BUNDLED_SIDE]);
        const given = { image_embeddings, input_points, multimask_output };
        const outputs = await model.predict_masks({ ...given, original_sizes: SIZES });
        const expected = await python.result('best', { scores: outputs.iou_scores.tolist() });
        const found = await best_mask(outputs);
        assert.deepEqual(
          found.map((row) => row.map(({ index }) => index)),
          expected,
        );
        const scores = outputs.iou_scores.tolist<number[][][]>();
        for (const [image, row] of found.entries())
          for (const [object, { index, iou_score, mask, pred_mask }] of row.entries()) {
            assert.equal(iou_score, scores[image][object][index]);
            const planes = mask_planes(outputs.masks[image]);
            assert.deepEqual(mask, planes[object * (multimask_output ? 3 : 1) + index]);
            const logits = outputs.pred_masks.slice(image, object, index);
            assert.deepEqual(pred_mask.dims, [1, 1, ...logits.dims]);
            assert.ok(sameBits(pred_mask.reshape(...logits.dims), logits));
          }
        const forward = await model(given);
        const candidates = await best_mask(forward);
        assert.deepEqual(
          candidates.map((row) => row.map(({ index }) => index)),
          expected,
        );
        assert.ok(candidates.every((row) => row.every((one) => !('mask' in one))));
        const masks = await processor.post_process_masks(forward.pred_masks, SIZES);
        assert.deepEqual((await best_mask({ ...forward, masks }))[1][2].mask, found[1][2].mask);
        outputs.dispose();
        assert.equal(found[0][0].mask.data.length, 301 * 400);
      });

    it('refines with the logits it gives', async () => {
      const one = image_embeddings.map((level) => level.slice([0, 1]));
      const prompts = await processor({ original_sizes: [SIZES[0]], input_points: [[[[200, 150]]]] });
      const [[best]] = await best_mask(await model.predict_masks({ ...prompts, image_embeddings: one }));
      const again = {
        ...prompts,
        image_embeddings: one,
        multimask_output: false,
        input_masks: best.pred_mask,
      };
      const [[refined]] = await best_mask(await model.predict_masks(again));
      assert.notDeepEqual(refined.mask.data, best.mask.data);
    });

    it('takes the first of equal scores, and NaN as torch does', async () => {
      const pred_masks = randomTensor([1, 4, 3, 4, 4], 1);
      const scores = [0.5, 0.5, 0.1, NaN, 0.2, 0.3, 0.1, NaN, 0.9, -1, -2, -1];
      const iou_scores = new Tensor('float32', scores, [1, 4, 3]);
      const [row] = await best_mask({ iou_scores, pred_masks });
      assert.deepEqual(
        row.map(({ index }) => index),
        [0, 0, 1, 0],
      );
    });

    it('refuses what is no output, or of dims that do not fit', async () => {
      const iou_scores = randomTensor([1, 2, 3], 1);
      const pred_masks = randomTensor([1, 2, 3, 4, 4], 1);
      const logits = randomTensor([2, 3, 8, 8], 1);
      const refused: [unknown, RegExp][] = [
        [null, /^TypeError: .*what Sam3TrackerModel returns/],
        [{}, /^TypeError: .*outputs\.iou_scores/],
        [{ iou_scores: pred_masks, pred_masks }, /^RangeError: .*\(images, objects, masks\)/],
        [{ iou_scores: randomTensor([1, 2, 2], 1), pred_masks }, /^RangeError: .*outputs\.pred_masks/],
        [
          { iou_scores: new Tensor('float32', [], [1, 2, 0]), pred_masks },
          /^RangeError: .*at least one mask/,
        ],
        [{ iou_scores, pred_masks, masks: logits }, /^TypeError: .*a list of Tensors/],
        [{ iou_scores, pred_masks, masks: [logits, logits] }, /^RangeError: .*the masks of 1 images/],
        [{ iou_scores, pred_masks, masks: [logits.slice([0, 1])] }, /^RangeError: .*outputs\.masks\[0\]/],
        [{ iou_scores, pred_masks, masks: [logits] }, /^TypeError: .*bool or uint8.*threshold/],
      ];
      for (const [outputs, message] of refused)
        await assert.rejects(
          best_mask(outputs as never),
          (error) => (assert.match(String(error), message), true),
        );
    });
  });

  describe('image embeddings', () => {
    for (const dtype of ['float32', 'float16', 'bfloat16'] as const)
      it(`are the same after a restart, in ${dtype}, and safetensors reads them`, async () => {
        const levels = await Promise.all(image_embeddings.map((level) => level.to(dtype)));
        await save_image_embeddings(file, { image_embeddings: levels, original_sizes: SIZES });
        assert.deepEqual(readdirSync(path.dirname(file)), ['image.safetensors']);
        const python_side = (await python.result('tensors', { file })) as Record<
          string,
          { dtype: string; dims: number[] }
        >;
        assert.deepEqual(
          Object.entries(python_side)
            .map(([name, { dtype: type, dims }]) => [name, type, dims])
            .sort(),
          [
            ...levels.map((level, index) => [`image_embeddings.${index}`, dtype, [...level.dims]]),
            ['original_sizes', 'int64', [2, 2]],
          ],
        );
        const saved = await load_image_embeddings(file, model);
        assert.deepEqual(
          saved.original_sizes.tolist(),
          SIZES.map((size) => size.map(BigInt)),
        );
        for (const [index, level] of saved.image_embeddings.entries())
          assert.ok(sameBits(level, await levels[index].to('float32')));
        const { original_sizes } = saved;
        const prompts = await processor({ original_sizes, input_points: [[[[200, 150]]], [[[60, 50]]]] });
        const { masks } = await model.predict_masks({ ...prompts, image_embeddings: saved.image_embeddings });
        assert.deepEqual(
          masks.map(({ dims }) => dims.slice(2)),
          SIZES,
        );
      });

    it('are taken by name, with sizes of the processor, and views as they look', async () => {
      const original_sizes = new Tensor('int64', [97, 131], [1, 2]);
      const second = image_embeddings.map((level) => level.slice([1, 2]));
      const named = Object.fromEntries(second.map((level, index) => [`image_embeddings.${index}`, level]));
      await save_image_embeddings(file, { image_embeddings: named as NamedImageEmbeddings, original_sizes });
      const saved = await load_image_embeddings(file, model);
      saved.image_embeddings.forEach((level, index) => assert.ok(sameBits(level, second[index])));
    });

    it('of Python are read', async () => {
      const shapes = Object.fromEntries(
        image_embeddings.map((level, index) => [`image_embeddings.${index}`, [1, ...level.dims.slice(1)]]),
      );
      const own = path.join(directory, 'python.safetensors');
      await python.result('save', { file: own, shapes, sizes: [[30, 40]] });
      const saved = await load_image_embeddings(own, model);
      assert.deepEqual(saved.original_sizes.tolist(), [[30n, 40n]]);
    });

    it('are refused where they are damaged, something else, or of another model', async () => {
      const [level] = image_embeddings;
      const others: [string, object, RegExp][] = [
        [
          'CONFIG_MISMATCH',
          { image_embeddings: [level], original_sizes: SIZES },
          /another model: Expected 3 levels/,
        ],
        [
          'CONFIG_MISMATCH',
          { image_embeddings: [level, level, level], original_sizes: SIZES },
          /another model: .*\[1\]/,
        ],
      ];
      for (const [code, content, message] of others) {
        await save_image_embeddings(file, content as never);
        await assert.rejects(load_image_embeddings(file, model), { code, message });
      }
      const weights = path.join(BUNDLED_MODEL, 'model.safetensors');
      await assert.rejects(load_image_embeddings(weights, model), {
        code: 'FILE_INVALID',
        message: /has no image_emb/,
      });
      await assert.rejects(load_image_embeddings(directory, model), { code: 'FILE_INVALID' });
      await assert.rejects(load_image_embeddings(path.join(directory, 'none'), model), {
        code: 'FILE_NOT_FOUND',
      });
      await save_image_embeddings(file, { image_embeddings, original_sizes: SIZES });
      for (const bytes of [0, 7, 100, 5000]) {
        truncateSync(file, bytes);
        await assert.rejects(load_image_embeddings(file, model), { code: 'FILE_INVALID' });
      }
      writeFileSync(file, 'no safetensors');
      await assert.rejects(load_image_embeddings(file, model), { code: 'FILE_INVALID' });
      await assert.rejects(load_image_embeddings(weights, {} as never), {
        name: 'TypeError',
        message: /a model/,
      });
    });

    it('are refused before anything is written', async () => {
      const call = save_image_embeddings as (...args: unknown[]) => Promise<void>;
      const integers = new Tensor('int64', [1n], [1, 1, 1, 1]);
      const refused: [unknown[], RegExp][] = [
        [[7, { image_embeddings, original_sizes: SIZES }], /^TypeError: .*file/],
        [[file, { image_embeddings }], /original_sizes/],
        [[file, { original_sizes: SIZES }], /^TypeError: .*image_embeddings/],
        [[file, { image_embeddings: [], original_sizes: SIZES }], /^TypeError: .*image_embeddings/],
        [[file, { image_embeddings: [1], original_sizes: SIZES }], /^TypeError: .*image_embeddings\[0\]/],
        [[file, { image_embeddings: [integers], original_sizes: [[1, 1]] }], /^TypeError: .*floating/],
        [[file, { image_embeddings, original_sizes: [[1, 1]] }], /^RangeError: .*image_embeddings\[0\]/],
        [
          [
            file,
            {
              image_embeddings,
              original_sizes: [
                [0, 1],
                [1, 1],
              ],
            },
          ],
          /^RangeError: .*original_sizes/,
        ],
        [[file, { image_embeddings, original_sizes: SIZES, image: 1 }], /^TypeError: Unknown option "image"/],
      ];
      for (const [args, message] of refused)
        await assert.rejects(call(...args), (error) => (assert.match(String(error), message), true));
      writeFileSync(path.join(directory, 'made'), 'a file');
      await assert.rejects(call(file, { image_embeddings, original_sizes: SIZES }), { code: /FILE_/ });
      assert.deepEqual(readdirSync(directory), ['made']);
    });
  });
});
