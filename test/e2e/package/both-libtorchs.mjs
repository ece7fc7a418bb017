#!/usr/bin/env node
/**
 * One prebuilt binary, two libtorchs: runs the tool of this checkout (dist/ and prebuilds/) with a CPU libtorch and with
 * the CUDA libtorch of the same version, on the CPU and, where there is no GPU, asks for one. Prints what it found; exit
 * code 0 where all is as it has to be. Not part of npm test: a CUDA libtorch is gigabytes.
 *
 *   node test/e2e/package/both-libtorchs.mjs --cpu DIR --cuda DIR
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const { values } = parseArgs({ options: { cpu: { type: 'string' }, cuda: { type: 'string' } } });
assert.ok(values.cpu && values.cuda, '--cpu DIR and --cuda DIR are needed');

function tool(libtorch, ...args) {
  return spawnSync(process.execPath, [path.join(root, 'dist', 'cli', 'main.js'), ...args], {
    cwd: root,
    encoding: 'utf8',
    // Not what was built here, but what is shipped.
    env: { ...process.env, SAM3_TRACKER_LIBTORCH: libtorch, PREBUILDS_ONLY: '1' },
  });
}

const click = ['segment', 'examples/images/coffee.png', '--point', '235,215', '--json', '--device'];

function examine(build, libtorch) {
  const doctor = tool(libtorch, 'doctor', '--json');
  assert.ok(doctor.stdout, doctor.stderr);
  const report = JSON.parse(doctor.stdout);
  assert.deepEqual(report.problems, []);
  assert.equal(report.addon.origin, 'prebuilt');
  assert.equal(report.libtorch.chosen.build, build);
  const onCpu = tool(libtorch, ...click, 'cpu');
  assert.equal(onCpu.status, 0, onCpu.stderr);
  process.stdout.write(`${report.libtorch.chosen.version}: ${report.runtime.cudaDevices} CUDA devices\n`);
  const [{ objects }] = JSON.parse(onCpu.stdout);
  const [{ iou_score, area }] = objects[0].masks;
  process.stdout.write(`  device cpu: score ${iou_score}, ${area} pixels\n`);
  if (report.runtime.cudaDevices === 0) {
    const onCuda = tool(libtorch, ...click, 'cuda');
    assert.equal(onCuda.status, 1);
    const why =
      build === 'cuda' ? /CUDA build, and there is no GPU/ : /CPU build \(.*libtorch install --cuda/;
    assert.match(onCuda.stderr, why);
    process.stdout.write(`  device cuda: ${onCuda.stderr.trim().split('\n').at(-1)}\n`);
  }
  return { iou_score, area };
}

const onCpuBuild = examine('cpu', values.cpu);
const onCudaBuild = examine('cuda', values.cuda);
// Two builds of PyTorch may sum in another order; the masks have to be the same but for a pixel in 10,000.
assert.ok(Math.abs(onCpuBuild.iou_score - onCudaBuild.iou_score) < 1e-4);
assert.ok(Math.abs(onCpuBuild.area - onCudaBuild.area) <= onCpuBuild.area * 1e-4);
process.stdout.write('The same binary works with both.\n');
