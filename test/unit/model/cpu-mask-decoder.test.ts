/** The decoder's quick way (float32 on the CPU): what it keeps of images, and how it shares out objects. */
import assert from 'node:assert/strict';
import path from 'node:path';
import { Sam3TrackerModel, Tensor } from '../../../lib/index';
import type { Sam3TrackerImageSegmentationOutput } from '../../../lib/index';
import type { Sam3TrackerModelInputs } from '../../../lib/model/inputs';
import { difference, sameBits } from '../../parity/compare';
import { LIBRARY, runChild } from '../../support/child';
import { BUNDLED_MODEL, BUNDLED_SIDE, randomTensor } from '../../support/bundled-model';

/** The project's limit for the decoder, as a part of the output's scale. */
const LIMIT = 1e-5;
const LEVELS = [
  [8, 96, 96],
  [16, 48, 48],
  [64, 24, 24],
];
/** Object score, IoU, four masks; a point and what pads it. */
const TOKENS = 8;

const embeddingsOf = (images: number, seed: number): Tensor[] =>
  LEVELS.map((dims, level) => randomTensor([images, ...dims], seed + level));
const pointsOf = (images: number, objects: number, seed = 7): Tensor =>
  randomTensor([images, objects, 1, 2], seed, [0, BUNDLED_SIDE]);

describe('decoder of many objects', () => {
  let model: Sam3TrackerModel;

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu', dtype: 'float32' });
  });
  after(() => model.dispose());

  /** The same call by the graph's plain method, which an attention mask of zeros asks for. */
  const plainly = (inputs: Sam3TrackerModelInputs): Promise<Sam3TrackerImageSegmentationOutput> =>
    model({
      ...inputs,
      attention_similarity: new Tensor('float32', new Float32Array(TOKENS * 24 * 24), [1, 1, TOKENS, 576]),
    });

  async function assertClose(
    ours: Sam3TrackerImageSegmentationOutput,
    plain: Sam3TrackerImageSegmentationOutput,
  ): Promise<void> {
    for (const name of ['pred_masks', 'iou_scores', 'object_score_logits'] as const) {
      const found = await difference(ours[name], plain[name], name);
      assert.ok(found.max <= LIMIT * found.scale, `${name}: ${found.max} of ${found.scale}`);
      assert.ok(found.max > 0 || name !== 'pred_masks', 'both went the same way');
    }
  }

  for (const [images, objects] of [
    [1, 1],
    [1, 5],
    [3, 2],
    [2, 9],
  ])
    it(`gives the plain method's numbers for ${images} images with ${objects} objects`, async () => {
      const inputs = { image_embeddings: embeddingsOf(images, 1), input_points: pointsOf(images, objects) };
      await assertClose(await model(inputs), await plainly(inputs));
    });

  it('gives them for masks as prompts, one an image and one an object', async () => {
    const image_embeddings = embeddingsOf(2, 11);
    const input_points = pointsOf(2, 3);
    await model({ image_embeddings, input_points });
    for (const masks of [1, 3]) {
      const input_masks = randomTensor([2, masks, 96, 96], 5, [-8, 8]);
      const inputs = { image_embeddings, input_points, input_masks };
      await assertClose(await model(inputs), await plainly(inputs));
    }
  });

  it('gives them on processors with less, or without kernels', async () => {
    const shape = [1, 5, 3, 96, 96];
    const source = (method: string): string => `
      const { Sam3TrackerModel, Tensor } = require(${JSON.stringify(LIBRARY)});
      const { randomTensor } = require(${JSON.stringify(path.join(__dirname, '..', '..', 'support', 'bundled-model'))});
      const model = await Sam3TrackerModel.from_pretrained(${JSON.stringify(BUNDLED_MODEL)}, { device: 'cpu', dtype: 'float32' });
      const levels = ${JSON.stringify(LEVELS)};
      const image_embeddings = levels.map((dims, level) => randomTensor([1, ...dims], 41 + level));
      const input_points = randomTensor([1, 5, 1, 2], 7, [0, ${BUNDLED_SIDE}]);
      ${method}
      const { data } = (await model({ image_embeddings, input_points, ...more })).pred_masks;
      process.stdout.write(Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('base64'));`;
    const masksOf = async (capability: string, method = 'const more = {};'): Promise<Tensor> => {
      const { code, stdout, stderr } = await runChild(source(method), 150, {
        ATEN_CPU_CAPABILITY: capability,
      });
      assert.equal(code, 0, stderr);
      return new Tensor(
        'float32',
        new Float32Array(new Uint8Array(Buffer.from(stdout, 'base64')).buffer),
        shape,
      );
    };
    const plain = await masksOf(
      'default',
      `const more = { attention_similarity: new Tensor('float32', new Float32Array(${TOKENS} * 576), [1, 1, ${TOKENS}, 576]) };`,
    );
    for (const capability of ['default', 'avx2']) {
      const found = await difference(await masksOf(capability), plain, capability);
      assert.ok(
        found.max > 0 && found.max <= LIMIT * found.scale,
        `${capability}: ${found.max} of ${found.scale}`,
      );
    }
  });

  it('gives the same again for embeddings that it knows', async () => {
    const inputs = { image_embeddings: embeddingsOf(1, 21), input_points: pointsOf(1, 3) };
    const first = await model(inputs);
    await model({ ...inputs, image_embeddings: embeddingsOf(1, 31) });
    const again = await model(inputs);
    assert.ok(sameBits(again.pred_masks, first.pred_masks));
  });

  it('notices what is written to embeddings between two clicks', async () => {
    const image_embeddings = embeddingsOf(1, 41);
    const inputs = { image_embeddings, input_points: pointsOf(1, 1) };
    const before = await model(inputs);
    for (const level of image_embeddings) {
      const data = level.data as Float32Array;
      data[data.length - 1] += 3;
    }
    const after = await model(inputs);
    const copies = image_embeddings.map(({ data, dims }) => new Tensor('float32', data.slice(), dims));
    const fresh = await model({ ...inputs, image_embeddings: copies });
    assert.ok(!sameBits(after.pred_masks, before.pred_masks));
    assert.ok(sameBits(after.pred_masks, fresh.pred_masks));
  });

  it('decodes objects together as each alone', async () => {
    const image_embeddings = embeddingsOf(1, 51);
    const input_points = pointsOf(1, 7);
    const together = await model({ image_embeddings, input_points });
    for (let object = 0; object < 7; object++) {
      const alone = await model({
        image_embeddings,
        input_points: input_points.slice(null, [object, object + 1]),
      });
      const found = await difference(
        together.pred_masks.slice(null, [object, object + 1]),
        alone.pred_masks,
        'masks',
      );
      assert.ok(found.max <= LIMIT * found.scale, `object ${object}: ${found.max} of ${found.scale}`);
    }
  });
});
