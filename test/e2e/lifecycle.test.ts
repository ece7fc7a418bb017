import assert from 'node:assert/strict';
import { LIBRARY, runChild } from '../support/child';

const SETUP = `
  const { Sam3TrackerModel, Tensor, Sam3TrackerError } = require(${JSON.stringify(LIBRARY)});
  const pixels = () => new Tensor('float32', new Float32Array(3 * 192 * 192).fill(0.1), [1, 3, 192, 192]);
`;
const LOAD = `${SETUP} const model = await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', { device: 'cpu' });`;

async function expectCleanEnd(
  source: string,
  expected: { code?: number; stdout?: string } = {},
): Promise<void> {
  const result = await runChild(source);
  assert.deepEqual(
    { code: result.code, signal: result.signal, stdout: result.stdout.trim() },
    { code: expected.code ?? 0, signal: null, stdout: expected.stdout ?? '' },
    result.stderr,
  );
}

describe('the end of a process and of a model', () => {
  it('ends by itself once every call has settled', () =>
    expectCleanEnd(
      `${LOAD} const o = await model({ pixel_values: pixels() }); console.log(o.pred_masks.dims.join());`,
      {
        stdout: '1,1,3,96,96',
      },
    ));

  it('stays alive for a call in flight that nobody awaits', () =>
    expectCleanEnd(`${LOAD} model({ pixel_values: pixels() }).then(() => console.log('settled'));`, {
      stdout: 'settled',
    }));

  it('ends cleanly by process.exit with calls in flight', () =>
    expectCleanEnd(
      `${LOAD} for (let i = 0; i < 5; i++) model({ pixel_values: pixels() }); process.exit(3);`,
      { code: 3 },
    ));

  it('ends cleanly by process.exit in the middle of computing', async () => {
    for (const delay of [0, 40, 90])
      await expectCleanEnd(
        `${LOAD}
         const image_embeddings = await model.get_image_embeddings(pixels());
         const input_points = new Tensor('float32', [9, 9], [1, 1, 1, 2]);
         const loop = async () => { for (;;) await model({ image_embeddings, input_points }); };
         for (let i = 0; i < 4; i++) loop();
         setTimeout(() => process.exit(4), ${delay});`,
        { code: 4 },
      );
  });

  it('survives workers that are terminated while promises settle', () =>
    expectCleanEnd(
      `const { Worker } = require('node:worker_threads');
       const source = \`require('tsx/cjs'); ${SETUP.replaceAll('`', '')}
         const tensor = new Tensor('float32', [1, 2, 3, 4], [4]);
         const loop = async () => { for (;;) await tensor.to('float64'); };
         for (let i = 0; i < 50; i++) loop();
         setInterval(() => {}, 1);
         require('node:worker_threads').parentPort.postMessage('busy');\`;
       for (let round = 0; round < 6; round++) {
         await new Promise((resolve, reject) => {
           const worker = new Worker(source, { eval: true });
           worker.on('message', () => setTimeout(() => worker.terminate(), round)).on('error', reject).on('exit', resolve);
         });
       }
       console.log('done');`,
      { stdout: 'done' },
    ));

  it('keeps its weights out of reach of what it returns', () =>
    expectCleanEnd(
      `${LOAD}
       const click = async () => (await model({ pixel_values: pixels() })).iou_scores.tolist().join();
       const before = await click();
       const [, dense] = await model.get_prompt_embeddings();
       const positional = await model.get_image_wide_positional_embeddings();
       for (const tensor of [dense, dense.slice(0, null, 0, 0), positional, positional.slice(0)]) tensor.data.fill(9);
       console.log((await click()) === before);`,
      { stdout: 'true' },
    ));

  it('ends cleanly by an uncaught error with calls in flight', async () => {
    const result = await runChild(
      `${LOAD} model({ pixel_values: pixels() }); throw new Error('out of here');`,
    );
    assert.equal(result.signal, null);
    assert.equal(result.code, 1);
    assert.match(result.stderr, /out of here/);
  });

  it('lets a call in flight finish after dispose, and refuses the next', () =>
    expectCleanEnd(
      `${LOAD}
       const first = model({ pixel_values: pixels() });
       const second = model.get_image_embeddings(pixels());
       model.dispose(); model.dispose();
       console.log((await first).pred_masks.dims.length, (await second).length);
       await model({ pixel_values: pixels() }).catch((error) => console.log(error.code, error.message));`,
      { stdout: '5 3\nDISPOSED This model has been disposed.' },
    ));

  it('survives garbage collection of everything but the promise', () =>
    expectCleanEnd(
      `${SETUP}
       const run = async () => (await Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', { device: 'cpu' }))({ pixel_values: pixels() });
       const pending = Array.from({ length: 3 }, run);
       const timer = setInterval(() => gc(), 1);
       const outputs = await Promise.all(pending);
       clearInterval(timer);
       console.log(outputs.map((o) => o.iou_scores.dims.join()).join(' '));`,
      { stdout: '1,1,3 1,1,3 1,1,3' },
    ));

  it('works in worker threads, also when they are terminated with calls in flight', () =>
    expectCleanEnd(
      `const { Worker } = require('node:worker_threads');
       const source = (rest) => \`require('tsx/cjs'); (async () => { ${LOAD.replaceAll('`', '')} \${rest} })();\`;
       const run = (rest, stop) => new Promise((resolve, reject) => {
         const worker = new Worker(source(rest), { eval: true });
         worker.on('message', (message) => stop ? worker.terminate() : console.log(message));
         worker.on('error', reject).on('exit', resolve);
       });
       const report = "const { parentPort } = require('node:worker_threads');";
       await Promise.all([
         run(report + "const o = await model({ pixel_values: pixels() }); parentPort.postMessage(o.pred_masks.dims.join());", false),
         run(report + "for (let i = 0; i < 20; i++) model({ pixel_values: pixels() }); parentPort.postMessage('busy');", true),
       ]);
       console.log('done');`,
      { stdout: '1,1,3,96,96\ndone' },
    ));

  it('keeps the event loop free while an image is encoded', () =>
    expectCleanEnd(
      `${LOAD}
       let ticks = 0;
       const timer = setInterval(() => ticks++, 1);
       await model.get_image_embeddings(pixels());
       clearInterval(timer);
       console.log(ticks > 3 ? 'free' : 'blocked: ' + ticks);`,
      { stdout: 'free' },
    ));
});
