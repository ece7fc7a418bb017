/** `new Sam3TrackerModel(config)`: weights drawn as transformers draws them, where there are graphs. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerConfig } from '../../../lib/config/sam3-tracker';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import type { NewModelOptions } from '../../../lib/model/load';
import type { Tensor } from '../../../lib/tensor';
import { difference } from '../../parity/compare';
import { BUNDLED_MODEL, assertSameBits, bytesOf, pixels, points } from '../../support/bundled-model';
import { reference } from '../../support/python';
import type { Reference } from '../../support/python';
import { readTensors } from '../../support/safetensors';

/** What the reference's `new_model_statistics` says of one weight. */
interface Statistics {
  shape: number[];
  mean: { data: number[] };
  std: { data: number[] };
  min: { data: number[] };
  max: { data: number[] };
}

/** Unlike in every part, so that one part's value cannot stand for another's. */
const DEVIATIONS = { model: 0.05, neck: 0.07, backbone: 0.03, scale: 2 };

/** The bundled model's configuration with other deviations. */
async function configuration(): Promise<Sam3TrackerConfig> {
  const config = await Sam3TrackerConfig.from_pretrained(BUNDLED_MODEL);
  config.initializer_range = DEVIATIONS.model;
  config.vision_config.initializer_range = DEVIATIONS.neck;
  config.vision_config.backbone_config.initializer_range = DEVIATIONS.backbone;
  config.prompt_encoder_config.scale = DEVIATIONS.scale;
  return config;
}

function statistics({ data }: Tensor): { mean: number; std: number; min: number; max: number } {
  const values = Array.from(data as Float32Array);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
  const [min, max] = values.reduce(
    ([low, high], value) => [Math.min(low, value), Math.max(high, value)],
    [Infinity, -Infinity],
  );
  return { mean, std: Math.sqrt(variance), min, max };
}

describe('a new Sam3TrackerModel', () => {
  let scratch: string;
  let config: Sam3TrackerConfig;

  /** The weights of a new model, by name. */
  async function weightsOf(options: NewModelOptions, of = config): Promise<Map<string, Tensor>> {
    using model = new Sam3TrackerModel(of, { device: 'cpu', ...options });
    const folder = await mkdtemp(path.join(scratch, 'model-'));
    await model.save_pretrained(folder);
    return readTensors(path.join(folder, 'model.safetensors'));
  }

  before(async () => {
    scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-new-'));
    config = await configuration();
  });
  after(() => rm(scratch, { recursive: true }));

  describe('compared with transformers', () => {
    let judge: Reference;
    let theirs: { parameters: number; weights: Record<string, Statistics> };
    let ours: Map<string, Tensor>;

    before(async function () {
      judge = reference(path.join(__dirname, '..', '..', 'support', 'model_reference.py'), this);
      theirs = (await judge.result('new_model_statistics', {
        config: config.to_json_string(),
        seed: 1,
      })) as typeof theirs;
      ours = await weightsOf({ seed: 1 });
    });

    it('has the same weights by name and shape, and as many parameters', () => {
      assert.deepEqual(
        Object.fromEntries([...ours].map(([name, { dims }]) => [name, dims]).sort()),
        Object.fromEntries(
          Object.entries(theirs.weights)
            .map(([name, { shape }]) => [name, shape])
            .sort(),
        ),
      );
      using model = new Sam3TrackerModel(config, { device: 'cpu' });
      assert.equal(model.num_parameters(), theirs.parameters);
    });

    it('has the same constants, and draws every other weight from the same distribution', () => {
      let drawn = 0;
      for (const [name, weight] of ours) {
        const [mean, std, min, max] = (['mean', 'std', 'min', 'max'] as const).map(
          (kind) => theirs.weights[name][kind].data[0],
        );
        const own = statistics(weight);
        if (min === max && weight.size > 1) {
          assert.deepEqual([own.min, own.max], [min, max], name);
          continue;
        }
        if (weight.size === 1) continue; // one number has no distribution: pred_obj_score_head's bias
        drawn += 1;
        // Six standard errors of the difference of two estimates.
        const meanError = 6 * std * Math.sqrt(2 / weight.size);
        assert.ok(Math.abs(own.mean - mean) < meanError, `mean of ${name}: ${own.mean} and ${mean}`);
        const stdError = 6 * std * Math.sqrt(1 / weight.size);
        assert.ok(Math.abs(own.std - std) < stdError, `deviation of ${name}: ${own.std} and ${std}`);
        assert.ok(Math.max(-own.min, own.max) < 7 * std, `${name} has a value far out`);
      }
      assert.ok(drawn > 100);
      assert.deepEqual(statistics(ours.get('mask_decoder.pred_obj_score_head.proj_out.bias')!).max, 0);
    });

    it('draws each part with its own deviation, over all of its weights', () => {
      const parts: [part: string, names: RegExp, std: number][] = [
        [
          'backbone',
          /^vision_encoder\.backbone\..*(proj|projection|fc[12])\.weight$|position_embeddings$/,
          DEVIATIONS.backbone,
        ],
        ['neck', /^vision_encoder\.neck\..*weight$/, DEVIATIONS.neck],
        ['prompt encoder', /^prompt_encoder\.(mask_embed\.conv|.*embed\.weight)/, DEVIATIONS.model],
        ['mask decoder', /^mask_decoder\.(?!.*layer_norm).*weight$/, DEVIATIONS.model],
        ['positional embeddings', /\.positional_embedding$/, DEVIATIONS.scale],
      ];
      for (const [part, names, std] of parts) {
        const values = [...ours]
          .filter(([name]) => names.test(name) && !name.endsWith('bias'))
          .flatMap(([, { data }]) => Array.from(data as Float32Array));
        assert.ok(values.length >= 128, part);
        const squares = values.reduce((sum, value) => sum + value ** 2, 0) / values.length;
        const error = 6 * Math.sqrt(1 / (2 * values.length));
        assert.ok(Math.abs(Math.sqrt(squares) / std - 1) < error, `${part}: ${Math.sqrt(squares)}`);
      }
    });

    it('takes 0.02 for a deviation of 0, but not for the position embeddings, as there', async () => {
      const zero = await configuration();
      zero.initializer_range = 0;
      zero.vision_config.backbone_config.initializer_range = 0;
      const expected = (await judge.result('new_model_statistics', {
        config: zero.to_json_string(),
        seed: 1,
      })) as typeof theirs;
      const weights = await weightsOf({ seed: 1 }, zero);
      for (const name of [
        'vision_encoder.backbone.embeddings.position_embeddings',
        'vision_encoder.backbone.layers.0.mlp.fc1.weight',
        'mask_decoder.transformer.layers.0.mlp.proj_in.weight',
      ]) {
        const std = expected.weights[name].std.data[0];
        assert.ok(Math.abs(statistics(weights.get(name)!).std - std) <= 0.05 * std, name);
      }
    });
  });

  describe('by its seed', () => {
    it('has the same weights again, and others for another', async () => {
      const [one, again, other] = await Promise.all([
        weightsOf({ seed: 7 }),
        weightsOf({ seed: 7 }),
        weightsOf({ seed: 8 }),
      ]);
      const equal = (a: typeof one, b: typeof one): string[] =>
        [...a]
          .filter(([name, weight]) => bytesOf(weight).equals(bytesOf(b.get(name)!)))
          .map(([name]) => name);
      assert.equal(equal(one, again).length, one.size);
      assert.ok(equal(one, other).every((name) => /bias$|layer_norm|no_memory/.test(name)));
    });

    it('has others each time without one', async () => {
      const [one, other] = await Promise.all([weightsOf({}), weightsOf({})]);
      const name = 'mask_decoder.conv_s0.weight';
      assert.ok(!bytesOf(one.get(name)!).equals(bytesOf(other.get(name)!)));
    });

    it('has the float32 weights, rounded, in another dtype', async () => {
      const single = (await weightsOf({ seed: 7 })).get('mask_decoder.conv_s0.weight')!;
      const half = (await weightsOf({ seed: 7, dtype: 'bfloat16' })).get('mask_decoder.conv_s0.weight')!;
      assert.equal(half.type, 'bfloat16');
      assert.ok(bytesOf(await single.to('bfloat16')).equals(bytesOf(half)));
    });
  });

  it('computes what the model that was saved of it computes', async () => {
    using model = new Sam3TrackerModel(config, { seed: 3, device: 'cpu' });
    assert.equal(model.dtype, 'float32');
    assert.equal(model.config, config);
    const inputs = { pixel_values: pixels(), input_points: points(1, 2, 2) };
    // Both wait for the same weights.
    const [first, second] = await Promise.all([model(inputs), model(inputs)]);
    assertSameBits(first, second);
    const folder = path.join(scratch, 'saved');
    await model.save_pretrained(folder);
    using loaded = await Sam3TrackerModel.from_pretrained(folder, { device: 'cpu' });
    const again = await loaded(inputs);
    // Weights that lie elsewhere in memory may be summed in another order.
    for (const name of ['pred_masks', 'iou_scores', 'object_score_logits'] as const)
      assert.ok((await difference(again[name], first[name], name)).max < 1e-7, name);
    assert.equal(loaded.num_parameters(), model.num_parameters());
  });

  it('can be disposed of before and while its weights are drawn', async () => {
    const unused = new Sam3TrackerModel(config, { device: 'cpu' });
    unused.dispose();
    await assert.rejects(unused({ pixel_values: pixels() }), { code: 'DISPOSED' });
    const used = new Sam3TrackerModel(config, { device: 'cpu' });
    const running = used.get_image_wide_positional_embeddings();
    used.dispose();
    assert.deepEqual((await running).dims, [1, 64, 24, 24]);
    await assert.rejects(used.get_image_wide_positional_embeddings(), { code: 'DISPOSED' });
  });

  describe('is refused', () => {
    it('for anything but a configuration, in the words of the reference', () => {
      for (const value of [undefined, null, {}, config.to_dict(), config.vision_config])
        assert.throws(() => new Sam3TrackerModel(value as never), {
          name: 'TypeError',
          message:
            'Parameter config in `Sam3TrackerModel(config)` should be an instance of class `PreTrainedConfig`. To create a ' +
            'model from a pretrained model use `model = Sam3TrackerModel.from_pretrained(PRETRAINED_MODEL_NAME)`',
        });
    });

    it('where there are no graphs, with the command that makes them', async () => {
      const other = await configuration();
      other.mask_decoder_config.mlp_dim = 320;
      assert.throws(() => new Sam3TrackerModel(other), {
        name: 'Sam3TrackerError',
        code: 'GRAPHS_NOT_FOUND',
        message: /sam3-tracker export/,
      });
    });

    it('for options that it does not have', async () => {
      const refusals: [options: object, name: string, message: RegExp][] = [
        [{ sede: 1 }, 'TypeError', /"sede".*"seed"/],
        [{ seed: -1 }, 'RangeError', /seed/],
        [{ seed: 1.5 }, 'RangeError', /seed/],
        [{ seed: '1' }, 'TypeError', /seed/],
        [{ dtype: 'int8' }, 'RangeError', /dtype/],
        [{ device: 'gpu' }, 'RangeError', /device/],
        [{ attn_implementation: 'flash' }, 'RangeError', /attn_implementation/],
      ];
      for (const [options, name, message] of refusals)
        assert.throws(() => new Sam3TrackerModel(config, options), { name, message });
      const negative = await configuration();
      negative.initializer_range = -1;
      assert.throws(() => new Sam3TrackerModel(negative), {
        name: 'RangeError',
        message: /initializer_range.*-1/,
      });
    });

    it('on a device that is not there, by each call', async () => {
      using model = new Sam3TrackerModel(config, { device: 'cuda:97' });
      for (let call = 0; call < 2; call++)
        await assert.rejects(model({ pixel_values: pixels() }), {
          name: 'Sam3TrackerError',
          code: 'DEVICE_UNAVAILABLE',
        });
    });
  });
});
