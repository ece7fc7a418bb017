/** The package as it is installed, without this checkout's build: what it says where a part of it is missing or damaged. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chooseLibtorch, findAddon, openLibtorchLoader } from '../../lib/native/load';
import { PACKAGE_ROOT } from '../../lib/core/package';

interface Failure {
  code: string;
  text: string;
}

describe('an installed package', () => {
  let directory: string;
  const file = (...names: string[]): string => path.join(directory, ...names);
  const real = findAddon();
  const loader = openLibtorchLoader(real);
  const libtorch = chooseLibtorch(real, loader).chosen!.directory!;

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-installed-'));
    cpSync(path.join(PACKAGE_ROOT, 'lib'), file('lib'), { recursive: true });
    cpSync(path.join(PACKAGE_ROOT, 'package.json'), file('package.json'));
    cpSync(path.join(PACKAGE_ROOT, 'tsconfig.json'), file('tsconfig.json'));
    symlinkSync(path.join(PACKAGE_ROOT, 'node_modules'), file('node_modules'));
    mkdirSync(prebuilds(), { recursive: true });
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const prebuilds = (...names: string[]): string =>
    file('prebuilds', `${process.platform}-${process.arch}`, ...names);

  function putPrebuilt(texts: Record<string, string>): void {
    for (const [name, text] of Object.entries(texts)) writeFileSync(prebuilds(name), text);
  }

  /** This checkout's own binary as the prebuilt one. */
  function linkPrebuilt(): void {
    symlinkSync(real.addon, prebuilds('sam3-tracker.node'));
    symlinkSync(real.loader, prebuilds(path.basename(real.loader)));
  }

  /** Runs code in a process of its own, whose home is the package's directory; gives what it prints as JSON. */
  function run<T>(code: string, environment: Record<string, string> = {}): T {
    const clean = { ...process.env, HOME: directory, XDG_CACHE_HOME: '', LIBTORCH: '' };
    const { stdout, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', code], {
      encoding: 'utf8',
      cwd: directory,
      env: { ...clean, SAM3_TRACKER_LIBTORCH: '', ...environment },
    });
    assert.ok(stdout, stderr);
    return JSON.parse(stdout) as T;
  }

  /** The error that code (which may await) ends with. */
  const failure = (code: string, preload = '', environment: Record<string, string> = {}): Failure =>
    run(
      `${preload}
       (async () => { ${code}; })().then(() => console.log('{}'), (error) =>
         console.log(JSON.stringify({ code: error.code, text: error.message })));`,
      environment,
    );
  const LOAD = "require('./lib/native/binding').addon()";

  /** As detect-libc tells of another system. */
  const onLibc = (family: string, version: string | null): string =>
    `Object.assign(require('detect-libc'), {
       familySync: () => ${JSON.stringify(family)}, versionSync: () => ${JSON.stringify(version)} });`;

  it('names musl, and a glibc that is too old, before what the linker says', function () {
    if (process.platform !== 'linux') this.skip();
    putPrebuilt({ 'sam3-tracker.node': 'x', 'libtorch_loader.so': 'x' });
    const onMusl = failure(LOAD, onLibc('musl', '1.2.5'));
    assert.equal(onMusl.code, 'ADDON_NOT_LOADED');
    assert.match(onMusl.text, /runs on musl \(Alpine Linux\), for which PyTorch has no libtorch/);
    const onOld = failure(LOAD, onLibc('glibc', '2.17'));
    assert.match(onOld.text, /glibc is 2\.17 and the prebuilt binary needs 2\.\d+ or later/);
  });

  it('names every place where no libtorch is, and the command that gets one', () => {
    linkPrebuilt();
    const withoutPython = { PATH: directory };
    const { code, text } = failure(LOAD, '', withoutPython);
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(text, new RegExp(`needs libtorch ${loader.builtFor} and found none that it can use`));
    for (const line of [
      'SAM3_TRACKER_LIBTORCH: not set',
      'LIBTORCH: not set',
      `"sam3-tracker libtorch install --cpu": not run, or not finished \\(${directory}.*-cpu\\)`,
      `"sam3-tracker libtorch install --cuda": not run, or not finished \\(${directory}.*-cuda\\)`,
      'python3 on PATH: there is no Python',
    ])
      assert.match(text, new RegExp(`^  - ${line}$`, 'm'));
    assert.match(text, /Get one with "npx sam3-tracker libtorch install --cpu" \(or --cuda\)/);
  });

  it('imports and works without libtorch as far as nothing is computed', () => {
    linkPrebuilt();
    const spy = "require('node:child_process').spawnSync = () => { throw new Error('a process'); };";
    const { area, config, polygons, loaded } = run<Record<string, unknown>>(
      `${spy}
       const m = require('./lib/index');
       const mask = { data: Uint8Array.from({ length: 64 }, (_, i) => (i % 8 > 1 && i > 15 ? 1 : 0)), dims: [8, 8] };
       console.log(JSON.stringify({
         area: m.mask_area(m.mask_to_rle(mask)),
         config: new m.Sam3TrackerConfig().model_type,
         polygons: m.mask_to_polygons(mask).length,
         loaded: process.report.getReport().sharedObjects.some((file) => /torch|sam3/.test(file)),
       }));`,
      { PATH: directory },
    );
    assert.deepEqual(
      { area, config, polygons, loaded },
      { area: 36, config: 'sam3_tracker', polygons: 1, loaded: false },
    );
  });

  it('says what helps where libtorch is missing: rejects, and throws only where a call is synchronous', () => {
    linkPrebuilt();
    symlinkSync(path.join(PACKAGE_ROOT, 'models'), file('models'));
    const calls = {
      from_pretrained: "m.Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', { device: 'cpu' })",
      auto: "m.AutoModel.from_pretrained('sam3-tracker-tiny')",
      pipeline: "m.pipeline('mask-generation')",
      first_call: "new m.Sam3TrackerModel(CONFIG, { device: 'cpu' }).get_image_wide_positional_embeddings()",
      move: "new m.Sam3TrackerModel(CONFIG, { device: 'cpu' }).to('float16')",
      image_processor: 'new m.Sam3ImageProcessor()(new m.RawImage(new Uint8Array(192), 8, 8, 3))',
      processor:
        'new m.Sam3TrackerProcessor(new m.Sam3ImageProcessor())({ original_sizes: [[8, 8]], input_points: [[[[1, 1]]]] })',
      post_process_masks:
        'new m.Sam3ImageProcessor().post_process_masks([{ data: new Float32Array(4), dims: [1, 1, 2, 2] }], [[8, 8]])',
      tensor: "new m.Tensor('float32', [1], [1])",
      model: 'new m.Sam3TrackerModel(CONFIG)',
    };
    const found = run<Record<string, { code: string; text: string; threw: boolean }>>(
      `const m = require('./lib/index');
       const { readFileSync } = require('node:fs');
       const CONFIG = m.Sam3TrackerConfig.from_dict(JSON.parse(readFileSync('models/sam3-tracker-tiny/config.json')));
       const calls = { ${Object.entries(calls)
         .map(([name, call]) => `${name}: () => ${call}`)
         .join(', ')} };
       const found = {};
       (async () => {
         for (const [name, call] of Object.entries(calls)) {
           let threw = true;
           try { const pending = call(); threw = false; await pending; }
           catch (error) { found[name] = { code: error.code, text: error.message, threw }; }
         }
         console.log(JSON.stringify(found));
       })();`,
      { PATH: directory },
    );
    assert.deepEqual(Object.keys(found), Object.keys(calls));
    for (const [name, { code, text, threw }] of Object.entries(found)) {
      assert.equal(code, 'LIBTORCH_NOT_FOUND', `${name}: ${text}`);
      assert.match(
        text,
        /needs libtorch .* and found none .*[^]*Get one with "npx sam3-tracker libtorch install/,
      );
      assert.equal(threw, ['tensor', 'model'].includes(name), name);
    }
  });

  it('says that there are no models where there are none', () => {
    const config = "new (require('./lib/config/sam3-tracker').Sam3TrackerConfig)()";
    const bundled = "require('./lib/checkpoint/pretrained-files').openPretrained('sam3-tracker-tiny')";
    for (const code of [`require('./lib/model/graphs').findGraphs(${config})`, `await ${bundled}`]) {
      const failed = failure(code);
      assert.equal(failed.code, 'FILE_NOT_FOUND');
      assert.match(failed.text, /has no models \(.*models\): install the package again/);
    }
  });

  it('has doctor call missing models a problem', () => {
    linkPrebuilt();
    const { models, problems, code } = run<{ models: []; problems: string[]; code: number }>(
      `let text = '';
       const output = { stdout: { write: (piece) => (text += piece) }, stderr: process.stderr };
       require('./lib/cli/main').main(['doctor', '--json'], output)
         .then((code) => console.log(JSON.stringify({ ...JSON.parse(text), code })));`,
      { SAM3_TRACKER_LIBTORCH: libtorch },
    );
    assert.deepEqual(models, []);
    assert.match(
      problems[0],
      /self-test failed on cpu: .*has no models \(.*models\): install the package again/,
    );
    assert.equal(code, 1);
  });

  it('names the platform that has no binary', () => {
    const { code, text } = failure(LOAD);
    assert.equal(code, 'ADDON_NOT_LOADED');
    assert.match(text, new RegExp(`has no binary for ${process.platform}-${process.arch}`));
    assert.match(text, /sam3-tracker doctor/);
  });

  it('says to whom a bundler or a deployment has left no binaries what to copy', () => {
    rmSync(file('prebuilds'), { recursive: true });
    const { code, text } = failure(LOAD);
    assert.equal(code, 'ADDON_NOT_LOADED');
    assert.match(text, /prebuilds is missing\. .*outputFileTracingIncludes.*docs\/deployment\.md/);
    assert.doesNotMatch(text, /checkout/);
  });

  it('tells a damaged prebuilt binary by its hash, and a missing one', () => {
    putPrebuilt({
      'sam3-tracker.node': 'damaged',
      'build.json': JSON.stringify({ files: { 'sam3-tracker.node': 'abc' } }),
    });
    const damaged = failure(LOAD);
    assert.equal(damaged.code, 'ADDON_NOT_LOADED');
    assert.match(damaged.text, /sam3-tracker\.node is damaged\. Install the package again/);
    putPrebuilt({ 'build.json': JSON.stringify({ files: { 'libtorch_loader.so': 'abc' } }) });
    assert.match(failure(LOAD).text, /libtorch_loader\.so is missing\. Install the package again/);
    putPrebuilt({ 'build.json': '{' });
    const { code, text } = failure(LOAD);
    assert.equal(code, 'ADDON_NOT_LOADED');
    assert.match(text, /build\.json is damaged\. Install the package again/);
  });

  it('tells a damaged prebuilt binary without hashes by what the linker says', () => {
    putPrebuilt({ 'sam3-tracker.node': 'x', 'libtorch_loader.so': 'x' });
    const { code, text } = failure(LOAD);
    assert.equal(code, 'ADDON_NOT_LOADED');
    assert.match(text, /libtorch_loader\.so: .*the file is damaged or of another platform/);
  });
});
