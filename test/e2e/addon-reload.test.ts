/** The addon loaded again and again, and where JavaScript around it throws: no crash, no listener more. */
import assert from 'node:assert/strict';
import { LIBRARY, runChild } from '../support/child';

const COMPUTE = `
  const load = () => {
    for (const key of Object.keys(require.cache)) if (/lib[\\\\/](?!core[\\\\/]package)/.test(key)) delete require.cache[key];
    return require(${JSON.stringify(LIBRARY)});
  };
  const compute = async () => {
    const { Tensor } = load();
    const tensor = new Tensor('float32', [1, 2], [2]);
    return (await tensor.to('float16')).dims[0];
  };
`;

describe('the addon', () => {
  it('that is loaded 30 times adds one listener, and works each time', async () => {
    const { code, signal, stdout, stderr } = await runChild(`${COMPUTE}
      const before = process.listenerCount('exit');
      for (let time = 0; time < 30; time++) if (await compute() !== 2) throw new Error('wrong');
      console.log(process.listenerCount('exit') - before);
    `);
    assert.deepEqual([code, signal, stdout.trim()], [0, null, '1'], stderr);
    assert.doesNotMatch(stderr, /MaxListeners/);
  });

  const spoils: [what: string, spoil: string][] = [
    ['throws', `process.once = () => { throw new Error('spoiled'); };`],
    [
      'is gone',
      `Object.defineProperty(process, 'once', { value: undefined, configurable: true, writable: true });`,
    ],
  ];
  for (const [what, spoil] of spoils)
    it(`where process.once ${what} is an error, leaves nothing behind, and loads later`, async () => {
      const { code, signal, stdout, stderr } = await runChild(`${COMPUTE}
        load();
        const { once } = process;
        ${spoil}
        for (let time = 0; time < 3; time++)
          await compute().then(() => console.log('loaded'), (error) => console.log(error.code));
        process.once = once;
        console.log(await compute());
        process.exit(7);
      `);
      assert.deepEqual([code, signal], [7, null], stderr);
      assert.equal(stdout.trim(), `${'ADDON_NOT_LOADED\n'.repeat(3)}2`, stderr);
    });

  it('in 10 workers, each with one listener, ends with them', async () => {
    const { code, signal, stdout, stderr } = await runChild(`
      const { Worker } = require('node:worker_threads');
      const source = \`require('tsx/cjs');
        const { Tensor } = require(${JSON.stringify(LIBRARY)});
        (async () => {
          await new Tensor('float32', [1, 2], [2]).to('float16');
          require('node:worker_threads').parentPort.postMessage(process.listenerCount('exit'));
        })();\`;
      const counts = new Set();
      for (let round = 0; round < 5; round++)
        await Promise.all(Array.from({ length: 2 }, () => new Promise((resolve, reject) => {
          const worker = new Worker(source, { eval: true });
          worker.on('message', (count) => counts.add(count)).on('error', reject).on('exit', resolve);
        })));
      console.log([...counts].join());
    `);
    assert.deepEqual([code, signal], [0, null], stderr);
    assert.match(stdout.trim(), /^\d+$/);
  });
});
