import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { LIBRARY, runChild } from '../support/child';

const TASKS = '/proc/self/task';

/** How many more threads a child process has after `copy` of a large `tensor` that is not contiguous. */
async function threadsLeftBy(copy: string): Promise<number> {
  const result = await runChild(`
    const { readdirSync } = require('node:fs');
    const { Tensor } = require(${JSON.stringify(LIBRARY)});
    const { addon } = require(${JSON.stringify(path.join(LIBRARY, '..', 'native', 'binding'))});
    addon().setThreads(2);
    const tensor = new Tensor('float32', new Float32Array(4_000_000), [2000, 2000]).slice(null, [0, 1500]);
    const before = readdirSync('${TASKS}').length;
    ${copy};
    console.log(readdirSync('${TASKS}').length - before);
  `);
  assert.equal(result.code, 0, result.stderr);
  return Number(result.stdout);
}

describe("the OpenMP pool of the event loop's thread", () => {
  // While it lasted, libgomp would let the model's threads sleep between any two operations.
  for (const copy of ['tensor.data', 'tensor.reshape(-1)'])
    it(`ends after ${copy} has copied a large tensor`, async function () {
      if (!existsSync(TASKS)) this.skip();
      assert.equal(await threadsLeftBy(copy), 0);
    });
});
