/** What `npm run release:check` refuses to publish, and what lies in the tarball. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findAddon, openLibtorchLoader } from '../../lib/native/load';
import { PACKAGE_MANIFEST } from '../../lib/core/package';

const ROOT = path.join(__dirname, '..', '..');
const PREBUILDS = 'prebuilds/linux-x64';

interface Packed {
  files: { path: string }[];
  size: number;
}
type Check = (root: string) => string[];
interface ReleaseChecks {
  versionFaults: Check;
  changelogFaults: Check;
  binaryFaults: Check;
  licenceFaults: Check;
  distFaults: Check;
  tarballFaults: (packed: Packed) => string[];
}

describe('a release', () => {
  let checks: ReleaseChecks;
  let directory: string;
  const file = (name: string): string => path.join(directory, name);

  function write(name: string, text: string): void {
    mkdirSync(path.dirname(file(name)), { recursive: true });
    writeFileSync(file(name), text);
  }
  function copy(name: string): void {
    mkdirSync(path.dirname(file(name)), { recursive: true });
    copyFileSync(path.join(ROOT, name), file(name));
  }

  before(async () => {
    const module = path.join(ROOT, 'scripts', 'setup', 'release.mjs');
    checks = (await import(pathToFileURL(module).href)) as ReleaseChecks;
  });
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-release-'));
    for (const name of ['package.json', 'package-lock.json', 'scripts/requirements-libtorch.txt']) copy(name);
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  it('needs a dated section in the changelog, one version everywhere, and the pinned libtorch', () => {
    const { version } = PACKAGE_MANIFEST;
    write('CHANGELOG.md', `# Changelog\n\n## ${version} - 2026-12-01\n`);
    assert.deepEqual(checks.changelogFaults(directory), []);
    write('CHANGELOG.md', '# Changelog\n\n## Unreleased\n');
    const [changelog, ...more] = checks.changelogFaults(directory);
    assert.match(changelog, /^CHANGELOG\.md has no dated section for version/);
    assert.deepEqual(more, []);
    assert.deepEqual(checks.versionFaults(directory), []);
    write('package-lock.json', JSON.stringify({ version: '9.9.9' }));
    write(`${PREBUILDS}/build.json`, JSON.stringify({ libtorch: '1.0.0+cpu', files: {} }));
    const [lock, libtorch, ...others] = checks.versionFaults(directory);
    assert.equal(lock, `package-lock.json is of version 9.9.9, package.json of ${version}`);
    assert.match(
      libtorch,
      /^linux-x64 was built against libtorch 1\.0\.0\+cpu, requirements-libtorch\.txt has 2\./,
    );
    assert.deepEqual(others, []);
    const manifest = JSON.parse(readFileSync(file('package.json'), 'utf8')) as object;
    write('package.json', JSON.stringify({ ...manifest, version: 'next' }));
    assert.ok(checks.versionFaults(directory).includes('next is no semantic version'));
  });

  const list = (files: object): void =>
    write(
      `${PREBUILDS}/build.json`,
      JSON.stringify({ libtorch: openLibtorchLoader(findAddon()).builtFor, files }),
    );

  /** Puts the loader that was built here in the place of a prebuilt one, and lists it. */
  function prebuild(): void {
    mkdirSync(file(PREBUILDS), { recursive: true });
    const library = path.join(file(PREBUILDS), 'libtorch_loader.so');
    execFileSync('strip', ['--strip-all', '-o', library, findAddon().loader]);
    list({ 'libtorch_loader.so': createHash('sha256').update(readFileSync(library)).digest('hex') });
  }

  it('needs the prebuilt binary, and the one that its list describes', function () {
    if (process.platform !== 'linux') this.skip();
    assert.deepEqual(checks.binaryFaults(directory), [`${PREBUILDS} is missing: npm run prebuild`]);
    prebuild();
    assert.deepEqual(checks.binaryFaults(directory), []);
    list({ 'libtorch_loader.so': 'another', 'sam3-tracker.node': 'x' });
    assert.deepEqual(checks.binaryFaults(directory), [
      `${PREBUILDS}/libtorch_loader.so is not the file that build.json describes: npm run prebuild`,
      `${PREBUILDS}/sam3-tracker.node is missing: npm run prebuild`,
    ]);
  });

  it('needs the licence of everything that is shipped', () => {
    assert.deepEqual(checks.licenceFaults(ROOT), []);
    write('THIRD_PARTY_LICENSES.md', '[PyTorch](x), [a card](models/a/README.md)');
    write('models/a/README.md', 'nothing');
    write('models/b/README.md', 'MIT');
    assert.deepEqual(checks.licenceFaults(directory), [
      'THIRD_PARTY_LICENSES.md does not list node-addon-api, which is compiled into the binary',
      'models/a/README.md names no licence',
      'THIRD_PARTY_LICENSES.md does not list models/b with its card',
    ]);
  });

  it('needs a dist that is newer than lib', () => {
    write('lib/index.ts', '');
    assert.deepEqual(checks.distFaults(directory), ['dist is missing: npm run setup']);
    write('dist/index.js', '');
    assert.deepEqual(checks.distFaults(directory), []);
    utimesSync(file('dist/index.js'), 1, 1);
    assert.deepEqual(checks.distFaults(directory), ['dist is older than lib: npm run setup']);
  });

  it('has no install script, and packs all that is needed and nothing that npm would build or users do not need', () => {
    const manifest = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
      scripts: Record<string, string>;
      gypfile: boolean;
    };
    for (const name of ['preinstall', 'install', 'postinstall', 'prepare'])
      assert.equal(manifest.scripts[name], undefined, name);
    assert.equal(manifest.gypfile, false);
    const pack = ['pack', '--dry-run', '--json', '--ignore-scripts'];
    const [packed] = JSON.parse(execFileSync('npm', pack, { cwd: ROOT, encoding: 'utf8' })) as Packed[];
    const names = packed.files.map((entry) => entry.path);
    assert.ok(names.includes('models/sam3-tracker-tiny/model.safetensors'));
    // prebuilds/ and dist/ are there only once they are built.
    const unbuilt = /^the tarball lacks (?:prebuilds|dist)\//;
    assert.deepEqual(
      checks.tarballFaults(packed).filter((fault) => !unbuilt.test(fault)),
      [],
    );
    const strangers = ['binding.gyp', 'native/addon/addon.cc', 'dist/index.js.map', 'scripts/setup.mjs'];
    const others = { files: strangers.map((name) => ({ path: name })), size: 41e6 };
    const faults = checks.tarballFaults(others);
    for (const name of strangers) assert.ok(faults.includes(`the tarball holds ${name}`), name);
    assert.ok(faults.includes('the tarball lacks dist/index.d.ts'));
    // Without these there is no facebook/sam3.
    for (const name of ['config.json', 'torchscript/vision_encoder.pt', 'torchscript/manifest.json'])
      assert.ok(faults.includes(`the tarball lacks models/sam3/${name}`), name);
    assert.ok(faults.includes('the tarball has 41.0 MB, more than 40'));
  });

  it('is packed between two releases too, and without a prebuilt binary refused with the reason', function () {
    if (process.platform !== 'linux') this.skip();
    // A checkout in small: npm runs the script of the real one (prepack).
    cpSync(path.join(ROOT, 'scripts', 'setup'), file('scripts/setup'), { recursive: true });
    for (const name of ['scripts/check_release.mjs', 'scripts/readme_links.mjs', 'THIRD_PARTY_LICENSES.md'])
      copy(name);
    const readme = 'See [the changes](CHANGELOG.md).\n';
    write('README.md', readme);
    for (const name of ['sam3', 'sam3-tracker-tiny']) copy(`models/${name}/README.md`);
    write('CHANGELOG.md', '# Changelog\n\n## Unreleased\n');
    write('lib/index.ts', '');
    write('dist/index.js', '');
    const run = (command: string, ...args: string[]) =>
      spawnSync(command, args, { cwd: directory, encoding: 'utf8' });
    // Whatever level the npm that runs the tests was given.
    const pack = ['pack', '--dry-run', '--loglevel', 'notice'];
    const refused = run('npm', ...pack);
    assert.notEqual(refused.status, 0);
    assert.deepEqual(refused.stderr.match(/^release: .*$/gm), [
      'release: prebuilds/linux-x64 is missing: npm run prebuild',
    ]);
    prebuild();
    const packed = run('npm', ...pack);
    assert.equal(packed.status, 0, packed.stderr);
    assert.match(packed.stderr, /prebuilds\/linux-x64\/libtorch_loader\.so/);
    // npm's page shows no files beside README.md.
    const repository = 'github:owner/name';
    const given = JSON.parse(readFileSync(file('package.json'), 'utf8')) as { version: string };
    write('package.json', JSON.stringify({ ...given, repository }));
    const [{ filename }] = JSON.parse(run('npm', 'pack', '--json').stdout.replace(/^[^[]*/, '')) as {
      filename: string;
    }[];
    const shown = execFileSync('tar', ['-xzOf', file(filename), 'package/README.md'], { encoding: 'utf8' });
    const base = `https://github.com/owner/name/blob/v${given.version}`;
    assert.equal(shown, `See [the changes](${base}/CHANGELOG.md).\n`);
    assert.equal(readFileSync(file('README.md'), 'utf8'), readme);
    // To publish it, the date is needed.
    const { status, stderr } = run(process.execPath, 'scripts/check_release.mjs');
    assert.equal(status, 1);
    assert.deepEqual(stderr.match(/^release: .*$/gm)?.length, 1, stderr);
    assert.match(stderr, /^release: CHANGELOG\.md has no dated section for version/);
  });
});
