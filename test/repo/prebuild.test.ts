/** What the binary needs of the system. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { findAddon } from '../../lib/native/load';

const root = path.join(__dirname, '..', '..');

interface Needs {
  libraries: string[];
  paths: string[];
  symbols: Record<string, string>;
  isStripped: boolean;
}
interface Symbols {
  readNeeds: (file: string) => Needs;
  declaredFloor: (root: string) => Record<string, string>;
  faultsOf: (file: string, floor: Record<string, string>) => string[];
}

const EXPECTED_LIBRARIES = {
  addon: [
    'ld-linux-x86-64.so.2',
    'libc.so.6',
    'libc10.so',
    'libgcc_s.so.1',
    'libgomp.so.1',
    'libm.so.6',
    'libstdc++.so.6',
    'libtorch.so',
    'libtorch_cpu.so',
  ],
  loader: ['libc.so.6', 'libdl.so.2'],
};

describe('the binary', () => {
  let symbols: Symbols;
  const { addon, loader } = findAddon();

  before(async function () {
    if (process.platform !== 'linux' || spawnSync('readelf', ['--version']).status !== 0) this.skip();
    symbols = (await import(pathToFileURL(path.join(root, 'scripts/setup/symbols.mjs')).href)) as Symbols;
  });

  it('needs libtorch and the system libraries that every server has, by name', () => {
    const { libraries, paths } = symbols.readNeeds(addon);
    const unexpected = libraries.filter((name) => !EXPECTED_LIBRARIES.addon.includes(name));
    assert.deepEqual(unexpected, []);
    for (const name of ['libtorch.so', 'libtorch_cpu.so', 'libc10.so'])
      assert.ok(libraries.includes(name), name);
    assert.deepEqual(paths, []);
  });

  it('comes with a loader that needs the C library only', () => {
    const { libraries, paths } = symbols.readNeeds(loader);
    assert.deepEqual(
      libraries.filter((name) => !EXPECTED_LIBRARIES.loader.includes(name)),
      [],
    );
    assert.deepEqual(paths, []);
  });

  it('keeps the floor that package.json declares, where it is prebuilt, and holds no path of the build machine', function () {
    const directory = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);
    if (!existsSync(directory)) this.skip();
    const floor = symbols.declaredFloor(root);
    for (const name of readdirSync(directory).filter((entry) => !entry.endsWith('.json')))
      assert.deepEqual(symbols.faultsOf(path.join(directory, name), floor), []);
  });

  it('is refused above the floor, with a search path or with a path of the build machine in it', () => {
    const { symbols: found } = symbols.readNeeds(addon);
    for (const kind of ['GLIBC', 'GLIBCXX', 'CXXABI']) assert.match(found[kind], /^\d+\.\d+/);
    const faults = symbols.faultsOf(addon, { GLIBC: '2.2', GLIBCXX: '3.4', CXXABI: '1.2' });
    for (const kind of ['GLIBC', 'GLIBCXX', 'CXXABI'])
      assert.ok(
        faults.some((fault) => fault.includes(`binds ${kind}_${found[kind]}, and package.json declares`)),
        faults.join('\n'),
      );
    const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-elf-'));
    try {
      const source = path.join(directory, 'a.c');
      const library = path.join(directory, 'a.so');
      writeFileSync(
        source,
        `const char* f(void) { return "${path.posix.join('/', 'home', 'someone/a.c')}"; }\n`,
      );
      const other = path.join(directory, 'libother.so.1');
      const shared = ['-shared', '-fPIC', '-Wl,--no-as-needed', '-Wl,-soname,libother.so.1'];
      assert.equal(spawnSync('cc', [...shared, '-o', other, source]).status, 0);
      const options = ['-shared', '-fPIC', '-Wl,--no-as-needed', '-Wl,-rpath,/somewhere'];
      assert.equal(spawnSync('cc', [...options, '-o', library, source, other]).status, 0);
      const [searchPath, needed, buildPath, symbolTable, ...others] = symbols.faultsOf(
        library,
        symbols.declaredFloor(root),
      );
      assert.match(searchPath, /a\.so looks for libraries in \/somewhere/);
      assert.match(needed, /a\.so needs libother\.so\.1, which not every server has/);
      assert.match(buildPath, /a\.so holds a path of the build machine: \/home\/someone\/a\.c/);
      assert.match(symbolTable, /a\.so is not stripped/);
      assert.deepEqual(others, []);
      assert.equal(spawnSync('strip', ['--strip-all', library]).status, 0);
      assert.ok(symbols.readNeeds(library).isStripped);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
