/** Segment everything on a GPU beside the CPU; skipped, with the reason, where there is no GPU. */
import assert from 'node:assert/strict';
import path from 'node:path';
import {
  mask_area,
  mask_iou,
  pipeline,
  RawImage,
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  type Box,
  type GeneratedMask,
  type ImageSize,
  type MaskBatch,
  type MaskGenerationOptions,
  type MaskGenerationOutput,
  type MaskGenerationPipeline,
} from '../../../lib/index';
import { batchMemory } from '../../../lib/model/generate-masks';
import { addon } from '../../../lib/native/binding';
import { BUNDLED_MODEL, BUNDLED_SIDE } from '../../support/bundled-model';
import { KEEP_ALL } from '../../support/mask-generation';
import { randomNumbers } from '../../support/random';

const COFFEE = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'coffee.png');
const DEVICES = ['cuda', 'cpu'] as const;
/** What TF32, to which a GPU's convolutions round, may change: of a score, and of the pixels of masks. */
const SCORE = 0.01;
const EQUAL_PIXELS = 0.995;

const ALL = { ...KEEP_ALL, multimask_output: true };

/** Pixels in which two masks of one size differ. */
function differing(a: GeneratedMask['mask'], b: GeneratedMask['mask']): number {
  const union = (mask_area(a) + mask_area(b)) / (1 + mask_iou(a, b));
  return Math.round(union * (1 - mask_iou(a, b)));
}

const apart = (a: Box, b: Box): number => Math.max(...a.map((side, index) => Math.abs(side - b[index])));

describe('segment everything on a GPU', () => {
  const models: Sam3TrackerModel[] = [];

  before(async function () {
    if (addon().runtimeInfo().cudaDevices === 0) {
      process.stdout.write('    (skipped: libtorch sees no CUDA device)\n');
      return this.skip();
    }
    for (const device of DEVICES)
      models.push(await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device, dtype: 'float32' }));
  });
  after(() => models.forEach((model) => model.dispose()));

  describe('gives all masks of a batch as the CPU does', () => {
    const [height, width] = [400, 600];
    const whole: Box = [0, 0, width, height];
    const crop: Box = [130, 70, 420, 400];
    let embeddings: MaskBatch['image_embeddings'][];

    before(async () => {
      const processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
      const { pixel_values } = await processor({ images: await RawImage.read(COFFEE) });
      embeddings = await Promise.all(models.map((model) => model.get_image_embeddings(pixel_values)));
    });
    after(() => embeddings?.flat().forEach((tensor) => tensor.dispose()));

    const cases: [string, Partial<MaskBatch>][] = [
      ['as they are', {}],
      ['with holes filled', { max_hole_area: 20 }],
      ['without sprinkles', { max_sprinkle_area: 20 }],
      [
        'without either, up to more than the labels spread unasked',
        { max_hole_area: 500, max_sprinkle_area: 500 },
      ],
      ['at another threshold', { mask_threshold: 0.7, max_hole_area: 5, max_sprinkle_area: 5 }],
      ['of a crop', { crop_box: crop, bounds: crop, max_hole_area: 20, max_sprinkle_area: 20 }],
      ['one for each point', { multimask_output: false }],
    ];
    for (const [name, options] of cases)
      for (const count of [3, 64])
        it(`${name}, ${count} points`, async () => {
          const next = randomNumbers(count);
          const points = Float32Array.from({ length: 2 * count }, () => next() * BUNDLED_SIDE);
          const batch = { ...ALL, points, crop_box: whole, bounds: whole, ...options };
          const original_size: ImageSize = [height, width];
          const [ours, expected] = await Promise.all(
            models.map(async (model, index) => {
              const image_embeddings = embeddings[index];
              return (await model.generate_masks({ ...batch, image_embeddings, original_size })).masks;
            }),
          );
          const masksOfPoint = batch.multimask_output ? 3 : 1;
          assert.equal(expected.length, count * masksOfPoint);
          assert.deepEqual(
            ours.map(({ point }) => point),
            expected.map(({ point }) => point),
          );
          let wrong = 0;
          let sameBoxes = 0;
          ours.forEach((mask, index) => {
            const other = expected[index];
            assert.ok(Math.abs(mask.score - other.score) < SCORE, `${mask.score} and ${other.score}`);
            wrong += differing(mask.mask, other.mask);
            if (apart(mask.box, other.box) <= 1) sameBoxes++;
          });
          const pixels = ours.length * height * width;
          assert.ok(wrong <= (1 - EQUAL_PIXELS) * pixels, `${wrong} of ${pixels} pixels differ`);
          // A sprinkle of one pixel that TF32 moves over the threshold moves a side of its box.
          assert.ok(sameBoxes >= 0.8 * ours.length, `${sameBoxes} of ${ours.length} boxes are the same`);
        });
  });

  describe('gives the masks of a photo as the CPU does', () => {
    let generators: MaskGenerationPipeline[];
    before(async () => {
      generators = await Promise.all(
        DEVICES.map((device) => pipeline('mask-generation', BUNDLED_MODEL, { device, dtype: 'float32' })),
      );
    });
    after(() => generators?.forEach((generator) => generator.dispose()));

    type Found = MaskGenerationOutput;

    /** The part of the masks that have a partner among the others: nearly the same pixels, box and score. */
    function partOfMasks(ours: Found, others: Found): number {
      const partners = ours.masks.filter((mask, index) =>
        others.masks.some(
          (other, at) =>
            mask_iou(mask, other) > 0.95 &&
            apart(ours.bounding_boxes![index], others.bounding_boxes![at]) <= 12 &&
            Math.abs(ours.scores[index] - others.scores[at]) < SCORE,
        ),
      );
      return partners.length / ours.masks.length;
    }

    async function assertAlike(options: MaskGenerationOptions<'binary'>, least: number): Promise<Found> {
      const [ours, expected] = await Promise.all(
        generators.map((generator) => generator(COFFEE, { ...options, output_bboxes_mask: true })),
      );
      assert.ok(ours.masks.length >= least, `${ours.masks.length} masks`);
      // A mask at a threshold passes on one device only, and which of two like masks stays may differ.
      for (const [one, other] of [
        [ours, expected],
        [expected, ours],
      ])
        // prettier-ignore
        assert.ok(partOfMasks(one, other) >= 0.85, `${partOfMasks(one, other)} of ${one.masks.length} masks`);
      return ours;
    }

    const LOW = { pred_iou_thresh: 0.3, stability_score_thresh: 0.5, points_per_crop: 16 };

    it('by its own thresholds, which fill holes and remove sprinkles', () =>
      assertAlike({ points_per_crop: 16 }, 3));

    it('with lower thresholds, holes and sprinkles left', () =>
      assertAlike({ ...LOW, max_hole_area: 0, max_sprinkle_area: 0 }, 8));

    it('with a layer of crops', () => assertAlike({ ...LOW, crops_n_layers: 1 }, 10));

    it("with transformers' grid and suppression", () =>
      assertAlike({ ...LOW, reference: 'transformers' }, 8));

    it('within a limit on memory, the same as without', async () => {
      const options = { ...LOW, points_per_batch: null };
      const sizes: number[] = [];
      let done = 0;
      const limited = await assertAlike(
        { ...options, max_memory: Math.ceil(batchMemory(models[0], 0).least * 10) },
        8,
      );
      const free = await assertAlike(options, 8);
      assert.ok(partOfMasks(limited, free) >= 0.85);
      await generators[0](COFFEE, {
        ...options,
        max_memory: Math.ceil(batchMemory(models[0], 0).least * 10),
        progress_callback: ({ points_done }) => {
          if (points_done > done) sizes.push(points_done - done);
          done = points_done;
        },
      });
      assert.deepEqual([Math.max(...sizes), done], [10, 256]);
    });
  });
});
