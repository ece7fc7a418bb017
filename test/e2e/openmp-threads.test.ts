import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { set_num_threads } from '../../lib';
import { BUNDLED_MODEL } from '../support/bundled-model';
import { LIBRARY, runChild } from '../support/child';

const TASKS = '/proc/self/task';

/** How many more threads a child process has after `copy` of a large `tensor` that is not contiguous. */
async function threadsLeftBy(copy: string): Promise<number> {
  const result = await runChild(`
    const { readdirSync } = require('node:fs');
    const { Tensor, set_num_threads } = require(${JSON.stringify(LIBRARY)});
    set_num_threads(2);
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

describe("OpenMP's threads", () => {
  /** What a child that has loaded libtorch prints: libgomp's own settings on stderr, and what is left in the environment. */
  const settings = async (env: NodeJS.ProcessEnv): Promise<{ spins: string | undefined; left: string }> => {
    const unset = { GOMP_SPINCOUNT: undefined, OMP_WAIT_POLICY: undefined };
    const result = await runChild(
      `require(${JSON.stringify(LIBRARY)}).get_num_threads();
       require('node:child_process').spawnSync('sh', ['-c', 'echo "$GOMP_SPINCOUNT"'], { stdio: 'inherit' });`,
      undefined,
      { ...unset, OMP_DISPLAY_ENV: 'verbose', ...env },
    );
    assert.equal(result.code, 0, result.stderr);
    return {
      spins: /GOMP_SPINCOUNT = '(.*)'/.exec(result.stderr)?.[1],
      left: result.stdout.trim(),
    };
  };

  const cases: [string, NodeJS.ProcessEnv, string, string][] = [
    ['wait awake for a short time', {}, '1000', ''],
    ['wait as GOMP_SPINCOUNT says', { GOMP_SPINCOUNT: '77' }, '77', '77'],
    ['wait as OMP_WAIT_POLICY says', { OMP_WAIT_POLICY: 'passive' }, '0', ''],
  ];
  for (const [name, env, spins, left] of cases)
    it(name, async function () {
      const found = await settings(env);
      // Only libgomp prints it.
      if (found.spins === undefined) this.skip();
      assert.deepEqual(found, { spins, left });
    });

  it('are as many as set_num_threads says, in models that have computed before too', async () => {
    const result = await runChild(
      `const { readdirSync } = require('node:fs');
       const { Sam3TrackerModel, Tensor, get_num_threads, set_num_threads } = require(${JSON.stringify(LIBRARY)});
       const model = await Sam3TrackerModel.from_pretrained(${JSON.stringify(BUNDLED_MODEL)});
       const pixels = new Tensor('float32', new Float32Array(3 * 192 * 192), [1, 3, 192, 192]);
       const counts = [];
       for (const count of [1, 3, 1, 2]) {
         set_num_threads(count);
         await model.get_image_embeddings(pixels);
         counts.push([get_num_threads(), readdirSync('${TASKS}').length]);
       }
       console.log(JSON.stringify(counts));`,
      undefined,
      { OMP_NUM_THREADS: '1' },
    );
    assert.equal(result.code, 0, result.stderr);
    const counts = JSON.parse(result.stdout) as [number, number][];
    assert.deepEqual(
      counts.map(([count]) => count),
      [1, 3, 1, 2],
    );
    if (!existsSync(TASKS)) return;
    // The model's own thread computes alone, or two more beside it.
    const [[, first], [, second]] = counts;
    assert(second >= first + 2, result.stdout);
  });

  for (const [value, error] of [
    ['2', TypeError],
    [0, RangeError],
    [1.5, RangeError],
    [4097, RangeError],
  ] as const)
    it(`are not ${JSON.stringify(value)}`, () =>
      assert.throws(() => set_num_threads(value as number), error));
});
