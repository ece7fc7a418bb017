import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import {
  MaskGenerationError,
  type MaskGenerationPipeline,
  RLEMask,
  RawImage,
  mask_area,
  mask_iou,
  mask_to_box,
  mask_to_polygons,
  pipeline,
  rle_to_mask,
  type Box,
  type MaskGenerationOptions,
  type MaskGenerationProgress,
} from '../../../lib/index';
import { batchMemory } from '../../../lib/model/generate-masks';
import { FEW, FindingStub, ModelStub, ask, makeImage, pipelineOf } from '../../support/mask-generation';

const PHOTO = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'astronaut.png');

/** How far the outermost points stay from the left, top, right and bottom border. */
function margins(points: number[][], { width, height }: RawImage): number[] {
  const [xs, ys] = [points.map(([x]) => x), points.map(([, y]) => y)];
  return [Math.min(...xs), Math.min(...ys), width - Math.max(...xs), height - Math.max(...ys)];
}

describe('mask generation', () => {
  describe('the points', () => {
    for (const [width, height] of [
      [300, 100],
      [100, 300],
      [200, 200],
      [7, 5],
    ])
      it(`reach within half a step of every border of ${width} x ${height}`, async () => {
        const image = makeImage(width, height);
        const { points } = await ask(image, { points_per_crop: 8 });
        assert.equal(points.length, 64);
        const half = [width / 16, height / 16, width / 16, height / 16];
        margins(points, image).forEach((margin, side) => assert.ok(Math.abs(margin - half[side]) < 1e-3));
      });

    it("leave a part out with reference: 'transformers', as there", async () => {
      const image = makeImage(300, 100);
      const { points } = await ask(image, { points_per_crop: 8, reference: 'transformers' });
      const bottom = margins(points, image)[3];
      assert.ok(bottom > 60, `only ${bottom} pixels are left out`);
    });

    it('go to the model in batches, the last of them smaller', async () => {
      const sizes = async (options: MaskGenerationOptions): Promise<number[]> =>
        (await ask(makeImage(40, 30), { points_per_crop: 5, ...options })).batches.map(
          ({ points }) => points.length / 2,
        );
      assert.deepEqual(await sizes({ points_per_batch: 10 }), [10, 10, 5]);
      assert.deepEqual(await sizes({}), [25]);
      assert.deepEqual(await sizes({ points_per_batch: null }), [25]);
      const some = await sizes({ max_memory: 5e6 });
      assert.ok(some.length > 1 && some[0] < 25, `batches of ${some.join(', ')}`);
      // One by one, and with room for all that a decoder takes at once.
      const { least } = batchMemory(new ModelStub() as never, 0);
      assert.deepEqual(new Set(await sizes({ max_memory: Math.ceil(least) })), new Set([1]));
      assert.deepEqual(await sizes({ max_memory: 1e9 }), [25]);
    });

    it('may be given', async () => {
      const image = makeImage(200, 100);
      const { points } = await ask(image, { point_grids: [[[0, 0], [0.25, 1]]] }); // prettier-ignore
      assert.deepEqual(points, [
        [0, 0],
        [50, 100],
      ]);
    });
  });

  describe('crops', () => {
    it('are those of SAM, with fewer points in each layer', async () => {
      const image = makeImage(300, 200);
      const stub = await ask(image, {
        crops_n_layers: 2,
        points_per_crop: 9,
        crop_n_points_downscale_factor: 2,
      });
      const crops = stub.batches.map(({ crop_box, points }) => [...crop_box, points.length / 2]);
      assert.equal(stub.encoded, 1 + 4 + 16);
      assert.deepEqual(crops.slice(0, 6), [
        // The image's 81 points take two batches.
        [0, 0, 300, 200, 64],
        [0, 0, 300, 200, 17],
        [0, 0, 184, 134, 16],
        [0, 66, 184, 200, 16],
        [116, 0, 300, 134, 16],
        [116, 66, 300, 200, 16],
      ]);
      assert.ok(crops.slice(6).every(([, , , , points]) => points === 4));
      for (const { bounds, original_size } of stub.batches) {
        assert.deepEqual(bounds, [0, 0, 300, 200]);
        assert.deepEqual(original_size, [200, 300]);
      }
    });

    it('of tiny images are never empty', async () => {
      const { batches } = await ask(makeImage(1, 1), { crops_n_layers: 3, points_per_crop: 2 });
      assert.deepEqual(batches[0].crop_box, [0, 0, 1, 1]);
      for (const { crop_box } of batches) assert.ok(crop_box[2] > crop_box[0] && crop_box[3] > crop_box[1]);
      await ask(makeImage(3, 2), { crops_n_layers: 2, points_per_crop: 4, crop_overlap_ratio: 0.9 });
    });

    it('lie in the box of interest, whose edges count as those of the image', async () => {
      const { batches, points } = await ask(makeImage(300, 200), {
        crops_n_layers: 1,
        points_per_crop: 2,
        box_of_interest: [100, 50, 200, 150],
      });
      assert.equal(batches.length, 5);
      for (const { crop_box, bounds } of batches) {
        assert.deepEqual(bounds, [100, 50, 200, 150]);
        assert.ok(
          crop_box[0] >= 100 && crop_box[1] >= 50 && crop_box[2] <= 200 && crop_box[3] <= 150,
          crop_box.join(),
        );
      }
      assert.deepEqual(points.slice(0, 4), [[125, 75], [175, 75], [125, 125], [175, 125]]); // prettier-ignore
    });
  });

  describe('of two masks that overlap', () => {
    const HALF: Box = [5, 5, 24, 24];
    // Of the whole image, better, and of its first crop; then one in each that overlaps with none.
    const stub = (): FindingStub =>
      new FindingStub([[HALF, 0.9], [[40, 5, 50, 30], 0.8]], [[[5, 5, 25, 24], 0.6], [[5, 27, 9, 30], 0.5]]); // prettier-ignore
    const scoresOf = async (options: MaskGenerationOptions<'binary'>): Promise<number[]> => {
      const every = { points_per_crop: 2, crops_n_layers: 1 };
      return (await pipelineOf(stub())(makeImage(60, 40), { ...every, ...options })).scores;
    };

    it('the one of the smaller crop stays, though its predicted IoU is lower', async () => {
      assert.deepEqual(await scoresOf({}), [0.8, 0.6, 0.5]);
    });

    it("the one with the better predicted IoU stays with reference: 'transformers'", async () => {
      assert.deepEqual(await scoresOf({ reference: 'transformers' }), [0.9, 0.8, 0.5]);
    });

    it('both stay where no box overlaps enough for crops_nms_thresh', async () => {
      assert.deepEqual(await scoresOf({ crops_nms_thresh: 1 }), [0.9, 0.8, 0.6, 0.5]);
    });

    it('the better one stays within a crop', async () => {
      const same = new FindingStub([[HALF, 0.7], [HALF, 0.9]], []); // prettier-ignore
      assert.deepEqual((await pipelineOf(same)(makeImage(60, 40), { points_per_crop: 2 })).scores, [0.9]);
    });
  });

  describe('with the bundled model', () => {
    let generator: MaskGenerationPipeline;
    before(async () => {
      generator = await pipeline('mask-generation', 'sam3-tracker-tiny', { device: 'cpu' });
    });
    after(() => generator.dispose());

    it('finds masks, best first, held as runs', async () => {
      const image = await RawImage.read(PHOTO);
      const found = await generator(PHOTO, { ...FEW, output_rle_mask: true, output_bboxes_mask: true });
      assert.deepEqual(Object.keys(found), ['masks', 'scores', 'rle_mask', 'bounding_boxes']);
      assert.ok(found.masks.length >= 3, `${found.masks.length} masks`);
      assert.deepEqual(
        found.scores,
        [...found.scores].sort((a, b) => b - a),
      );
      found.masks.forEach((mask, index) => {
        assert.ok(mask instanceof RLEMask);
        assert.deepEqual(mask.dims, [image.height, image.width]);
        assert.deepEqual(rle_to_mask(found.rle_mask![index]).data, mask.data);
        assert.deepEqual(mask_to_box(mask), found.bounding_boxes![index]);
      });
      assert.deepEqual(Object.keys(await generator(PHOTO, FEW)), ['masks', 'scores']);
    });

    it('gives encodings or polygons where they are asked for', async () => {
      const { masks } = await generator(PHOTO, FEW);
      const encoded = await generator(PHOTO, { ...FEW, output_mode: 'coco_rle' });
      assert.deepEqual(
        encoded.masks,
        masks.map((mask) => mask.coco_rle),
      );
      const outlined = await generator(PHOTO, { ...FEW, output_mode: 'polygons' });
      assert.equal(outlined.masks.length, masks.length);
      for (const polygons of outlined.masks) assert.ok(polygons[0].length >= 8);
    });

    it('gives empty lists where nothing is found', async () => {
      const none = await generator(PHOTO, {
        ...FEW,
        pred_iou_thresh: 1,
        output_rle_mask: true,
        output_bboxes_mask: true,
      });
      assert.deepEqual(none, { masks: [], scores: [], rle_mask: [], bounding_boxes: [] });
    });

    it('takes one mask a point, more crops, and cleans regions', async () => {
      const single = await generator(PHOTO, { ...FEW, multimask_output: false });
      assert.ok(single.masks.length > 0);
      const crops = await generator(PHOTO, { ...FEW, crops_n_layers: 1, points_per_crop: 4 });
      assert.ok(crops.masks.length > 0);
      const rough = await generator(PHOTO, { ...FEW, crops_nms_thresh: 1 });
      const clean = await generator(PHOTO, { ...FEW, crops_nms_thresh: 1, min_mask_region_area: 400 });
      assert.ok(
        clean.masks.some((mask) => rough.masks.every((other) => mask_iou(mask, other) < 1)),
        'no mask has a small region',
      );
      for (const mask of clean.masks) assert.ok(mask_area(mask) >= 400);
    });

    it('cleans regions of masks as they are found, too', async () => {
      const encodings = (masks: readonly RLEMask[]): string[] =>
        masks.map(({ coco_rle }) => coco_rle.counts).sort();
      // With all overlaps left the masks are the call's.
      const all = { ...FEW, crops_nms_thresh: 1 };
      const streamed: RLEMask[] = [];
      for await (const { mask, bounding_box } of generator.stream(PHOTO, {
        ...all,
        min_mask_region_area: 400,
      })) {
        assert.deepEqual(bounding_box, mask_to_box(mask));
        streamed.push(mask);
      }
      const clean = await generator(PHOTO, { ...all, min_mask_region_area: 400 });
      assert.deepEqual(encodings(streamed), encodings(clean.masks));
      assert.notDeepEqual(encodings(streamed), encodings((await generator(PHOTO, all)).masks));
    });

    it('finds what lies in a box of interest, in pixels of the whole image', async () => {
      const box = [100, 20, 400, 320];
      const { bounding_boxes } = await generator(PHOTO, {
        ...FEW,
        box_of_interest: box,
        output_bboxes_mask: true,
      });
      assert.ok(bounding_boxes!.length > 0);
      for (const [x1, y1, x2, y2] of bounding_boxes!)
        assert.ok(x1 >= 100 && y1 >= 20 && x2 < 400 && y2 < 320, [x1, y1, x2, y2].join());
    });

    it('tells how far it is', async () => {
      const seen: MaskGenerationProgress[] = [];
      await generator(PHOTO, { ...FEW, progress_callback: (progress) => seen.push(progress) });
      assert.deepEqual(
        seen.map(({ points_done }) => points_done),
        [18, 36, 36],
      );
      const last = seen[seen.length - 1];
      assert.equal(last.points_total, 36);
      assert.ok(last.masks_kept > 0);
      assert.ok(Object.values(last.seconds).every((seconds) => seconds > 0));
    });

    it('yields masks as they are found, and stops with the loop', async () => {
      const all = [];
      for await (const found of generator.stream(PHOTO, FEW)) all.push(found);
      assert.ok(all.length >= 3);
      for (const { mask, point, bounding_box, crop_box, score } of all) {
        assert.deepEqual(bounding_box, mask_to_box(mask));
        assert.deepEqual(crop_box, [0, 0, mask.dims[1], mask.dims[0]]);
        assert.ok(point[0] > 0 && point[0] < mask.dims[1] && score > 0.5);
      }
      let batches = 0;
      for await (const { mask } of generator.stream(PHOTO, { ...FEW, progress_callback: () => batches++ })) {
        assert.ok(mask_area(mask) > 0);
        break;
      }
      assert.equal(batches, 1);
    });

    it("fills holes and removes sprinkles of the model's masks before they are upsampled", async () => {
      const every = { ...FEW, crops_nms_thresh: 1, pred_iou_thresh: 0, stability_score_thresh: 0 };
      // Outlines of a mask are its parts, those of its complement its holes and what is around it.
      const complement = ({ dims, counts }: RLEMask): RLEMask =>
        new RLEMask(dims, Uint32Array.from(counts[0] === 0 ? counts.slice(1) : [0, ...counts]));
      const outlines = async (options: MaskGenerationOptions<'binary'>): Promise<number[]> => {
        const { masks } = await generator(PHOTO, { ...every, ...options });
        assert.equal(masks.length, 3 * 36);
        const all = (of: (mask: RLEMask) => RLEMask): number =>
          masks.reduce((sum, mask) => sum + mask_to_polygons(of(mask)).length, 0);
        return [all((mask) => mask), all(complement)];
      };
      const [parts, holes] = await outlines({});
      const [, filled] = await outlines({ max_hole_area: 300 });
      const [bare] = await outlines({ max_sprinkle_area: 300 });
      assert.ok(filled < holes, `${filled} of ${holes} holes are left`);
      assert.ok(bare < parts, `${bare} of ${parts} parts are left`);
    });

    it('goes through a list to its end, and loses nothing of it', async () => {
      const corrupt = Buffer.from('no image');
      const both = await generator([PHOTO, await RawImage.read(PHOTO)], FEW);
      assert.deepEqual(both[0].scores, both[1].scores);
      await assert.rejects(generator([PHOTO, corrupt, PHOTO], FEW), (error: MaskGenerationError) => {
        assert.ok(error instanceof MaskGenerationError);
        assert.match(error.message, /^1 of 3 images failed, the first of them images\[1\]: The image/);
        assert.deepEqual(
          error.results.map((result) => result?.scores ?? null),
          [both[0].scores, null, both[0].scores],
        );
        assert.equal((error.image_errors[1] as Error & { code: string }).code, 'IMAGE_INVALID');
        assert.equal(error.errors.length, 1);
        return true;
      });
      assert.deepEqual(await generator([], FEW), []);
    });

    it('waits for an image from the web no longer than its timeout', async () => {
      const server = createServer(() => undefined).listen(0, '127.0.0.1');
      await new Promise((resolve) => server.once('listening', resolve));
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/photo.png`;
      try {
        await assert.rejects(generator(url, { ...FEW, timeout: 0.05 }), {
          code: 'DOWNLOAD_FAILED',
          message: /within the timeout of 0\.05 seconds/,
        });
      } finally {
        server.closeAllConnections();
        server.close();
      }
    });
  });
});
