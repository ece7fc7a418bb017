import assert from 'node:assert/strict';
import { Sam3TrackerModel, pipeline, type MaskGenerationOptions } from '../../../lib/index';
import { BUNDLED_MODEL, withModelCopy } from '../../support/bundled-model';
import { FEW, ModelStub, ask, image_processor, makeImage } from '../../support/mask-generation';

describe('arguments of mask generation', () => {
  describe('arguments', () => {
    const refused: [what: string, options: Record<string, unknown>, error: RegExp][] = [
      [
        'points_per_batch 0',
        { points_per_batch: 0 },
        /^RangeError: Cannot have points_per_batch<=0\. Must be >=1/,
      ],
      ['points_per_batch -3', { points_per_batch: -3 }, /set points_per_batch to None$/],
      ['a fraction of a batch', { points_per_batch: 1.5 }, /^RangeError: .*points_per_batch/],
      ['a word for a batch', { points_per_batch: '8' }, /^TypeError: .*points_per_batch/],
      ['no points', { points_per_crop: 0 }, /^RangeError: .*points_per_crop/],
      ['too many points', { points_per_crop: 1025 }, /^RangeError: .*from 1 to 1024 for points_per_crop/],
      ['a threshold above 1', { pred_iou_thresh: 1.1 }, /^RangeError: .*pred_iou_thresh/],
      ['a threshold below 0', { stability_score_thresh: -0.1 }, /^RangeError: .*stability_score_thresh/],
      ['NaN', { mask_threshold: NaN }, /^RangeError: .*mask_threshold/],
      ['a negative area', { max_hole_area: -1 }, /^RangeError: .*max_hole_area/],
      ['a negative sprinkle', { max_sprinkle_area: -1 }, /^RangeError: .*max_sprinkle_area/],
      ['a negative region', { min_mask_region_area: -1 }, /^RangeError: .*min_mask_region_area/],
      ['a part of a pixel', { min_mask_region_area: 0.5 }, /^RangeError: .*min_mask_region_area/],
      ['a negative offset', { stability_score_offset: -1 }, /^RangeError: .*stability_score_offset/],
      ['a factor below 1', { crop_n_points_downscale_factor: 0.5 }, /^RangeError: .*downscale_factor/],
      ['a negative timeout', { timeout: -1 }, /^RangeError: .*timeout/],
      ['a word for a timeout', { timeout: '1' }, /^TypeError: .*timeout/],
      ['an overlap of all', { crop_overlap_ratio: 1 }, /^RangeError: .*crop_overlap_ratio/],
      ['an IoU above 1', { crops_nms_thresh: 2 }, /^RangeError: .*crops_nms_thresh/],
      ['null for a number', { crops_n_layers: null }, /^TypeError: .*crops_n_layers/],
      ['too many layers', { crops_n_layers: 11 }, /^RangeError: .*crops_n_layers/],
      [
        'layers without points',
        { crops_n_layers: 2, points_per_crop: 3, crop_n_points_downscale_factor: 2 },
        /^RangeError: .*Layer 2 would have no points/,
      ],
      ['another reference', { reference: 'sam2' }, /^RangeError: .*reference/],
      ['another output', { output_mode: 'png' }, /^RangeError: .*output_mode/],
      ['a mistyped name', { points_per_side: 3 }, /^TypeError: Unknown option "points_per_side"/],
      ['a point outside', { point_grids: [[[0.5, 1.5]]] }, /^RangeError: .*point_grids\[0\]\[0\]/],
      ['grids for other layers', { point_grids: [[[0, 0]], [[0, 0]]] }, /^RangeError: .*crops_n_layers \+ 1/],
      [
        'two kinds of points',
        { point_grids: [[[0, 0]]], points_per_crop: 4 },
        /^RangeError: Expected points_per_crop or point_grids/,
      ],
      ['a box upside down', { box_of_interest: [5, 5, 1, 9] }, /^RangeError: .*box_of_interest/],
      ['a box outside', { box_of_interest: [0, 0, 41, 30] }, /^RangeError: .*inside the image \(40 x 30\)/],
      ['no memory', { max_memory: 1000 }, /^RangeError: .*what one point takes/],
      ['no signal', { signal: {} }, /^TypeError: .*AbortSignal/],
      ['no function', { progress_callback: 1 }, /^TypeError: .*progress_callback/],
    ];
    for (const [what, options, error] of refused)
      it(`refuses ${what}`, async () => {
        await assert.rejects(ask(makeImage(40, 30), options), (thrown: Error) => {
          assert.match(String(thrown), error);
          return true;
        });
      });
  });

  describe('pipeline', () => {
    it("takes a model's own arguments from its directory, before transformers' defaults", async () => {
      await withModelCopy(async (copy) => {
        copy.editJson('mask_generation_config.json', (config: Record<string, unknown>) => {
          for (const name of Object.keys(config)) delete config[name];
          Object.assign(config, { ...FEW, points_per_crop: 2 });
        });
        using generator = await pipeline('mask-generation', copy.directory, { device: 'cpu' });
        const points = async (options: MaskGenerationOptions): Promise<number> => {
          let total = 0;
          await generator(makeImage(40, 30), {
            ...options,
            progress_callback: (p) => (total = p.points_total),
          });
          return total;
        };
        assert.equal(await points({}), 4);
        assert.equal(await points({ points_per_crop: 3 }), 9);
        copy.editJson('mask_generation_config.json', (config: Record<string, unknown>) => {
          config.pred_iou_thresh = 3;
        });
        await assert.rejects(pipeline('mask-generation', copy.directory), /RangeError: .*pred_iou_thresh/);
      });
    });

    it('leaves a loaded model to its owner', async () => {
      using model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      const generator = await pipeline('mask-generation', { model, image_processor });
      await generator(makeImage(40, 30), { points_per_crop: 1 });
      generator.dispose();
      assert.equal(model.disposed, false);
      const owner = await pipeline('mask-generation');
      owner.dispose();
      assert.equal(owner.model.disposed, true);
      await assert.rejects(owner([makeImage(40, 30)], { points_per_crop: 1 }), { code: 'DISPOSED' });
    });

    it('looks at all images of a list before it begins', async () => {
      const generator = await pipeline('mask-generation', {
        model: new ModelStub() as never,
        image_processor,
      });
      for (const list of [
        [makeImage(40, 30), 3],
        [makeImage(40, 30), new Array(1000), null],
      ])
        await assert.rejects(generator(list as never), /^TypeError: Expected a path.* for images\[1\] but/);
      assert.equal((generator.model as unknown as ModelStub).encoded, 0);
    });

    it('refuses other tasks and components', async () => {
      const call = pipeline as (...args: unknown[]) => Promise<unknown>;
      await assert.rejects(call('depth-estimation'), /^RangeError: Expected one of mask-generation for task/);
      await assert.rejects(call(7), /^TypeError: .*task/);
      await assert.rejects(call('mask-generation', 7), /^TypeError: .*model/);
      await assert.rejects(
        call('mask-generation', { model: {}, image_processor }),
        /^TypeError: .*Sam3TrackerModel/,
      );
      await assert.rejects(
        call('mask-generation', { model: new ModelStub(), image_processor: {} }),
        /^TypeError: .*Sam3ImageProcessor/,
      );
      await assert.rejects(
        call('mask-generation', { model: new ModelStub(), image_processor }, { device: 'cpu' }),
        /^TypeError: pipeline takes options for a model that it loads itself/,
      );
      await assert.rejects(call('mask-generation', 'no-such-model'), { code: 'FILE_NOT_FOUND' });
    });
  });
});
