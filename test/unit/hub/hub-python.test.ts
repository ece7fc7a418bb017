/** One cache for both: what Python's huggingface_hub downloads is read here, and the other way round. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { BUNDLED_MODEL, assertSameBits, boxes, pixels } from '../../support/bundled-model';
import { HubFixture } from '../../support/hub';
import { requirePython } from '../../support/python';

const ID = 'tests/tiny';

describe("the hub's cache, shared with Python", () => {
  const hub = new HubFixture();
  let python: string;

  /** What a call of huggingface_hub gives. */
  const huggingfaceHub = async (call: string): Promise<string> => {
    const code = `import huggingface_hub; print(huggingface_hub.${call})`;
    const env = { ...process.env, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
    return (await promisify(execFile)(python, ['-c', code], { env })).stdout.trim();
  };
  const pythonPath = (file: string, ...options: string[]): Promise<string> =>
    huggingfaceHub(`hf_hub_download(${[`"${ID}"`, `"${file}"`, ...options].join(', ')})`);

  before(function () {
    python = requirePython(this);
  });

  it('holds what Python downloaded', async () => {
    for (const file of ['config.json', 'model.safetensors']) await pythonPath(file);
    hub.server.reset();
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu', local_files_only: true })).dispose();
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
    assert.deepEqual(hub.server.storeRequests, []);
  });

  it('is not needed for a folder that "hf download --local-dir" makes', async () => {
    const folder = path.join(hub.home, 'folder');
    await huggingfaceHub(`snapshot_download("${ID}", local_dir=${JSON.stringify(folder)})`);
    // Python leaves notes of its own in the folder.
    assert.deepEqual(readdirSync(folder).sort(), [
      '.cache',
      'config.json',
      'model.safetensors',
      'processor_config.json',
    ]);
    hub.server.reset();
    using model = await Sam3TrackerModel.from_pretrained(folder, { device: 'cpu' });
    using bundled = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    const inputs = { pixel_values: pixels(), input_boxes: boxes() };
    assertSameBits(await model(inputs), await bundled(inputs));
    assert.equal((await Sam3TrackerProcessor.from_pretrained(folder)).target_size, 192);
    assert.deepEqual(hub.server.seen, []);
  });

  it('gives Python what was downloaded here', async () => {
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
    const file = await pythonPath('model.safetensors', 'local_files_only=True');
    assert.ok(file.startsWith(hub.folder()), file);
    hub.server.reset();
    assert.equal(await pythonPath('model.safetensors'), file);
    assert.deepEqual(hub.server.storeRequests, []);
  });
});
