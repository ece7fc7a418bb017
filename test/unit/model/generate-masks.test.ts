/** `Sam3TrackerModel.generate_masks`: what a batch may hold, and that the rest is refused and never waited for. */
import assert from 'node:assert/strict';
import { RawImage, Sam3ImageProcessor, Sam3TrackerModel, Tensor } from '../../../lib';
import type { MaskBatch } from '../../../lib/model/generate-masks';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { KEEP_ALL } from '../../support/mask-generation';

describe('a batch of segment everything', () => {
  let model: Sam3TrackerModel;
  let batch: MaskBatch;

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    const processor = await Sam3ImageProcessor.from_pretrained(BUNDLED_MODEL);
    const { pixel_values } = await processor(new RawImage(new Uint8Array(3 * 64 * 48).fill(90), 64, 48, 3));
    batch = {
      image_embeddings: await model.get_image_embeddings(pixel_values),
      points: Float32Array.of(100, 100, 30, 40),
      multimask_output: true,
      crop_box: [0, 0, 64, 48],
      bounds: [0, 0, 64, 48],
      original_size: [48, 64],
      ...KEEP_ALL,
    };
  });
  after(() => model.dispose());

  it('gives a mask for each of a point, and none without points', async () => {
    assert.equal((await model.generate_masks(batch)).masks.length, 6);
    assert.deepEqual((await model.generate_masks({ ...batch, points: new Float32Array() })).masks, []);
    const crop = { ...batch, crop_box: [10, 20, 11, 21] as MaskBatch['crop_box'] };
    for (const { mask } of (await model.generate_masks(crop)).masks) assert.deepEqual(mask.dims, [48, 64]);
  });

  it('is refused at once where a field is wrong', async () => {
    const sides = [0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 24 + 1, 2 ** 53, -(2 ** 53), '48', null, 48n];
    const boxes = (name: string): [string, unknown][] =>
      sides.flatMap((side, at) => {
        const box: unknown[] = [0, 0, 64, 48];
        // A left or upper side may be 0.
        box[side === 0 ? 2 + (at % 2) : at % 4] = side;
        return [[name, box]];
      });
    const numbers: [string, unknown[]][] = [
      ['pred_iou_thresh', [NaN, Infinity, '0', null]],
      ['stability_score_thresh', [NaN, -Infinity, null]],
      ['stability_score_offset', [NaN, -1, null]],
      ['mask_threshold', [NaN, Infinity, '0']],
      ['max_hole_area', [NaN, -1, null]],
      ['max_sprinkle_area', [Infinity, -1, '1']],
      ['multimask_output', [1, null, 'true']],
      ['signal', [1, {}, 'x']],
      ['points', [[1, 2], new Float64Array(2), new Float32Array(3), Float32Array.of(NaN, 1), null, 'x']],
      ['image_embeddings', [null, [], {}, [null, null, null]]],
      ['crop_box', [[0, 0, 0, 48], [8, 0, 8, 1], [1, 2], [0, 0, 65, 48], [0, 0, 64, 49], null]],
      ['bounds', [[5, 5, 5, 5], [1, 2, 3], null]],
      ['original_size', [[48], [48, 64, 3], null, 48, [2 ** 16, 2 ** 16]]],
    ];
    const wrong: [string, unknown][] = [
      ...sides.flatMap((side): [string, unknown][] => [
        ['original_size', [side, 64]],
        ['original_size', [48, side]],
      ]),
      ...boxes('crop_box'),
      ...boxes('bounds'),
      ...numbers.flatMap(([name, values]) => values.map((value): [string, unknown] => [name, value])),
    ];
    for (const [name, value] of wrong)
      await assert.rejects(
        model.generate_masks({ ...batch, [name]: value }),
        ({ name: kind }: Error) => ['TypeError', 'RangeError'].includes(kind),
        `${name}: ${String(value)}`,
      );
    for (const other of [undefined, null, 5, {}])
      await assert.rejects(model.generate_masks(other as never), TypeError);
  });

  it('is of one image', async () => {
    const doubled = batch.image_embeddings.map(
      ({ size, dims }) => new Tensor('float32', new Float32Array(2 * size), [2, ...dims.slice(1)]),
    );
    await assert.rejects(model.generate_masks({ ...batch, image_embeddings: doubled }), {
      name: 'RangeError',
      message: /one image for image_embeddings/,
    });
  });
});
