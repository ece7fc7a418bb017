/** Finding and loading the binary and libtorch: every way in which it fails, in processes of their own. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  cacheDirectory,
  inspectLibtorch,
  installDirectory,
  libtorchPlaces,
} from '../../../lib/native/libtorch';
import { chooseLibtorch, findAddon, openLibtorchLoader } from '../../../lib/native/load';
import { PACKAGE_ROOT, checkNodeVersion } from '../../../lib/core/package';

const files = findAddon();
const loader = openLibtorchLoader(files);
const release = loader.builtFor;
/** The libtorch that these tests run with. */
const libtorch = (() => {
  const { chosen } = chooseLibtorch(files, loader);
  assert.ok(chosen?.directory);
  return chosen.directory;
})();
/** Not the whole library: each of these processes has to compile what it loads. */
const LIBRARY = path.join(PACKAGE_ROOT, 'lib', 'native', 'binding');
const ENTRY = path.join(PACKAGE_ROOT, 'lib', 'index');
const LOADS =
  'const native = addon(); new native.Tensor("float32", [2], null).dispose(); console.log("loaded");';

/** As under Node's permission model. */
const NO_CHILD = `require('node:child_process').spawnSync =
  () => ({ error: Object.assign(new Error('no'), { code: 'EPERM' }) });`;

describe('loading the addon', () => {
  let directory: string;
  const file = (...names: string[]): string => path.join(directory, ...names);

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-loader-'));
  });
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  /** Loads the library in a process of its own; the probe remembers in the test's directory. */
  function run(
    environment: Record<string, string> = {},
    preload = '',
    library = LIBRARY,
  ): { code: string; text: string } {
    const source = `${preload}
      try { const { addon } = require(${JSON.stringify(library)}); ${LOADS} }
      catch (error) { console.log(JSON.stringify({ code: error.code, text: error.message })); }`;
    const { stdout, stderr, status } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', source], {
      encoding: 'utf8',
      cwd: PACKAGE_ROOT,
      env: { ...process.env, HOME: directory, XDG_CACHE_HOME: '', LIBTORCH: '', ...environment },
    });
    assert.equal(status, 0, stderr);
    return stdout.trim() === 'loaded'
      ? { code: 'loaded', text: '' }
      : (JSON.parse(stdout) as { code: string; text: string });
  }

  /** A libtorch whose libraries are links to the real ones, all but those that are given as text. */
  function fakeLibtorch(
    name: string,
    replaced: Record<string, string | null> = {},
    version?: string,
  ): string {
    mkdirSync(file(name, 'lib'), { recursive: true });
    for (const library of ['libgomp.so.1', 'libc10.so', 'libtorch_cpu.so', 'libtorch.so']) {
      const text = replaced[library];
      if (text === null) continue;
      if (text === undefined) symlinkSync(path.join(libtorch, 'lib', library), file(name, 'lib', library));
      else writeFileSync(file(name, 'lib', library), text);
    }
    if (version) writeFileSync(file(name, 'build-version'), `${version}\n`);
    return file(name);
  }

  it('loads a libtorch by hand: the directory, the one above it, or its lib', () => {
    const place = fakeLibtorch('by-hand/torch');
    for (const named of [place, path.dirname(place), path.join(place, 'lib')])
      assert.equal(run({ SAM3_TRACKER_LIBTORCH: named }).code, 'loaded', named);
  });

  it('remembers what loaded, and tries again where a file has changed', () => {
    const place = fakeLibtorch('place');
    assert.equal(run({ SAM3_TRACKER_LIBTORCH: place }).code, 'loaded');
    const remembered = JSON.parse(
      readFileSync(file('.cache', 'sam3-tracker', 'probe.json'), 'utf8'),
    ) as string[];
    assert.equal(remembered.length, 1);
    rmSync(file('place', 'lib', 'libc10.so'));
    writeFileSync(file('place', 'lib', 'libc10.so'), 'changed');
    assert.equal(run({ SAM3_TRACKER_LIBTORCH: place }).code, 'LIBTORCH_NOT_FOUND');
  });

  it('says what SAM3_TRACKER_LIBTORCH misses, and takes no other in its place', () => {
    const { code, text } = run({ SAM3_TRACKER_LIBTORCH: file('nowhere'), LIBTORCH: libtorch });
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(text, /needs libtorch \d+\.\d+\.\d+ and found none/);
    assert.match(text, /SAM3_TRACKER_LIBTORCH \(.*nowhere\): there is no such directory/);
    assert.match(
      text,
      /asked for by name \(SAM3_TRACKER_LIBTORCH\).* libtorch install" \(--cpu or --cuda, --dir .* doctor" shows/,
    );
    const empty = fakeLibtorch('empty', { 'libtorch.so': null });
    assert.match(run({ SAM3_TRACKER_LIBTORCH: empty }).text, /no libtorch: lib\/libtorch\.so is missing/);
  });

  it('refuses another version by its files', () => {
    const place = fakeLibtorch('old', {}, '2.5.1+cpu');
    const { code, text } = run({ SAM3_TRACKER_LIBTORCH: place });
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(text, /version 2\.5\.1\+cpu, and the addon was built for \d/);
  });

  it('names a library that is damaged, and one that is not installed', () => {
    const damaged = fakeLibtorch('damaged', { 'libgomp.so.1': 'not a library' });
    const { code, text } = run({ SAM3_TRACKER_LIBTORCH: damaged });
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(
      text,
      /libgomp\.so\.1: .*(file too short|invalid ELF header).*damaged or of another platform/,
    );
    const missing = fakeLibtorch('missing', { 'libc10.so': null });
    // Not seen in the files where another libtorch of the system has it: only the three main ones are looked for.
    assert.match(run({ SAM3_TRACKER_LIBTORCH: missing }).text, /lib\/libc10\.so is missing/);
  });

  it('names what the system lacks, and the command that installs it', function () {
    const source = file('empty.c');
    writeFileSync(source, '');
    const compile = (library: string, ...options: string[]): boolean =>
      spawnSync('cc', ['-shared', '-fPIC', '-Wl,--no-as-needed', '-o', library, source, ...options])
        .status === 0;
    for (const [name, hint] of [
      ['libgomp.so.9', /apt-get install libgomp1 \(Debian, Ubuntu\), dnf install libgomp/],
      ['libstdc++.so.9', /apt-get install libstdc\+\+6/],
      ['libcudart.so.9', /NVIDIA libraries of this CUDA build .*"sam3-tracker libtorch install --cuda"/],
      ['libunheard-of.so.9', /a library that it needs is not installed/],
    ] as const) {
      const place = fakeLibtorch(`needs-${name}`, { 'libc10.so': null });
      // There while libc10.so is linked, and gone when it is loaded.
      if (!compile(file(name), `-Wl,-soname,${name}`)) this.skip();
      assert.ok(compile(path.join(place, 'lib', 'libc10.so'), '-Wl,-soname,libc10.so', file(name)));
      const { code, text } = run({ SAM3_TRACKER_LIBTORCH: place });
      assert.equal(code, 'LIBTORCH_NOT_FOUND');
      assert.ok(text.includes(`${name}: cannot open shared object file`), text);
      assert.match(text, hint);
    }
  });

  it("names the build and the command where 'cuda' is asked for and cannot be had", function () {
    const source = `
      const { addon } = require(${JSON.stringify(LIBRARY)});
      const { Sam3TrackerModel } = require(${JSON.stringify(ENTRY)});
      if (addon().runtimeInfo().cudaDevices > 0) console.log(JSON.stringify({ devices: true }));
      else Sam3TrackerModel.from_pretrained('sam3-tracker-tiny', { device: 'cuda' }).catch((error) =>
        console.log(JSON.stringify({ code: error.code, text: error.message })));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', source], {
      encoding: 'utf8',
      cwd: PACKAGE_ROOT,
    });
    assert.ok(stdout, stderr);
    const { devices, code, text } = JSON.parse(stdout) as { devices?: true; code: string; text: string };
    if (devices) this.skip();
    assert.equal(code, 'DEVICE_UNAVAILABLE');
    assert.match(
      text,
      inspectLibtorch('', libtorch, release).build === 'cpu'
        ? /Device cuda:0 is not available: the loaded libtorch is a CPU build \("npx sam3-tracker libtorch install --cuda"/
        : /Device cuda:0 is not available: the loaded libtorch is a CUDA build, and there is no GPU/,
    );
    assert.match(text, /Pass device: 'cpu', or 'auto'/);
  });

  it('survives a libtorch that crashes while it loads', function () {
    const source = file('crash.c');
    writeFileSync(source, '#include <stdlib.h>\n__attribute__((constructor)) void f(void) { abort(); }\n');
    const place = fakeLibtorch('crash', { 'libgomp.so.1': null });
    const library = path.join(place, 'lib', 'libgomp.so.1');
    if (spawnSync('cc', ['-shared', '-fPIC', '-o', library, source]).status !== 0) this.skip();
    const { code, text } = run({ SAM3_TRACKER_LIBTORCH: place });
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(text, /loading it ended a process with SIGABRT/);
  });

  it('refuses a libtorch that says to be another version than its files do, or none', function () {
    const source = file('other.c');
    const place = fakeLibtorch('other', { 'libtorch_cpu.so': null }, release);
    const library = path.join(place, 'lib', 'libtorch_cpu.so');
    const compile = (text: string): boolean => {
      writeFileSync(source, text);
      const options = ['-shared', '-fPIC', '-Wl,-soname,libtorch_cpu.so', '-o', library, source];
      return spawnSync('cc', options).status === 0;
    };
    const version = 'unsigned long long aoti_torch_abi_version(void) { return 2ULL << 56 | 99ULL << 48; }\n';
    if (!compile(version)) this.skip();
    assert.match(run({ SAM3_TRACKER_LIBTORCH: place }).text, /it says to be version 2\.99\.0, and the addon/);
    compile('int nothing;\n');
    const unknown = /it says to be version unknown, and the addon was built for/;
    assert.match(run({ SAM3_TRACKER_LIBTORCH: place }).text, unknown);
    // Without a child process too, where no file says the version.
    rmSync(path.join(place, 'build-version'));
    const { code, text } = run({ SAM3_TRACKER_LIBTORCH: place }, NO_CHILD);
    assert.equal(code, 'LIBTORCH_NOT_FOUND');
    assert.match(text, unknown);
    // Something else has loaded it: there is nothing that was asked for by name.
    const load = (name: string): string => `{ const module = { exports: {} };
      process.dlopen(module, ${JSON.stringify(files.loader)}); module.exports.open(${JSON.stringify(name)}); }`;
    const loaded = run({ SAM3_TRACKER_LIBTORCH: libtorch }, load(library));
    assert.equal(loaded.code, 'LIBTORCH_NOT_FOUND');
    assert.match(loaded.text, /already loaded in this process \(.*other\): it says to be version unknown/);
    assert.match(loaded.text, /Load sam3-tracker before it or in a process of its own.* libtorch install"/);
    assert.doesNotMatch(loaded.text, /asked for by name/);
  });

  it('says what the binary needs where the system is too old for it, whatever libtorch is there', () => {
    const missing = (library: string): string =>
      JSON.stringify({
        problem: `/lib/libstdc++.so.6: version \`GLIBCXX_3.4.30' not found (required by ${library})`,
      });
    const answer = (text: string): string => `require('node:child_process').spawnSync =
      () => ({ status: 0, stdout: ${JSON.stringify(text)}, stderr: '' });`;
    const environment = { SAM3_TRACKER_LIBTORCH: libtorch };
    const { code, text } = run(environment, answer(missing(files.addon)));
    assert.equal(code, 'ADDON_NOT_LOADED');
    assert.match(text, /needs glibc [\d.]+ and a libstdc\+\+ with GLIBCXX_[\d.]+ and CXXABI_[\d.]+ or later/);
    assert.match(text, /Tried with:\n {2}- SAM3_TRACKER_LIBTORCH .*GLIBCXX_3\.4\.30' not found/);
    assert.doesNotMatch(text, /libtorch install/);
    const other = run(environment, answer(missing(path.join(libtorch, 'lib', 'libc10.so'))));
    assert.equal(other.code, 'LIBTORCH_NOT_FOUND');
  });

  it('is not misled by another torch in LD_LIBRARY_PATH', () => {
    const other = fakeLibtorch('other', { 'libc10.so': 'x', 'libtorch_cpu.so': 'x', 'libtorch.so': 'x' });
    const environment = { SAM3_TRACKER_LIBTORCH: libtorch, LD_LIBRARY_PATH: path.join(other, 'lib') };
    assert.equal(run(environment).code, 'loaded');
  });

  it('works with a home that cannot be written to, or is none', () => {
    for (const HOME of [path.join(__filename, 'none'), '/dev/null/none'])
      assert.equal(run({ SAM3_TRACKER_LIBTORCH: libtorch, HOME }).code, 'loaded', HOME);
  });

  it('works with a home that this user may only read', function () {
    const home = file('home');
    mkdirSync(home);
    chmodSync(home, 0o555);
    chmodSync(directory, 0o755);
    // Nothing is read-only for root: the process goes on as nobody, where nobody may read this checkout.
    const asNobody = 'process.setgroups([]); process.setgid(65534); process.setuid(65534);';
    const isRoot = process.getuid?.() === 0;
    if (isRoot) {
      const read = `${asNobody} require('node:fs').readFileSync(${JSON.stringify(files.addon)});`;
      if (spawnSync(process.execPath, ['-e', read]).status !== 0) this.skip();
    }
    const preload = `${isRoot ? asNobody : ''}
      try { require('node:fs').writeFileSync(${JSON.stringify(path.join(home, 'x'))}, ''); process.exit(1); }
      catch (error) { if (error.code !== 'EACCES') throw error; }`;
    assert.equal(run({ SAM3_TRACKER_LIBTORCH: libtorch, HOME: home }, preload).code, 'loaded');
    assert.deepEqual(readdirSync(home), []);
  });

  it('works where no process may be started', () => {
    assert.equal(run({ SAM3_TRACKER_LIBTORCH: libtorch }, NO_CHILD).code, 'loaded');
  });

  it('names Node where it is too old, before a package that needs a newer one is loaded', () => {
    const preload = `Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '18.20.4' } });
      const Module = require('node:module');
      const load = Module._load;
      Module._load = function (name, ...rest) {
        if (['undici', 'sharp'].includes(name)) throw new ReferenceError('File is not defined');
        return load.call(this, name, ...rest);
      };`;
    for (const entry of [ENTRY, path.join(PACKAGE_ROOT, 'lib', 'cli', 'main')]) {
      const { code, text } = run({}, preload, entry);
      assert.equal(code, 'NODE_TOO_OLD', text);
      assert.match(text, /needs Node 20[\d.]* or later, as .*undici does, and this is Node 18\.20\.4/);
    }
    for (const version of ['20.20.2', '22.1.0', '100.0.0']) checkNodeVersion(version);
  });

  it('is tried again by the call after one that failed', () => {
    const wrong = fakeLibtorch('wrong', {}, '2.5.1+cpu');
    const source = `const { addon } = require(${JSON.stringify(LIBRARY)});
      const said = [];
      try { addon(); } catch (error) { said.push(error.code); }
      process.env.SAM3_TRACKER_LIBTORCH = ${JSON.stringify(libtorch)};
      said.push(addon() === addon());
      console.log(JSON.stringify(said));`;
    const { stdout, stderr } = spawnSync(process.execPath, ['--require', 'tsx/cjs', '-e', source], {
      encoding: 'utf8',
      cwd: PACKAGE_ROOT,
      env: { ...process.env, HOME: directory, XDG_CACHE_HOME: '', SAM3_TRACKER_LIBTORCH: wrong },
    });
    assert.ok(stdout, stderr);
    assert.deepEqual(JSON.parse(stdout), ['LIBTORCH_NOT_FOUND', true]);
  });
});

describe('where libtorch is looked for', () => {
  const environment = { HOME: '/home-of-nobody' };

  it('is in this order, and only where SAM3_TRACKER_LIBTORCH says if it is set', () => {
    const places = [...libtorchPlaces(release, '/nowhere', environment)].map(({ source }) => source);
    assert.deepEqual(places.slice(0, 2), ['SAM3_TRACKER_LIBTORCH', 'LIBTORCH']);
    assert.deepEqual(places.slice(2, 4).sort(), [
      '"sam3-tracker libtorch install --cpu"',
      '"sam3-tracker libtorch install --cuda"',
    ]);
    assert.match(places[4], /^python3? on PATH$|^python3 on PATH$/);
    assert.equal(places.length, 5);
    const named = [...libtorchPlaces(release, '/nowhere', { ...environment, SAM3_TRACKER_LIBTORCH: '/x' })];
    assert.deepEqual(
      named.map(({ source, decisive }) => [source, decisive]),
      [['SAM3_TRACKER_LIBTORCH', true]],
    );
  });

  it('puts in the home for ~, which a .env file leaves as it is', () => {
    for (const name of ['SAM3_TRACKER_LIBTORCH', 'LIBTORCH'])
      assert.ok(
        [...libtorchPlaces(release, '/nowhere', { ...environment, [name]: '~/no libtorch' })].some(
          ({ source, directory }) => source === name && directory === path.join(os.homedir(), 'no libtorch'),
        ),
      );
  });

  it('tells build and version of a directory', () => {
    const { version, build, problem } = inspectLibtorch('here', libtorch, release);
    assert.equal(version?.split('+')[0], release);
    assert.ok(build === 'cpu' || build === 'cuda');
    assert.equal(problem, null);
  });

  it("has the user's cache folder where the platform keeps it", function () {
    if (process.platform !== 'linux') this.skip();
    assert.equal(cacheDirectory(environment), '/home-of-nobody/.cache/sam3-tracker');
    assert.equal(cacheDirectory({ ...environment, XDG_CACHE_HOME: '/c' }), '/c/sam3-tracker');
    assert.equal(
      cacheDirectory({ ...environment, XDG_CACHE_HOME: 'relative' }),
      '/home-of-nobody/.cache/sam3-tracker',
    );
    assert.equal(
      installDirectory('2.13.0', 'cuda', { XDG_CACHE_HOME: '/c' }),
      '/c/sam3-tracker/libtorch-2.13.0-cuda',
    );
  });
});
