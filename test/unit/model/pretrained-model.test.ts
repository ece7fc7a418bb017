/** What every pretrained model can do: be moved, converted and saved, beside transformers where it reads the result. */
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerPreTrainedModel } from '../../../lib/model/pretrained-model';
import type { ModelTarget } from '../../../lib/model/pretrained-model';
import { difference } from '../../parity/compare';
import {
  BUNDLED_MODEL,
  assertSameBits,
  bytesOf,
  pixels,
  points,
  withModelCopy,
} from '../../support/bundled-model';
import { reference } from '../../support/python';
import type { Reference } from '../../support/python';
import { readTensors, readWeights } from '../../support/safetensors';

const load = (folder: string, dtype: 'float32' | 'float16' | 'bfloat16'): Promise<Sam3TrackerModel> =>
  Sam3TrackerModel.from_pretrained(folder, { device: 'cpu', dtype });

describe('a pretrained model', () => {
  let scratch: string;
  /** The bundled model's weights are float16. */
  const inputs = { pixel_values: pixels(), input_points: points(1, 2, 2) };

  before(async () => {
    scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-saved-'));
  });
  after(() => rm(scratch, { recursive: true }));

  it('is an instance of the base class, which no model is made of', async () => {
    using model = await load(BUNDLED_MODEL, 'float32');
    assert.ok(model instanceof Sam3TrackerPreTrainedModel);
    assert.equal(typeof model, 'function');
  });

  describe('to', () => {
    it('converts as loading in the dtype does, and returns the model', async () => {
      for (const dtype of ['bfloat16', 'float32'] as const) {
        using loaded = await load(BUNDLED_MODEL, dtype);
        using converted = await load(BUNDLED_MODEL, dtype === 'float32' ? 'float16' : 'float32');
        assert.equal(await converted.to(dtype), converted);
        assert.equal(converted.dtype, dtype);
        const given = { ...inputs, pixel_values: await inputs.pixel_values.to(dtype) };
        const [ours, expected] = [await converted(given), await loaded(given)];
        assert.equal(ours.pred_masks.type, dtype);
        const { max, scale } = await difference(ours.pred_masks, expected.pred_masks, 'pred_masks');
        assert.ok(max <= 1e-7 * scale, `${max} of ${scale}`);
      }
    });

    it('converts back to what float16 left of the weights', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const before = await model(inputs);
      await model.to('cpu', 'float16');
      await model.to({ dtype: 'float32', device: 'cpu' });
      // The checkpoint is of float16, so that nothing was lost.
      assertSameBits(await model(inputs), before);
    });

    it('does nothing where the model is so already', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const before = await model(inputs);
      for (const target of ['cpu', 'float32', { device: 'cpu', dtype: 'float32' }] as ModelTarget[])
        assert.equal(await model.to(target), model);
      assertSameBits(await model(inputs), before);
    });

    it('lets earlier calls finish and later ones wait', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const expected = await model(inputs);
      const before = model(inputs);
      const move = model.to('bfloat16');
      const after = model({ ...inputs, image_embeddings: null });
      assertSameBits(await before, expected);
      assert.equal((await after).pred_masks.type, 'bfloat16');
      await move;
    });

    it('takes several at once in their order', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      await Promise.all([model.to('float16'), model.to('bfloat16'), model.to('float32')]);
      assert.equal(model.dtype, 'float32');
      assert.equal((await model(inputs)).pred_masks.type, 'float32');
    });

    it('leaves the model as it was where it fails', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const expected = await model(inputs);
      const missing = { name: 'Sam3TrackerError', code: 'DEVICE_UNAVAILABLE' };
      const moves = [model.to('cuda:97'), model.to('cuda:98'), model.to({ device: 96, dtype: 'float16' })];
      const during = model(inputs);
      for (const move of moves) await assert.rejects(move, missing);
      assertSameBits(await during, expected);
      assertSameBits(await model(inputs), expected);
      assert.deepEqual([model.device, model.dtype], ['cpu', 'float32']);
    });

    it('never changes the file that the weights were mapped from', () =>
      withModelCopy(async (copy) => {
        const before = readFileSync(copy.file('model.safetensors'));
        using model = await load(copy.directory, 'float16');
        await model.to('float32');
        await model.to('bfloat16');
        await model.to('float16');
        await model.get_image_wide_positional_embeddings();
        assert.ok(readFileSync(copy.file('model.safetensors')).equals(before));
      }));

    it('refuses what is no device and no dtype', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const refusals: [target: unknown, name: string, message: RegExp][] = [
        ['gpu', 'RangeError', /device.*"gpu"/],
        ['auto', 'RangeError', /named device/],
        ['int8', 'RangeError', /dtype.*"int8"/],
        ['float64', 'RangeError', /dtype.*"float64"/],
        [{ dtype: 'auto' }, 'RangeError', /dtype.*"auto"/],
        [{ devise: 'cpu' }, 'TypeError', /"devise".*"device"/],
        [{}, 'TypeError', /a device, a dtype/],
        [null, 'TypeError', /object/],
        [undefined, 'TypeError', /object/],
      ];
      for (const [target, name, message] of refusals)
        await assert.rejects(model.to(target as never), { name, message });
      model.dispose();
      await assert.rejects(model.to('float16'), { code: 'DISPOSED' });
    });
  });

  describe('save_pretrained', () => {
    let judge: Reference;
    before(function () {
      judge = reference(path.join(__dirname, '..', '..', 'support', 'model_reference.py'), this);
    });

    for (const dtype of ['float32', 'float16', 'bfloat16'] as const)
      it(`writes what transformers reads, the same weights, in ${dtype}`, async () => {
        const folder = path.join(scratch, dtype);
        using model = await load(BUNDLED_MODEL, dtype);
        await model.save_pretrained(folder);
        const read = (await judge.result('loads', { folder })) as Record<string, unknown>;
        assert.deepEqual(read.problems, {});
        assert.deepEqual([read.dtype, read.parameters], [dtype, model.num_parameters()]);
        assert.deepEqual(await judge.result('equal_weights', { folder, other: BUNDLED_MODEL, dtype }), []);
        const config = JSON.parse(readFileSync(path.join(folder, 'config.json'), 'utf8')) as object;
        assert.deepEqual(config, {
          ...(JSON.parse(model.config.to_json_string()) as object),
          architectures: ['Sam3TrackerModel'],
          dtype,
        });
        using loaded = await Sam3TrackerModel.from_pretrained(folder, { device: 'cpu', dtype });
        const given = { ...inputs, pixel_values: await inputs.pixel_values.to(dtype) };
        const { max, scale } = await difference(
          (await loaded(given)).pred_masks,
          (await model(given)).pred_masks,
          'pred_masks',
        );
        assert.ok(max <= 1e-7 * scale, `${max} of ${scale}`);
      });

    it('writes what transformers computes the same masks with', async () => {
      const folder = path.join(scratch, 'masks');
      using model = await load(BUNDLED_MODEL, 'float32');
      await model.save_pretrained(folder);
      const file = path.join(scratch, 'masks.safetensors');
      await judge.result('masks_of', { folder, dtype: 'float32', file });
      const tensors = readTensors(file);
      const { pred_masks } = await model({
        pixel_values: tensors.get('pixel_values')!,
        input_points: tensors.get('input_points')!,
      });
      const { max, scale } = await difference(pred_masks, tensors.get('pred_masks')!, 'pred_masks');
      assert.ok(max < 1e-4 * scale, `${max} of ${scale}`);
    });

    it('writes over the directory that it was loaded from, while a call runs', () =>
      withModelCopy(async (copy) => {
        using model = await load(copy.directory, 'float16');
        using other = await load(copy.directory, 'float16');
        const expected = await other.get_image_wide_positional_embeddings();
        await model.to('bfloat16');
        const running = other.get_image_wide_positional_embeddings();
        await model.save_pretrained(copy.directory);
        assert.equal(readWeights(copy.file('model.safetensors')).get('no_memory_embedding')!.dtype, 'BF16');
        // What the other model has mapped is the old file, which is there as long as somebody has it open.
        assert.ok(bytesOf(await running).equals(bytesOf(expected)));
        assert.ok(bytesOf(await other.get_image_wide_positional_embeddings()).equals(bytesOf(expected)));
        using again = await Sam3TrackerModel.from_pretrained(copy.directory, {
          device: 'cpu',
          dtype: 'bfloat16',
        });
        assert.equal(again.num_parameters(), model.num_parameters());
      }));

    it('leaves what was there, and nothing else, where it fails', async () => {
      const folder = path.join(scratch, 'blocked');
      // A directory where a file is to be: the last rename fails.
      mkdirSync(path.join(folder, 'torchscript', 'mask_decoder.pt', 'full'), { recursive: true });
      writeFileSync(path.join(folder, 'config.json'), 'old');
      using model = await load(BUNDLED_MODEL, 'float32');
      await assert.rejects(model.save_pretrained(folder));
      assert.equal(readFileSync(path.join(folder, 'config.json'), 'utf8'), 'old');
      const left = readdirSync(folder, { recursive: true }).map(String);
      assert.deepEqual(
        left.filter((name) => name.includes('incomplete')),
        [],
      );
    });

    it('refuses what is no directory', async () => {
      using model = await load(BUNDLED_MODEL, 'float32');
      const file = path.join(scratch, 'a-file');
      writeFileSync(file, '');
      await assert.rejects(model.save_pretrained(file), {
        name: 'Sam3TrackerError',
        code: 'FILE_INVALID',
        message: `Provided path (${file}) should be a directory, not a file`,
      });
      await assert.rejects(model.save_pretrained(7 as never), TypeError);
      await assert.rejects(model.save_pretrained(''), RangeError);
      model.dispose();
      await assert.rejects(model.save_pretrained(path.join(scratch, 'never')), { code: 'DISPOSED' });
      assert.ok(!existsSync(path.join(scratch, 'never')));
    });
  });
});
