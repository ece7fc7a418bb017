/** The set-up script: its parts on their own, and its command line. Nothing here fetches or builds. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type SpawnSyncReturns } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  cpSync,
  existsSync,
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
import { pathToFileURL } from 'node:url';

const root = path.join(__dirname, '..', '..');
const script = path.join(root, 'scripts', 'setup.mjs');

interface Holder {
  pid: number;
  host: string;
  started: string | null;
}
interface SetupModules {
  addon: { parallelJobs: (cores: number, freeBytes: number) => number };
  libtorch: {
    missingFile: (directory: string) => string | null;
    libtorchVersion: (directory: string) => string;
    libtorchOfEnvironment: (environment: Record<string, string>) => string | null;
  };
  lock: {
    isHeld: (holder: Holder) => boolean;
    takeLock: (
      file: string,
      options?: { onWait?: (holder: Holder) => void; pollMilliseconds?: number },
    ) => Promise<(() => void) | null>;
  };
  packages: { holdsEveryPackage: (installed: unknown, locked: unknown) => boolean };
  stamp: {
    listFiles: (paths: string[]) => string[];
    hashOf: (root: string, files: string[], ...strings: string[]) => string;
    readStamp: (file: string) => Record<string, unknown>;
  };
  tools: { isAtLeast: (version: string, minimum: string) => boolean; checkNode: (version: string) => void };
  venv: {
    venvTorch: (root: string) => string | null;
    forgetIncompletePackages: (root: string) => void;
  };
}

function moduleUrl(name: string): string {
  return pathToFileURL(path.join(root, 'scripts', 'setup', `${name}.mjs`)).href;
}

async function load<Name extends keyof SetupModules>(name: Name): Promise<SetupModules[Name]> {
  return (await import(moduleUrl(name))) as SetupModules[Name];
}

function runSetup(args: string[], environment: Record<string, string> = {}): SpawnSyncReturns<string> {
  return spawnSync(process.execPath, [script, ...args], {
    encoding: 'utf8',
    env: { ...process.env, ...environment },
  });
}

describe('set-up', () => {
  let directory: string;
  const file = (name: string): string => path.join(directory, name);
  const write = (name: string, text = ''): void => {
    mkdirSync(path.dirname(file(name)), { recursive: true });
    writeFileSync(file(name), text);
  };

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-setup-'));
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
  });

  describe('command line', () => {
    it('prints its help and exits with 0', () => {
      const { status, stdout } = runSetup(['--help']);
      assert.equal(status, 0);
      assert.match(stdout, /^Usage: node scripts\/setup\.mjs/);
    });

    it('exits with 2 for a wrong option or purpose', () => {
      for (const args of [['--unknown'], ['--for', 'dinner'], ['stray']]) {
        const { status, stderr } = runSetup(args);
        assert.equal(status, 2, args.join(' '));
        assert.match(stderr, /Usage:/);
      }
    });

    it('names the package that has CMake when it is missing, before anything is fetched', function () {
      if (process.platform === 'win32') this.skip();
      const { status, stderr } = runSetup([], { PATH: directory });
      assert.equal(status, 1);
      assert.match(stderr, /^setup: CMake is missing\. Install it.*(apt-get install|brew install) cmake\n$/);
    });

    it('names the package that has a compiler, or a build program, when it is missing', function () {
      if (process.platform === 'win32') this.skip();
      write('cmake', '#!/bin/sh\necho cmake version 3.25.1\n');
      spawnSync('chmod', ['+x', file('cmake')]);
      symlinkSync('/bin/sh', file('sh'));
      const withoutMake = runSetup([], { PATH: directory, CXX: '' });
      assert.match(withoutMake.stderr, /^setup: Neither Ninja nor make is there\./);
      symlinkSync('/bin/sh', file('ninja'));
      const withoutCompiler = runSetup([], { PATH: directory, CXX: '' });
      assert.match(withoutCompiler.stderr, /^setup: A C\+\+ compiler is missing\./);
      const wrongCompiler = runSetup([], { PATH: directory, CXX: 'no-such-compiler' });
      assert.match(wrongCompiler.stderr, /^setup: CXX names no-such-compiler/);
    });
  });

  it('compares versions by number', async () => {
    const { isAtLeast, checkNode } = await load('tools');
    assert.ok(isAtLeast('3.18', '3.18') && isAtLeast('3.100.1', '3.18') && isAtLeast('4', '3.18'));
    assert.ok(!isAtLeast('3.9.9', '3.18') && !isAtLeast('2.99', '3.18') && !isAtLeast('3', '3.18'));
    assert.throws(
      () => checkNode('18.20.1'),
      /Node\.js 20\.18\.1 or later is needed \(undici, .*\) and this is 18\.20\.1/,
    );
  });

  it('takes as many compilers as cores and memory allow, and at least one', async () => {
    const { parallelJobs } = await load('addon');
    const gigabyte = 1024 ** 3;
    assert.equal(parallelJobs(16, 64 * gigabyte), 16);
    assert.equal(parallelJobs(16, 6.1 * gigabyte), 4);
    assert.equal(parallelJobs(16, 0), 1);
  });

  it('knows whether node_modules holds what is locked', async () => {
    const { holdsEveryPackage } = await load('packages');
    const locked = { packages: { '': {}, a: { version: '1.0.0' }, b: { version: '2.0.0', optional: true } } };
    assert.ok(holdsEveryPackage({ packages: { a: { version: '1.0.0' } } }, locked));
    assert.ok(!holdsEveryPackage({ packages: { a: { version: '1.0.1' } } }, locked));
    assert.ok(!holdsEveryPackage({ packages: { b: { version: '2.0.0' } } }, locked));
    assert.ok(!holdsEveryPackage({}, locked));
  });

  it('hashes names and contents', async () => {
    const { hashOf, listFiles, readStamp } = await load('stamp');
    write('native/a.cc', 'one');
    write('native/deep/b.cc', 'two');
    const hash = (): string => hashOf(directory, listFiles([file('native'), file('missing')]), 'extra');
    const first = hash();
    assert.equal(hash(), first);
    write('native/deep/b.cc', 'three');
    const second = hash();
    assert.notEqual(second, first);
    write('native/deep/c.cc', '');
    assert.notEqual(hash(), second);
    write('stamp.json', '{"half":');
    assert.deepEqual(readStamp(file('stamp.json')), {});
  });

  it('takes libtorch from the environment, and refuses a directory that is none', async () => {
    const { libtorchOfEnvironment, libtorchVersion, missingFile } = await load('libtorch');
    assert.equal(libtorchOfEnvironment({}), null);
    assert.throws(
      () => libtorchOfEnvironment({ LIBTORCH: directory }),
      /^SetupError: LIBTORCH is .*, which is no libtorch: lib.* is missing there\./,
    );
    const library = { win32: 'torch_cpu.lib', darwin: 'libtorch_cpu.dylib' }[process.platform as 'win32'];
    write(`lib/${library ?? 'libtorch_cpu.so'}`);
    const header = 'include/torch/csrc/api/include/torch/version.h';
    assert.equal(missingFile(directory), header);
    write(header);
    assert.equal(
      libtorchOfEnvironment({ LIBTORCH: 'elsewhere', SAM3_TRACKER_LIBTORCH: directory }),
      directory,
    );
    assert.equal(libtorchVersion(directory), 'unknown version');
    write('version.py', "from typing import Optional\n__version__ = '2.13.0+cpu'\n");
    assert.equal(libtorchVersion(directory), '2.13.0+cpu');
    write('build-version', '2.13.0+cu130\n');
    assert.equal(libtorchVersion(directory), '2.13.0+cu130');
  });

  it('takes no torch whose installation was cut short, or of another version', async function () {
    if (process.platform === 'win32') this.skip();
    const { venvTorch } = await load('venv');
    const packages = '.venv/lib/python3.11/site-packages';
    write('scripts/requirements-libtorch.txt', 'torch==2.13.0+cpu ; sys_platform != "darwin"\n');
    assert.equal(venvTorch(directory), null);
    write(`${packages}/torch-2.13.0+cpu.dist-info/METADATA`);
    assert.equal(venvTorch(directory), null);
    write(`${packages}/torch-2.13.01.dist-info/INSTALLER`, 'pip\n');
    write(`${packages}/torch-2.13.01.dist-info/RECORD`);
    assert.equal(venvTorch(directory), null);
    write(`${packages}/torch-2.13.0+cpu.dist-info/RECORD`);
    assert.equal(venvTorch(directory), null);
    write(`${packages}/torch-2.13.0+cpu.dist-info/INSTALLER`, 'pip\n');
    assert.equal(venvTorch(directory), file(`${packages}/torch`));
  });

  it('forgets packages whose installation was cut short, so that pip installs them anew', async function () {
    if (process.platform === 'win32') this.skip();
    const { forgetIncompletePackages } = await load('venv');
    forgetIncompletePackages(directory);
    const packages = '.venv/lib/python3.11/site-packages';
    for (const name of ['METADATA', 'RECORD']) write(`${packages}/torch-2.13.0+cpu.dist-info/${name}`);
    for (const name of ['METADATA', 'RECORD', 'INSTALLER'])
      write(`${packages}/tqdm-4.70.1.dist-info/${name}`);
    write(`${packages}/torch/version.py`);
    forgetIncompletePackages(directory);
    assert.deepEqual(readdirSync(file(packages)).sort(), ['torch', 'tqdm-4.70.1.dist-info']);
  });

  it('ends the children of its children on a signal, and then itself with 128 + n', async function () {
    if (process.platform === 'win32') this.skip();
    const code =
      `const { endChildrenOnSignals, run } = await import(${JSON.stringify(moduleUrl('process'))});` +
      'endChildrenOnSignals({ graceMilliseconds: 300 });' +
      "await run('sh', ['-c', process.argv[1]]); console.log('went on');";
    const scripts = {
      obedient: 'sleep 60 & echo $!; wait',
      deaf: "trap '' INT TERM; sleep 60 & echo $!; while :; do wait; sleep 0.1; done",
    };
    for (const [name, shellScript] of Object.entries(scripts)) {
      for (const [signal, exitCode] of [['SIGINT', 130] as const, ['SIGTERM', 143] as const]) {
        const child = spawn(process.execPath, ['--input-type=module', '-e', code, shellScript], {
          stdio: ['ignore', 'pipe', 'inherit'],
        });
        let output = '';
        child.stdout.on('data', (piece: Buffer) => (output += piece.toString()));
        await once(child.stdout, 'data');
        child.kill(signal);
        // 'close' comes when nothing holds the pipe any more: no sooner than the grandchild has ended.
        assert.deepEqual(await once(child, 'close'), [exitCode, null], `${name}, ${signal}`);
        assert.match(output, /^\d+\n$/, `${name}, ${signal}`);
      }
    }
  });

  it('pins every package once for each Python', () => {
    const pins = ['requirements-libtorch.txt', 'requirements-test.txt'].flatMap((name) =>
      readFileSync(path.join(root, 'scripts', name), 'utf8')
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    );
    const unpinned = pins.filter(
      (line) => !/^[\w.-]+==[\w.+]+( ; (python_version|sys_platform) .*)?$/.test(line),
    );
    assert.deepEqual(unpinned, []);
    const keys = pins.map((line) => line.replace(/==[^ ]+/, '').toLowerCase());
    assert.deepEqual(keys, [...new Set(keys)]);
  });

  it('pins the versions that the exporter asks for', () => {
    const pinsOf = (name: string): Set<string> =>
      new Set(readFileSync(path.join(root, 'scripts', name), 'utf8').match(/^[\w-]+==\d[\d.]*/gm));
    const ours = new Set([...pinsOf('requirements-libtorch.txt'), ...pinsOf('requirements-test.txt')]);
    const others = [...pinsOf('requirements.txt')].filter((pin) => !ours.has(pin));
    assert.deepEqual(others, []);
  });

  describe('lock', () => {
    it('is given back, twice without harm, and leaves nothing', async () => {
      const { takeLock } = await load('lock');
      const release = await takeLock(file('lock'));
      assert.ok(release);
      assert.ok(existsSync(file('lock')));
      release();
      release();
      assert.deepEqual(readdirSync(directory), []);
    });

    it('waits for a living holder', async () => {
      const { takeLock } = await load('lock');
      const code =
        `const { takeLock } = await import(${JSON.stringify(moduleUrl('lock'))});` +
        `const release = await takeLock(${JSON.stringify(file('lock'))});` +
        "console.log('taken'); process.stdin.once('data', () => { release(); process.exit(); });";
      const child = spawn(process.execPath, ['--input-type=module', '-e', code], {
        stdio: ['pipe', 'pipe', 'inherit'],
      });
      await once(child.stdout, 'data');
      const waitedFor: number[] = [];
      const release = await takeLock(file('lock'), {
        pollMilliseconds: 10,
        onWait: ({ pid }) => {
          waitedFor.push(pid);
          child.stdin.end('go');
        },
      });
      assert.deepEqual(waitedFor, [child.pid]);
      release?.();
      if (child.exitCode === null) await once(child, 'exit');
    });

    it('is taken from a holder that has ended', async () => {
      const { takeLock, isHeld } = await load('lock');
      const { pid } = spawnSync(process.execPath, ['-e', '']);
      const ended = { pid, host: os.hostname(), started: '1' };
      assert.equal(isHeld(ended), false);
      write('lock', JSON.stringify(ended));
      const release = await takeLock(file('lock'), { onWait: () => assert.fail('waited') });
      assert.equal((JSON.parse(readFileSync(file('lock'), 'utf8')) as Holder).pid, process.pid);
      release?.();
      assert.deepEqual(readdirSync(directory), []);
    });

    it('tells a holder from a later process with its number, and trusts other hosts', async () => {
      const { isHeld } = await load('lock');
      const here = { pid: process.pid, host: os.hostname() };
      assert.equal(isHeld({ ...here, started: null }), true);
      if (process.platform === 'linux') assert.equal(isHeld({ ...here, started: '1' }), false);
      assert.equal(isHeld({ pid: 1, host: 'another-host', started: '1' }), true);
    });

    it('is null where the user may not write', function () {
      if (process.platform === 'win32') this.skip();
      for (const name of ['lock', 'process'])
        cpSync(path.join(root, 'scripts', 'setup', `${name}.mjs`), file(`${name}.mjs`));
      mkdirSync(file('.cache'));
      chmodSync(file('.cache'), 0o555);
      chmodSync(directory, 0o555);
      const code =
        `const { takeLock } = await import(${JSON.stringify(pathToFileURL(file('lock.mjs')).href)});` +
        'for (const file of process.argv.slice(1)) console.log(await takeLock(file));';
      const locks = [file('.cache/lock'), file('missing/lock')];
      // Nothing is unwritable for root.
      const nobody = process.getuid?.() === 0 ? { uid: 65534, gid: 65534 } : {};
      const { stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '-e', code, ...locks], {
        encoding: 'utf8',
        cwd: directory,
        ...nobody,
      });
      chmodSync(directory, 0o755);
      assert.equal(stdout, 'null\nnull\n', stderr);
    });

    it('refuses a file that is no lock', async () => {
      const { takeLock } = await load('lock');
      write('lock', 'not a lock');
      await assert.rejects(takeLock(file('lock')), /is not a lock of this set-up: remove it/);
    });
  });
});
