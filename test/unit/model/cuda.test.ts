/**
 * What only a GPU shows; skipped, with the reason, where there is none.
 * `SAM3_TRACKER_PARITY_DEVICE=cuda:0 npm run test:parity` compares numbers with transformers on the same GPU.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor, Tensor } from '../../../lib/index';
import type { DTypeOption } from '../../../lib/core/types';
import type { Sam3TrackerModelInputs } from '../../../lib/model/inputs';
import type { Sam3TrackerImageSegmentationOutput } from '../../../lib/model/outputs';
import { runSelfTest } from '../../../lib/cli/commands/self-test';
import { addon } from '../../../lib/native/binding';
import { agreement, difference } from '../../parity/compare';
import {
  assertSameBits,
  boxes,
  BUNDLED_MODEL,
  BUNDLED_SIDE,
  bytesOf,
  labels,
  pixels,
  points,
  randomTensor,
} from '../../support/bundled-model';
import { LIBRARY, runChild } from '../../support/child';

const COFFEE = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'coffee.png');
/** Convolutions round to TF32 on a GPU, in transformers too; as a part of the output's scale. */
const TF32 = 5e-3;
/** What TF32 may change of a mask. */
const EQUAL_PIXELS = 0.995;

type Output = Sam3TrackerImageSegmentationOutput;

const click = (
  objects = 1,
  count = 1,
  seed = 2,
): Pick<Sam3TrackerModelInputs, 'input_points' | 'input_labels'> => ({
  input_points: points(1, objects, count, seed),
  input_labels: labels([1, objects, count]),
});

describe('on a GPU', () => {
  let model: Sam3TrackerModel;
  let onCpu: Sam3TrackerModel;

  before(async function () {
    if (addon().runtimeInfo().cudaDevices === 0) {
      process.stdout.write('    (skipped: libtorch sees no CUDA device)\n');
      return this.skip();
    }
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cuda', dtype: 'float32' });
    onCpu = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu', dtype: 'float32' });
  });
  after(() => {
    model?.dispose();
    onCpu?.dispose();
  });

  async function assertClose(ours: Output, other: Output): Promise<void> {
    for (const name of ['pred_masks', 'iou_scores', 'object_score_logits'] as const) {
      const found = await difference(await ours[name].cpu(), await other[name].cpu(), name);
      assert.ok(found.max <= TF32 * found.scale, `${name}: ${found.max} of ${found.scale}`);
    }
  }

  it('is taken by default, and model and results say so', async () => {
    using found = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL);
    assert.equal(found.device, 'cuda:0');
    assert.equal(model.device, 'cuda:0');
    const output = await model({ pixel_values: pixels(), ...click() });
    assert.equal(output.pred_masks.device, 'cuda:0');
  });

  it('refuses a device that is not there, by its number', () =>
    assert.rejects(Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cuda:97' }), {
      code: 'DEVICE_UNAVAILABLE',
      message: /cuda:97 is not available: this machine has \d+ CUDA devices/,
    }));

  const PROMPTS: [string, () => Partial<Sam3TrackerModelInputs>][] = [
    ['a point', () => click()],
    ['three points', () => click(1, 3)],
    ['four objects', () => click(4)],
    ['five objects', () => click(5)],
    ['a box', () => ({ input_boxes: boxes() })],
    ['a point and a box', () => ({ ...click(), input_boxes: boxes() })],
    ['a mask', () => ({ input_masks: randomTensor([1, 1, 96, 96], 5, [-8, 8]) })],
    [
      'a mask of another size and a point',
      () => ({ ...click(), input_masks: randomTensor([1, 1, 70, 90], 5, [-8, 8]) }),
    ],
    ['no labels', () => ({ input_points: points() })],
    ['nothing', () => ({})],
  ];

  for (const multimask_output of [true, false])
    for (const [name, prompts] of PROMPTS)
      it(`gives the CPU's numbers for ${name}, and the same bits when captured, multimask_output: ${multimask_output}`, async () => {
        const image_embeddings = await model.get_image_embeddings(pixels());
        const inputs = { image_embeddings, ...prompts(), multimask_output };
        const first = await (await model(inputs)).to('cpu');
        const embeddings = await Promise.all(image_embeddings.map((level) => level.cpu()));
        await assertClose(first, await onCpu({ ...inputs, image_embeddings: embeddings }));
        // The second call captures and replays, the third replays.
        for (let call = 0; call < 2; call++) assertSameBits(await (await model(inputs)).to('cpu'), first);
      });

  it('replays what was captured with other points, labels and embeddings, and keeps earlier results', async () => {
    const images = [pixels(), randomTensor([1, 3, BUNDLED_SIDE, BUNDLED_SIDE], 9)];
    const calls = [];
    for (const image of images) {
      const image_embeddings = await model.get_image_embeddings(image);
      for (const seed of [3, 4, 5])
        for (const label of [1, 0])
          calls.push({
            image_embeddings,
            input_points: points(1, 1, 2, seed),
            input_labels: labels([1, 1, 2], label),
          });
    }
    const outputs: Output[] = [];
    for (const call of calls) outputs.push(await model(call));
    using other = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cuda', dtype: 'float32' });
    const seen = new Set<string>();
    for (const [index, call] of calls.entries()) {
      // Another number of points in between each time: nothing is captured twice in a row.
      await other({
        ...call,
        input_points: points(1, 1, 3 + index),
        input_labels: labels([1, 1, 3 + index]),
      });
      const expected = await onCpu({
        ...call,
        image_embeddings: await Promise.all(call.image_embeddings.map((level) => level.cpu())),
      });
      await assertClose(outputs[index], expected);
      seen.add(bytesOf(await outputs[index].pred_masks.cpu()).toString('base64'));
    }
    assert.equal(seen.size, calls.length, 'some results are the same');
  });

  it('records more shapes than it keeps', async () => {
    const image_embeddings = await model.get_image_embeddings(pixels());
    const inputs = Array.from({ length: 12 }, (_, index) => ({ image_embeddings, ...click(1, index + 1) }));
    const first = [];
    for (const one of inputs) first.push(await (await model(one)).to('cpu'));
    for (let round = 0; round < 3; round++)
      for (const [index, one] of inputs.entries()) {
        await model(one);
        assertSameBits(await (await model(one)).to('cpu'), first[index]);
      }
  });

  it('computes clicks on two models and images at the same time', async () => {
    using other = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, {
      device: 'cuda',
      dtype: 'bfloat16',
    });
    const processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    const image = await RawImage.read(COFFEE);
    const embeddings = await Promise.all([model, other].map((one) => one.get_image_embeddings(pixels())));
    const expected = await Promise.all(
      [model, other].map(async (one, index) =>
        (await one({ image_embeddings: embeddings[index], ...click(2, 2) })).to('cpu'),
      ),
    );
    const work = Array.from({ length: 40 }, async (_, call) => {
      if (call % 4 === 3) return void (await processor(image, { device: 'cuda' }));
      const index = call % 2;
      const output = await [model, other][index]({ image_embeddings: embeddings[index], ...click(2, 2) });
      assertSameBits(await output.to('cpu'), expected[index]);
    });
    await Promise.all(work);
  });

  it('refuses labels without an embedding and coordinates that are no numbers, and goes on', async () => {
    const pixel_values = pixels();
    for (const device of ['cpu', 'cuda'] as const) {
      const moved = async (tensor: Tensor): Promise<Tensor> => tensor.to(device);
      await assert.rejects(
        model({ pixel_values, input_points: points(), input_labels: await moved(labels([1, 1, 1], 7)) }),
        /labels -10, -1 or 0 to 3/,
      );
      const nowhere = new Tensor('float32', [NaN, 1], [1, 1, 1, 2]);
      await assert.rejects(model({ pixel_values, input_points: await moved(nowhere) }), /finite coordinates/);
    }
    await model({ pixel_values, ...click() });
  });

  for (const dtype of ['bfloat16', 'float16'] as const)
    it(`loads ${dtype} weights as the CPU does, and moves them both ways`, async () => {
      const folder = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-cuda-'));
      try {
        const load = (device: 'cpu' | 'cuda:0', as: DTypeOption): Promise<Sam3TrackerModel> =>
          Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device, dtype: as });
        using loaded = await load('cuda:0', dtype);
        using moved = await load('cpu', 'float32');
        using back = await load('cuda:0', dtype);
        using converted = await load('cpu', 'float32');
        await moved.to('cuda', dtype);
        await back.to('cpu');
        await converted.to(dtype);
        const files: Buffer[] = [];
        for (const [index, one] of [loaded, moved, back, converted].entries()) {
          assert.deepEqual([one.device, one.dtype], [index < 2 ? 'cuda:0' : 'cpu', dtype]);
          await one.save_pretrained(path.join(folder, String(index)));
          files.push(await readFile(path.join(folder, String(index), 'model.safetensors')));
        }
        for (const file of files) assert.ok(file.equals(files[0]), 'weights differ');
        const inputs = { pixel_values: pixels(), ...click() };
        const output = await loaded(inputs);
        assert.equal(output.pred_masks.type, dtype);
        assertSameBits(await output.to('cpu'), await (await moved(inputs)).to('cpu'));
      } finally {
        await rm(folder, { recursive: true });
      }
    });

  it('segments a photo like the CPU: images, clicks and masks', async () => {
    const image = await RawImage.read(COFFEE);
    const processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    const run = async (one: Sam3TrackerModel): Promise<Tensor> => {
      const { device } = one;
      const prompts = { input_points: [[[[235, 215]]]], input_labels: [[[1]]] };
      const inputs = await processor({ images: image, ...prompts, device });
      assert.equal(inputs.pixel_values.device, device);
      const output = await one.predict_masks({ ...inputs, multimask_output: false });
      const [masks] = await processor.post_process_masks(output.pred_masks, inputs.original_sizes);
      assert.ok(bytesOf(await masks.cpu()).equals(bytesOf(await output.masks[0].cpu())));
      return masks.cpu();
    };
    assert.ok(agreement([await run(model)], [await run(onCpu)]) >= EQUAL_PIXELS);
  });

  it('makes the masks that the CPU makes of the same logits, holes and sprinkles too', async () => {
    const processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    const logits = randomTensor([1, 6, 3, 96, 96], 8, [-4, 4]);
    for (const options of [
      {},
      { max_hole_area: 20, max_sprinkle_area: 20 },
      { apply_non_overlapping_constraints: true },
    ]) {
      const [ours] = await processor.post_process_masks(await logits.to('cuda'), [[431, 640]], options);
      const [expected] = await processor.post_process_masks(logits, [[431, 640]], options);
      assert.equal(ours.device, 'cuda:0');
      assert.ok(agreement([await ours.cpu()], [expected]) >= 0.9999);
    }
  });

  it('runs the self-test of sam3-tracker doctor', async () => {
    const { results } = await runSelfTest();
    assert.deepEqual(
      results.map(({ device, problem }) => [device, problem]),
      [
        ['cpu', null],
        ['cuda:0', null],
      ],
    );
  });

  it('ends cleanly with calls in flight: by itself, by process.exit() and in a worker', async () => {
    const load = `const { Sam3TrackerModel, Tensor } = require(${JSON.stringify(LIBRARY)});
      const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', { device: 'cuda' });
      const pixel_values = new Tensor('float32', new Float32Array(3 * ${BUNDLED_SIDE} ** 2), [1, 3, ${BUNDLED_SIDE}, ${BUNDLED_SIDE}]);
      const run = () => model({ pixel_values });`;
    const worker = `const { Worker } = require('node:worker_threads');
      const source = ${JSON.stringify(`require('tsx/cjs'); (async () => { ${load} for (let i = 0; i < 3; i++) await run(); run(); })();`)};
      new Worker(source, { eval: true }).on('exit', (code) => console.log(code));`;
    for (const [source, stdout] of [
      [`${load} await run(); await run(); run(); console.log('last');`, 'last\n'],
      [`${load} await run(); run(); run(); console.log('exit'); process.exit(3);`, 'exit\n'],
      [worker, '0\n'],
    ]) {
      const ended = await runChild(source, 100);
      assert.deepEqual(
        { ...ended, stderr: ended.stderr.trim() },
        { code: source.includes('exit(3)') ? 3 : 0, signal: null, stdout, stderr: '' },
      );
    }
  });
});
