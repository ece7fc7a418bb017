/** Files of the hub's cache that something cut short: fetched again with a network, named with the remedy without one. */
import assert from 'node:assert/strict';
import { copyFileSync, readFileSync, rmSync, statSync, truncateSync } from 'node:fs';
import path from 'node:path';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL, assertSameBits, boxes, pixels } from '../../support/bundled-model';
import { HubFixture } from '../../support/hub';

const ID = 'tests/tiny';
const WEIGHTS = 'model.safetensors';

describe("half a file in the hub's cache", () => {
  const hub = new HubFixture();
  const cached = (file: string): string => path.join(hub.folder(), 'snapshots', hub.server.commit(ID), file);
  const right = (file: string): Buffer => hub.server.repositories.get(ID)!.files.get(file)!;
  const load = async (options: object = {}): Promise<void> =>
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu', ...options })).dispose();
  /** Leaves the first half of a file. */
  const halve = (file: string): void =>
    truncateSync(cached(file), Math.floor(statSync(cached(file)).size / 2));

  beforeEach(() => load());

  it('is fetched again by from_pretrained, which then computes the right numbers', async () => {
    for (const file of [WEIGHTS, 'config.json']) {
      halve(file);
      assert.ok(readFileSync(cached(file)).length < right(file).length);
      using model = await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' });
      using bundled = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
      const inputs = { pixel_values: pixels(), input_boxes: boxes() };
      assertSameBits(await model(inputs), await bundled(inputs));
      assert.ok(readFileSync(cached(file)).equals(right(file)));
    }
  });

  it('that is a copy instead of a link is fetched again, too', async () => {
    const blob = path.join(hub.home, 'copy');
    copyFileSync(cached(WEIGHTS), blob);
    rmSync(cached(WEIGHTS));
    copyFileSync(blob, cached(WEIGHTS));
    halve(WEIGHTS);
    await load();
    assert.ok(readFileSync(cached(WEIGHTS)).equals(right(WEIGHTS)));
  });

  it('is refused without a network, with what fetches it again', async () => {
    const refusal = {
      name: 'Sam3TrackerError',
      code: 'FILE_INVALID',
      message: /not a valid safetensors file.*hub's cache.*force_download: true.*download --force/s,
    };
    halve(WEIGHTS);
    await assert.rejects(load({ local_files_only: true }), refusal);
    await assert.rejects(load({ local_files_only: true, dtype: 'float32' }), refusal);
    // A commit's files are taken from the cache without a question to the hub.
    hub.server.reset();
    const revision = hub.server.commit(ID);
    await assert.rejects(load({ revision }), refusal);
    assert.deepEqual(hub.server.seen, []);
    await load({ revision, force_download: true });
    await Sam3TrackerProcessor.from_pretrained(ID);
    halve('processor_config.json');
    await assert.rejects(Sam3TrackerProcessor.from_pretrained(ID, { local_files_only: true }), {
      code: 'FILE_INVALID',
      message: /processor_config\.json.*not a valid JSON file.*force_download: true/s,
    });
  });

  it('of a directory has no such remedy', async () => {
    halve(WEIGHTS);
    await assert.rejects(Sam3TrackerModel.from_pretrained(path.dirname(cached(WEIGHTS))), (error: Error) => {
      assert.match(error.message, /not a valid safetensors file/);
      assert.doesNotMatch(error.message, /force_download/);
      return true;
    });
  });

  it('is no suspicion: where the hub names the commit and gives no list, what is there is loaded', async () => {
    for (const status of [503, 403]) {
      hub.server.reset();
      hub.server.faults.statuses = [null, status];
      await load();
      assert.deepEqual(hub.server.faults.statuses, []);
    }
  });
});
