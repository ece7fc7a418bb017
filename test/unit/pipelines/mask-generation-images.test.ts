import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { RawImage, mask_area, pipeline, type MaskGenerationPipeline } from '../../../lib/index';
import { FEW, makeImage } from '../../support/mask-generation';

const PHOTOS = path.join(__dirname, '..', '..', '..', 'examples', 'images');

describe('mask generation with the bundled model', () => {
  let generator: MaskGenerationPipeline;
  before(async () => {
    generator = await pipeline('mask-generation', 'sam3-tracker-tiny', { device: 'cpu' });
  });
  after(() => generator.dispose());

  describe('by its own thresholds', () => {
    const photos = readdirSync(PHOTOS).filter((name) => !name.endsWith('.md'));

    it('has four photos to look at', () => assert.equal(photos.length, 4));

    for (const name of photos)
      it(`finds something in ${name}`, async () => {
        const image = await RawImage.read(path.join(PHOTOS, name));
        const { masks, scores, bounding_boxes } = await generator(image, {
          points_per_crop: 16,
          output_bboxes_mask: true,
        });
        assert.ok(masks.length >= 3, `${masks.length} masks`);
        // A mask of nearly all there is, the background, says nothing.
        const parts = masks.map((mask) => mask_area(mask) / (image.width * image.height));
        assert.ok(parts.filter((part) => part <= 0.95).length >= 2, `parts of the image: ${parts.join()}`);
        if (name === 'rocket.jpg')
          assert.ok(
            bounding_boxes!.some(([x1, y1, x2, y2]) => x1 > 280 && y1 < 150 && x2 < 360 && y2 > 380),
            'no mask of the rocket itself',
          );
        assert.equal(scores.length, masks.length);
        bounding_boxes!.forEach(([x1, y1, x2, y2], index) => {
          assert.ok(0 <= x1 && x1 <= x2 && x2 < image.width, `columns ${x1} to ${x2}`);
          assert.ok(0 <= y1 && y1 <= y2 && y2 < image.height, `rows ${y1} to ${y2}`);
          assert.deepEqual(masks[index].dims, [image.height, image.width]);
          assert.ok(mask_area(masks[index]) > 0);
        });
      });
  });

  describe('on images that are smaller than the grid', () => {
    for (const [width, height] of [
      [7, 5],
      [1, 1],
    ])
      for (const crops_n_layers of [0, 1])
        for (const reference of crops_n_layers === 0 ? ([null, 'transformers'] as const) : [null])
          it(`${width} x ${height}, ${crops_n_layers} layers of crops, reference: ${reference}`, async () => {
            const options = { ...FEW, points_per_crop: 9, crops_n_layers, reference };
            const lists = { output_rle_mask: true, output_bboxes_mask: true };
            let asked = 0;
            // All masks, and those by the thresholds.
            for (const thresholds of [{ pred_iou_thresh: 0, stability_score_thresh: 0 }, {}]) {
              const found = await generator(makeImage(width, height), {
                ...options,
                ...thresholds,
                ...lists,
                progress_callback: ({ points_done }) => (asked = points_done),
              });
              assert.ok(asked >= 81, `asked about ${asked} points`);
              // transformers' boxes end at the last pixel: of one pixel they have no area, and nothing is suppressed.
              if (reference === null)
                assert.ok(found.masks.length < asked, `${found.masks.length} masks of ${asked} points`);
              for (const list of [found.scores, found.rle_mask!, found.bounding_boxes!])
                assert.equal(list.length, found.masks.length);
              found.masks.forEach((mask, index) => {
                assert.deepEqual(mask.dims, [height, width]);
                const [x1, y1, x2, y2] = found.bounding_boxes![index];
                assert.ok(0 <= x1 && x1 <= x2 && x2 < width && 0 <= y1 && y1 <= y2 && y2 < height);
              });
            }
          });
  });
});
