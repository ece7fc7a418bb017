/** The pipeline of a model on the hub, and on a device that is not there. */
import assert from 'node:assert/strict';
import { pipeline } from '../../../lib/index';
import { addon } from '../../../lib/native/binding';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { HubFixture } from '../../support/hub';
import { FEW, makeImage } from '../../support/mask-generation';

const ID = 'tests/tiny';

describe('mask generation by a model on the hub', () => {
  const hub = new HubFixture();
  const photo = makeImage(60, 40);

  it('is downloaded once, read from the cache then, and finds what the same model from a directory finds', async () => {
    const thresholds = { pred_iou_thresh: 0.4, stability_score_thresh: 0.3 };
    const defaults = Buffer.from(JSON.stringify(thresholds));
    hub.server.repositories.get(ID)!.files.set('mask_generation_config.json', defaults);
    using first = await pipeline('mask-generation', ID, { device: 'cpu' });
    assert.deepEqual(first.defaults, thresholds);
    hub.server.reset();
    process.env.HF_HUB_OFFLINE = '1';
    using cached = await pipeline('mask-generation', ID, { device: 'cpu' });
    assert.deepEqual(cached.defaults, thresholds);
    assert.deepEqual(hub.server.seen, []);
    using bundled = await pipeline('mask-generation', BUNDLED_MODEL, { device: 'cpu' });
    const expected = await bundled(photo, { ...FEW, max_hole_area: null, max_sprinkle_area: null });
    assert.ok(expected.masks.length > 0, 'no masks');
    for (const generator of [first, cached]) {
      const found = await generator(photo, FEW);
      assert.deepEqual(found.scores, expected.scores);
      assert.deepEqual(
        found.masks.map(({ coco_rle }) => coco_rle),
        expected.masks.map(({ coco_rle }) => coco_rle),
      );
    }
  });

  it('has the arguments of transformers where the repository says nothing else', async () => {
    using generator = await pipeline('mask-generation', ID, { device: 'cpu' });
    assert.deepEqual(generator.defaults, {});
  });

  it('names a repository that is not there', () =>
    assert.rejects(pipeline('mask-generation', 'tests/none', { device: 'cpu' }), {
      name: 'Sam3TrackerError',
      message: /tests\/none/,
    }));

  it('says that there is no such GPU, of a directory and of the hub, and leaves no model', async function () {
    if (addon().runtimeInfo().cudaDevices > 0) return this.skip();
    for (const model of [BUNDLED_MODEL, ID])
      for (const device of [0, 'cuda', 'cuda:0'] as const)
        await assert.rejects(pipeline('mask-generation', model, { device }), {
          name: 'Sam3TrackerError',
          code: 'DEVICE_UNAVAILABLE',
          message: /cuda:0 is not available.*'cpu'/,
        });
    using generator = await pipeline('mask-generation', ID, { device: 'auto' });
    assert.equal(generator.model.device, 'cpu');
  });
});
