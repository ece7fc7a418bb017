/** One cache for both: what Python's huggingface_hub downloads is read here, and the other way round. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Sam3TrackerModel } from '../lib/modeling-sam3-tracker';
import { HubFixture } from './support/hub';
import { findPython } from './support/python';

const ID = 'tests/tiny';

describe("the hub's cache, shared with Python", () => {
  const hub = new HubFixture();
  const { python, reason } = findPython();

  /** What huggingface_hub's hf_hub_download gives. */
  const pythonPath = async (file: string, ...options: string[]): Promise<string> => {
    const code =
      'import sys; from huggingface_hub import hf_hub_download; ' +
      `print(hf_hub_download("${ID}", "${file}"${options.map((option) => `, ${option}`).join('')}))`;
    const env = { ...process.env, HF_HUB_DISABLE_XET: '1', HF_HUB_DISABLE_PROGRESS_BARS: '1' };
    return (await promisify(execFile)(python!, ['-c', code], { env })).stdout.trim();
  };

  before(function () {
    if (python !== null) return;
    if (process.env.CI) throw new Error(`The tests beside Python did not run: ${reason}`);
    process.stdout.write(`    (skipped: ${reason})\n`);
    this.skip();
  });

  it('holds what Python downloaded', async () => {
    for (const file of ['config.json', 'model.safetensors']) await pythonPath(file);
    hub.server.reset();
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu', local_files_only: true })).dispose();
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
    assert.deepEqual(hub.server.storeRequests, []);
  });

  it('gives Python what was downloaded here', async () => {
    (await Sam3TrackerModel.from_pretrained(ID, { device: 'cpu' })).dispose();
    const path = await pythonPath('model.safetensors', 'local_files_only=True');
    assert.ok(path.startsWith(hub.folder()), path);
    hub.server.reset();
    assert.equal(await pythonPath('model.safetensors'), path);
    assert.deepEqual(hub.server.storeRequests, []);
  });
});
