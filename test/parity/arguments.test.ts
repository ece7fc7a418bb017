/**
 * Every argument of the model and of post_process_masks against transformers, live, in calls drawn at random: equal
 * results, or the equal error. Those of the image processor and the processor are in their own tests.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Sam3ImageProcessor } from '../../lib/image/image-processing-sam3';
import { addon } from '../../lib/native/binding';
import { Tensor } from '../../lib/tensor';
import { assertSameError, readArray, settled, type WrittenArray } from '../support/image-assertions';
import { Draw, theirs as asArgument } from '../support/image-cases';
import { reference } from '../support/python';
import type { Reference } from '../support/python';
import { checkFloat32 } from './checks';
import { REFUSED_CASES, generatedCases } from './generated-cases';
import { Subject, call } from './subject';
import { readTensors } from '../support/safetensors';

const COUNT = 110;

/** What a case says of each argument, and values that take another path. */
const ARGUMENTS = [
  'sdpa',
  'eager',
  'forward',
  'get_image_features',
  'get_prompt_embeddings',
  'points',
  'labels',
  'boxes',
  'zero_area',
  'masks',
  'embeddings',
  'similarity',
  'target',
  'prompt_dtype',
  'multimask_output true',
  'multimask_output false',
  'output_hidden_states true',
  'output_hidden_states false',
  'output_attentions true',
  'output_attentions false',
];

describe('every argument compared with transformers', () => {
  describe('of the model', () => {
    let judge: Reference;
    let subject: Subject;
    let scratch: string;
    const { threads } = addon().runtimeInfo();

    before(async function () {
      judge = reference(path.join(__dirname, 'model_reference.py'), this);
      addon().setThreads(1);
      scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-arguments-'));
      const folder = path.join(scratch, 'random');
      const files = await judge.result('create', { name: 'three-scales', seed: 3, folder });
      subject = new Subject(files as { model: string; checkpoint: string }, judge, scratch);
    });
    after(async () => {
      addon().setThreads(threads);
      await subject?.dispose();
      if (scratch) await rm(scratch, { recursive: true });
    });

    for (const [seed, { attention, parityCase }] of generatedCases(COUNT).entries())
      it(parityCase.name, async () => {
        const theirs = await subject.theirs('float32', attention, parityCase, seed);
        const ours = await subject.ours('float32', attention, parityCase, theirs);
        await checkFloat32(parityCase.name, ours, theirs);
      });

    it('draws every argument', () => {
      const drawn = generatedCases(COUNT).flatMap(({ attention, parityCase }) => [
        attention,
        parityCase.method,
        ...Object.keys(parityCase),
        ...Object.entries(parityCase.options ?? {}).map(([name, value]) => `${name} ${value}`),
      ]);
      for (const name of ARGUMENTS)
        assert.ok(drawn.filter((one) => one === name).length >= 3, `${name} is drawn less than three times`);
    });

    for (const parityCase of REFUSED_CASES)
      it(`refuses ${parityCase.name}`, async () => {
        const file = path.join(scratch, 'refused.safetensors');
        const { checkpoint } = subject.files;
        const args = { checkpoint, dtype: 'float32', attention: 'sdpa', case: parityCase, seed: 1, file };
        const answer = await judge.call('run', args);
        assert.ok(answer.error, 'transformers takes it');
        await judge.result('write_inputs', args);
        const inputs = new Map(
          [...readTensors(file)]
            .filter(([name]) => name !== 'none')
            .map(([name, tensor]) => [name.replace(/^inputs\./, ''), tensor]),
        );
        const model = await subject.model('float32', 'sdpa');
        assertSameError(await settled(call(model, parityCase, inputs)), answer, parityCase.name);
      });
  });

  describe('of post_process_masks', () => {
    let judge: Reference;
    const processor = new Sam3ImageProcessor();

    before(function () {
      judge = reference(path.join(__dirname, '..', 'support', 'image_reference.py'), this);
    });

    /** Logits as smooth as a model's: noise, so that every pixel counts. */
    function logits(draw: Draw, dims: number[]): Float32Array<ArrayBuffer> {
      const count = dims.reduce((product, dim) => product * dim, 1);
      return Float32Array.from({ length: count }, () => draw.random() * 20 - 10);
    }

    for (let index = 0; index < 60; index++)
      it(`generated case ${index}`, async () => {
        const draw = new Draw(1000 + index);
        const low = [draw.integer(1, 96), draw.integer(1, 96)];
        const masks = Array.from({ length: draw.integer(1, 2) }, () => {
          const dims = [draw.integer(1, 2), draw.integer(1, 3), ...low];
          return { kind: 'array' as const, dtype: 'float32' as const, dims, data: logits(draw, dims) };
        });
        const sizes = masks.map((): [number, number] => [draw.side(2000), draw.side(3000)]);
        if (index === 0) sizes[0] = [2000, 3000];
        if (index === 1) sizes[0] = [1, 1];
        const options: Record<string, unknown> = {};
        if (draw.chance(0.5)) options.mask_threshold = draw.random() * 4 - 2;
        if (draw.chance(0.5)) options.binarize = draw.chance(0.5);
        if (draw.chance(0.3)) options.apply_non_overlapping_constraints = draw.chance(0.8);
        // Ignored by transformers: only the values that do nothing agree.
        if (draw.chance(0.3)) Object.assign(options, { max_hole_area: 0, max_sprinkle_area: 0 });
        const expected = (await judge.result('post_process_masks', {
          masks: masks.map(asArgument),
          sizes,
          options,
        })) as WrittenArray[];
        const ours = await processor.post_process_masks(
          masks.map(({ data, dims }) => new Tensor('float32', data, dims)),
          sizes,
          options,
        );
        assert.equal(ours.length, expected.length);
        ours.forEach((mask, image) => {
          assert.deepEqual([mask.type, [...mask.dims]], [expected[image].dtype, expected[image].dims]);
          const theirs = readArray(expected[image]);
          assert.equal(theirs.length, mask.size);
          const own = mask.data as Uint8Array | Float32Array;
          let wrong = 0;
          for (let pixel = 0; pixel < theirs.length; pixel++)
            if (
              mask.type === 'bool'
                ? own[pixel] !== theirs[pixel]
                : Math.abs(own[pixel] - theirs[pixel]) > 1e-4
            )
              wrong += 1;
          assert.ok(
            wrong <= (mask.type === 'bool' ? mask.size / 10_000 : 0),
            `${wrong} of ${mask.size} pixels`,
          );
          mask.dispose();
        });
      });
  });
});
