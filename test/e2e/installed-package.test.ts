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

describe('an installed package', function () {
  this.timeout(60_000);
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
    const { stdout, stderr } = spawnSync(process.execPath, ['--import', 'tsx', '-e', code], {
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
  const LOAD = "require('./lib/native/binding')";

  /** As Node's diagnostic report has it on another system. */
  const reportOf = (header: object): string =>
    `process.report.getReport = () => (${JSON.stringify({ header })});`;

  it('names musl, and a glibc that is too old, before what the linker says', function () {
    if (process.platform !== 'linux') this.skip();
    putPrebuilt({ 'sam3-tracker.node': 'x', 'libtorch_loader.so': 'x' });
    const onMusl = failure(LOAD, reportOf({}));
    assert.equal(onMusl.code, 'ADDON_NOT_LOADED');
    assert.match(onMusl.text, /runs on musl \(Alpine Linux\), for which PyTorch has no libtorch/);
    const onOld = failure(LOAD, reportOf({ glibcVersionRuntime: '2.17' }));
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

  it('says that there are no models where there are none', () => {
    const config = "new (require('./lib/config/sam3-tracker').Sam3TrackerConfig)()";
    const bundled = "require('./lib/checkpoint/pretrained-files').openPretrained('sam3-tracker-tiny')";
    for (const code of [`require('./lib/model/graphs').find_graphs(${config})`, `await ${bundled}`]) {
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
