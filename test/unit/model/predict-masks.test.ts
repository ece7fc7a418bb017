/** From prompts to masks in the size of the images, in one job. */
import assert from 'node:assert/strict';
import type { Tensor } from '../../../lib/index';
import { Sam3TrackerModel, Sam3TrackerProcessor } from '../../../lib/index';
import { sameBits } from '../../parity/compare';
import { BUNDLED_MODEL, BUNDLED_SIDE, randomTensor } from '../../support/bundled-model';

describe('predict_masks', () => {
  const original_sizes: [number, number][] = [
    [301, 400],
    [97, 131],
  ];
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  let inputs: { image_embeddings: Tensor[]; input_points: Tensor };

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu', dtype: 'float32' });
    processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
    inputs = {
      image_embeddings: await model.get_image_embeddings(randomTensor([2, 3, BUNDLED_SIDE, BUNDLED_SIDE], 3)),
      input_points: randomTensor([2, 3, 1, 2], 4, [0, BUNDLED_SIDE]),
    };
  });
  after(() => model.dispose());

  for (const [name, options] of Object.entries({
    'by default': {},
    'as logits': { binarize: false },
    'with every option': {
      mask_threshold: 0.5,
      max_hole_area: 30,
      max_sprinkle_area: 30,
      apply_non_overlapping_constraints: true,
    },
  }))
    it(`gives what forward and post_process_masks give, ${name}`, async () => {
      for (const multimask_output of [true, false]) {
        const given = { ...inputs, multimask_output };
        const outputs = await model(given);
        const masks = await processor.post_process_masks(outputs.pred_masks, original_sizes, options);
        const predicted = await model.predict_masks({ ...given, original_sizes }, options);
        assert.equal(predicted.masks.length, 2);
        predicted.masks.forEach((mask, index) => {
          assert.deepEqual(mask.dims, [3, multimask_output ? 3 : 1, ...original_sizes[index]]);
          assert.ok(sameBits(mask, masks[index]));
        });
        for (const field of ['pred_masks', 'iou_scores', 'object_score_logits'] as const)
          assert.ok(sameBits(predicted[field], outputs[field]), field);
      }
    });

  it('takes what the processor gives, and options by position', async () => {
    const prompts = await processor({ original_sizes: [original_sizes[0]], input_points: [[[[200, 150]]]] });
    const image_embeddings = inputs.image_embeddings.map((level) => level.slice([0, 1]));
    const [named, positional] = await Promise.all([
      model.predict_masks({ ...prompts, image_embeddings }, { mask_threshold: 1, binarize: false }),
      model.predict_masks({ ...prompts, image_embeddings }, 1, false),
    ]);
    assert.equal(named.masks[0].type, 'float32');
    assert.ok(sameBits(named.masks[0], positional.masks[0]));
  });

  it('gives masks that go with the output', async () => {
    const output = await model.predict_masks({ ...inputs, original_sizes });
    output.dispose();
    assert.ok(output.masks.every((mask) => mask.disposed) && output.pred_masks.disposed);
    assert.ok(inputs.image_embeddings.every((level) => !level.disposed));
  });

  it('refuses sizes that do not fit, and a tuple', async () => {
    await assert.rejects(model.predict_masks({ ...inputs, original_sizes: [[10, 10]] }), {
      name: 'RangeError',
      message: 'Expected one of original_sizes for each of the 2 images of masks but received 1.',
    });
    await assert.rejects(model.predict_masks(inputs as never), { name: 'TypeError' });
    await assert.rejects(model.predict_masks({ ...inputs, original_sizes, return_dict: false } as never), {
      name: 'TypeError',
      message: /return_dict/,
    });
    await assert.rejects(model.predict_masks({ ...inputs, original_sizes }, { max_hole_size: 1 } as never), {
      name: 'TypeError',
      message: /max_hole_area/,
    });
  });
});
