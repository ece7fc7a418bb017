/** Weights that stay mapped while the file changes: what docs/security.md advises, and what it warns of. */
import assert from 'node:assert/strict';
import { renameSync } from 'node:fs';
import path from 'node:path';
import { withModelCopy } from '../support/bundled-model';
import { LIBRARY, runChild } from '../support/child';

/** Computes before and after `change` (of `file`) in a process of its own. */
const around = (directory: string, change: string): ReturnType<typeof runChild> =>
  runChild(`
    const { copyFileSync, renameSync, truncateSync, writeFileSync } = require('node:fs');
    const { Sam3TrackerModel, Tensor } = require(${JSON.stringify(LIBRARY)});
    const file = ${JSON.stringify(path.join(directory, 'model.safetensors'))};
    // In the file's own dtype nothing is copied.
    const model = await Sam3TrackerModel.from_pretrained(${JSON.stringify(directory)}, { device: 'cpu', dtype: 'float16' });
    const { image_size } = model.config.vision_config.backbone_config;
    const pixel_values = new Tensor('float32', new Float32Array(3 * image_size ** 2), [1, 3, image_size, image_size]);
    const compute = async () => Buffer.from(new Uint8Array((await model.get_image_embeddings(pixel_values))[2].data.buffer)).toString('hex');
    const before = await compute();
    ${change}
    console.log(before === await compute());
  `);

describe('weights that are mapped', () => {
  it('stay what they were where their file is replaced by renaming, or removed', () =>
    withModelCopy(async ({ directory }) => {
      const changes = [
        `copyFileSync(file, file + '.new'); truncateSync(file + '.new', 100); renameSync(file + '.new', file);`,
        `require('node:fs').rmSync(file);`,
      ];
      for (const change of changes) {
        const { stdout, stderr } = await around(directory, `copyFileSync(file, file + '.old'); ${change}`);
        assert.equal(stdout.trim(), 'true', stderr);
        renameSync(path.join(directory, 'model.safetensors.old'), path.join(directory, 'model.safetensors'));
      }
    }));

  it('end the process where the file is shortened under it, as the page on security says', function () {
    // Other systems have other signals.
    if (process.platform !== 'linux') return this.skip();
    return withModelCopy(async ({ directory }) => {
      const { signal, stdout } = await around(directory, 'truncateSync(file, 4096);');
      assert.deepEqual([signal, stdout], ['SIGBUS', '']);
    });
  });
});
