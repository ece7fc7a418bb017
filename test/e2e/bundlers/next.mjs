#!/usr/bin/env node
/**
 * A Next.js site with the packed package: built without libtorch, as a whole and standalone, and asked for a mask. Not
 * part of npm test: it fetches Next.js, and needs prebuilds/ (npm run prebuild) and dist/.
 *
 *   node test/e2e/bundlers/next.mjs [VERSION]
 */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { provideLibtorch } from '../../../scripts/setup/libtorch.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const [version = 'latest'] = process.argv.slice(2);
const site = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-next-')));
process.once('exit', () => rmSync(site, { recursive: true, force: true }));

function run(command, args, options) {
  const result = spawnSync(command, args, { cwd: site, encoding: 'utf8', ...options });
  if (result.status === 0) return result.stdout;
  throw new Error(`${[command, ...args].join(' ')} failed:\n${result.stdout}${result.stderr}`);
}

/** The settings that docs/deployment.md shows. */
function settings() {
  const page = readFileSync(path.join(root, 'docs', 'deployment.md'), 'utf8');
  return /```js\n\/\/ next\.config\.mjs\n([^]*?)```/.exec(page)[1];
}

const ROUTE = `
import { RawImage, Sam3TrackerModel, Sam3TrackerProcessor } from 'sam3-tracker';

let loaded;
const load = () =>
  (loaded ??= Promise.all([
    Sam3TrackerModel.from_pretrained('sam3-tracker-tiny'),
    Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny'),
  ]));

export async function POST(request) {
  const [model, processor] = await load();
  const images = await request.arrayBuffer();
  const inputs = await processor({ images, input_points: [[[[235, 215]]]], input_labels: [[[1]]] });
  const { masks } = await model.predict_masks({ ...inputs, multimask_output: false });
  return Response.json(masks[0].dims);
}
`;

function writeSite(tarball) {
  const write = (name, text) => {
    mkdirSync(path.dirname(path.join(site, name)), { recursive: true });
    writeFileSync(path.join(site, name), text);
  };
  const dependencies = {
    next: version,
    react: 'latest',
    'react-dom': 'latest',
    'sam3-tracker': `file:${tarball}`,
  };
  write('package.json', JSON.stringify({ name: 'site', private: true, dependencies }));
  write('next.config.mjs', settings());
  write('app/layout.js', 'export default ({ children }) => <html><body>{children}</body></html>;');
  write('app/page.js', 'export default () => <p>Segment</p>;');
  write('app/api/segment/route.js', ROUTE);
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  return port;
}

/** Starts the site and asks for the mask of a click. */
async function ask(args, cwd, libtorch) {
  const port = await freePort();
  const server = spawn(process.execPath, args, {
    cwd,
    env: { ...process.env, PORT: String(port), HOSTNAME: '127.0.0.1', SAM3_TRACKER_LIBTORCH: libtorch },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [server.stdout, server.stderr]) stream.on('data', (text) => (output += text));
  const ended = once(server, 'close');
  try {
    const body = readFileSync(path.join(root, 'examples', 'images', 'coffee.png'));
    for (let attempt = 0; ; attempt++) {
      try {
        const response = await fetch(`http://127.0.0.1:${port}/api/segment`, { method: 'POST', body });
        assert.equal(response.status, 200, output);
        return await response.json();
      } catch (error) {
        if (error.cause?.code !== 'ECONNREFUSED' || attempt === 120 || server.exitCode !== null) throw error;
        await sleep(250);
      }
    }
  } finally {
    server.kill();
    await ended;
  }
}

const [{ filename }] = JSON.parse(
  run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', site], { cwd: root }),
);
writeSite(path.join(site, filename));
run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--no-package-lock']);
const next = path.join(site, 'node_modules', 'next', 'dist', 'bin', 'next');
const began = performance.now();
run(process.execPath, [next, 'build'], {
  // A machine that builds has no libtorch.
  env: { ...process.env, SAM3_TRACKER_LIBTORCH: path.join(site, 'none'), NEXT_TELEMETRY_DISABLED: '1' },
});
const seconds = ((performance.now() - began) / 1000).toFixed(0);
const libtorch = await provideLibtorch(root, () => {});
const standalone = path.join(site, '.next', 'standalone');
// Away from the site's node_modules, as in an image that is shipped.
const shipped = path.join(site, 'shipped');
run('cp', ['-r', standalone, shipped]);
rmSync(path.join(site, 'node_modules'), { recursive: true });
assert.deepEqual(await ask(['server.js'], shipped, libtorch), [1, 1, 400, 600]);
const { version: built } = JSON.parse(
  readFileSync(path.join(shipped, 'node_modules', 'next', 'package.json'), 'utf8'),
);
process.stdout.write(
  `Next.js ${built}: built without libtorch in ${seconds} s; the standalone server segments.\n`,
);
