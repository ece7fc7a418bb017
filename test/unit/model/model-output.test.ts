import assert from 'node:assert/strict';
import { Sam3TrackerImageSegmentationOutput, lent } from '../../../lib/model/outputs';
import { Tensor } from '../../../lib/tensor';

function makeOutput(image_embeddings: Tensor<'float32'>[]): Sam3TrackerImageSegmentationOutput {
  return new Sam3TrackerImageSegmentationOutput({
    iou_scores: new Tensor('float32', [0.5], [1, 1, 1]),
    pred_masks: new Tensor('float32', [1, 2], [1, 1, 1, 1, 2]),
    object_score_logits: new Tensor('float32', [3], [1, 1, 1]),
    image_embeddings,
    vision_hidden_states: null,
    vision_attentions: [],
    mask_decoder_attentions: null,
  });
}

describe('ModelOutput', () => {
  it('gives its fields that are not null as a tuple, in order', () => {
    const embeddings = [new Tensor('float32', [1], [1])];
    const output = makeOutput(embeddings);
    assert.deepEqual(output.to_tuple(), [
      output.iou_scores,
      output.pred_masks,
      output.object_score_logits,
      embeddings,
      [],
    ]);
  });

  it('moves every tensor, and the moved output is whole', async () => {
    using output = makeOutput([new Tensor('float32', [7], [1])]);
    const moved = await output.cpu();
    assert.ok(moved instanceof Sam3TrackerImageSegmentationOutput);
    assert.deepEqual(moved.pred_masks.tolist(), output.pred_masks.tolist());
    assert.deepEqual(moved.image_embeddings[0].tolist(), [7]);
    assert.equal(moved.vision_hidden_states, null);
    assert.equal(moved.to_tuple().length, 5);
    moved.dispose();
    assert.equal(moved.pred_masks.disposed, true);
    assert.equal(output.pred_masks.disposed, false);
  });

  it('disposes its own tensors and leaves lent ones to the caller', () => {
    const callers = new Tensor('float32', [1], [1]);
    const own = makeOutput([new Tensor('float32', [1], [1])]);
    const borrowing = makeOutput([callers]);
    lent(borrowing, [callers]);
    for (const output of [own, borrowing]) {
      output.dispose();
      output.dispose();
      assert.equal(output.iou_scores.disposed, true);
    }
    assert.equal(own.image_embeddings[0].disposed, true);
    assert.equal(callers.disposed, false);
  });
});
