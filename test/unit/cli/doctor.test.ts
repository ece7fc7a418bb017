/** `sam3-tracker doctor`: what it reports, and what it calls a problem. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { doctorText, listGpus, type DoctorReport } from '../../../lib/cli/commands/doctor';
import { main } from '../../../lib/cli/main';
import { addon } from '../../../lib/native/binding';
import { PACKAGE_MANIFEST } from '../../../lib/core/package';
import { runChild } from '../../support/child';

const ROOT = path.join(__dirname, '..', '..', '..');

describe('sam3-tracker doctor', () => {
  let directory: string;
  const savedPath = process.env.PATH;

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-doctor-'));
  });
  afterEach(() => {
    process.env.PATH = savedPath;
    rmSync(directory, { recursive: true, force: true });
  });

  async function run(...args: string[]): Promise<{ code: number; text: string }> {
    let text = '';
    const output = { stdout: { write: (piece: string) => (text += piece) }, stderr: process.stderr };
    const code = await main(['doctor', ...args], output);
    return { code, text };
  }

  /** Puts an nvidia-smi that runs `script` first on PATH. */
  function fakeNvidiaSmi(script: string): void {
    writeFileSync(path.join(directory, 'nvidia-smi'), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    process.env.PATH = `${directory}${path.delimiter}${savedPath}`;
  }

  it('finds this checkout well, and says what an issue report needs', async () => {
    const { code, text } = await run();
    assert.equal(code, 0, text);
    assert.match(text, new RegExp(`^sam3-tracker: +${PACKAGE_MANIFEST.version} in `));
    for (const name of [
      'Node',
      'addon',
      'libtorch',
      'threads',
      'CUDA devices',
      'GPUs',
      'models',
      'self-test',
    ])
      assert.match(text, new RegExp(`^${name}: +\\S`, 'm'));
    assert.match(text, /self-test: +cpu: a click was segmented as expected in \d+ ms/);
    assert.match(text, /Everything works\.\n$/);
  });

  it('gives the same as JSON', async () => {
    const { code, text } = await run('--json');
    const report = JSON.parse(text) as DoctorReport;
    assert.equal(code, 0);
    assert.deepEqual(report.problems, []);
    assert.equal(report.system.node, process.version);
    assert.equal(report.libtorch.chosen?.problem, null);
    assert.ok(report.runtime!.threads >= 1);
    assert.deepEqual(
      report.models.map(({ id, hasWeights }) => [id, hasWeights]),
      [
        ['sam3', false],
        ['sam3-tracker-tiny', true],
      ],
    );
    assert.ok(report.selfTest.some(({ device, problem }) => device === 'cpu' && problem === null));
  });

  it('lists what nvidia-smi lists, and why there is nothing', () => {
    fakeNvidiaSmi("echo 'NVIDIA H200, 143771, 9.0, 570.86'; echo 'NVIDIA L4, 23034, 8.9, 570.86'");
    assert.deepEqual(listGpus(), {
      gpus: [
        { name: 'NVIDIA H200', memoryMiB: 143771, computeCapability: '9.0', driver: '570.86' },
        { name: 'NVIDIA L4', memoryMiB: 23034, computeCapability: '8.9', driver: '570.86' },
      ],
      note: '',
    });
    fakeNvidiaSmi("echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18");
    assert.match(listGpus().note, /nvidia-smi says: Failed to initialize NVML/);
    process.env.PATH = directory;
    rmSync(path.join(directory, 'nvidia-smi'));
    assert.equal(listGpus().note, 'nvidia-smi is not there');
  });

  it('says that a GPU is not used by a CPU build', async function () {
    if (addon().runtimeInfo().cudaDevices > 0) this.skip();
    fakeNvidiaSmi("echo 'NVIDIA L4, 23034, 8.9, 570.86'");
    const { text } = await run();
    assert.match(text, /GPUs: +NVIDIA L4, 23034 MiB, compute capability 8\.9, driver 570\.86/);
    assert.match(
      text,
      /this libtorch is the CPU build: sam3-tracker libtorch install --cuda|libtorch can use none/,
    );
  });

  it('tells a CUDA build without a GPU from one with a GPU, and from a CPU build', async () => {
    const report = JSON.parse((await run('--json')).text) as DoctorReport;
    const text = (build: 'cpu' | 'cuda', cudaDevices: number): string =>
      doctorText({
        ...report,
        libtorch: { ...report.libtorch, chosen: { ...report.libtorch.chosen!, build } },
        runtime: { ...report.runtime!, cudaDevices },
      });
    assert.match(text('cuda', 0), /^libtorch: +.*, CUDA build, in /m);
    assert.match(text('cuda', 0), /^CUDA devices: +0 usable by libtorch: a CUDA build without a GPU$/m);
    assert.match(text('cuda', 1), /^CUDA devices: +1 usable by libtorch$/m);
    assert.match(text('cpu', 0), /^libtorch: +.*, CPU build, in /m);
    assert.match(text('cpu', 0), /^CUDA devices: +0 usable by libtorch$/m);
  });

  it('reports the rest where libtorch is not found, and exits with 1', async () => {
    const source = `process.env.SAM3_TRACKER_LIBTORCH = ${JSON.stringify(path.join(directory, 'none'))};
      const { main } = require(${JSON.stringify(path.join(ROOT, 'lib', 'cli', 'main'))});
      process.exitCode = await main(['doctor', '--json']);`;
    const { code, stdout, stderr } = await runChild(source);
    assert.equal(code, 1, stderr);
    const report = JSON.parse(stdout) as DoctorReport;
    assert.equal(report.libtorch.chosen, null);
    assert.equal(report.runtime, null);
    assert.match(report.libtorch.places[0].problem!, /there is no such directory/);
    assert.match(report.problems[0], /needs libtorch .* and found none/);
    assert.equal(report.system.arch, process.arch);
  });
});
