/** `sam3-tracker libtorch`: pip itself, with small wheels instead of PyTorch's and without a network. */
import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { installLibtorch } from '../../../lib/cli/commands/libtorch-install';
import { inspectLibtorch } from '../../../lib/native/libtorch';
import { requirePython } from '../../support/python';

const RELEASE = '2.13.0';
const TORCH_LIBRARIES = [
  'libc10.so',
  'libtorch_cpu.so',
  'libtorch.so',
  'libgomp.so.1',
  'libtorch_python.so',
  'libshm.so',
];

/** Writes wheels: [file name, { path in it: text }]. */
const MAKE_WHEELS = `
import base64, hashlib, json, sys, zipfile
for name, files in json.loads(sys.argv[1]):
    with zipfile.ZipFile(name, "w") as archive:
        record = ""
        for path, text in files.items():
            archive.writestr(path, text)
            digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).rstrip(b"=").decode()
            record += f"{path},sha256={digest},{len(text.encode())}\\n"
            if path.endswith("/METADATA"): info = path[: -len("METADATA")]
        archive.writestr(info + "RECORD", record + info + "RECORD,,\\n")
`;

describe('sam3-tracker libtorch', () => {
  let directory: string;
  let wheels: string;
  const said = { stdout: '', stderr: '' };
  const output = {
    stdout: { write: (text: string) => (said.stdout += text) },
    stderr: { write: (text: string) => (said.stderr += text) },
  };
  const names = [
    'PYTHON',
    'PIP_NO_INDEX',
    'PIP_FIND_LINKS',
    'PIP_CONFIG_FILE',
    'PIP_TRUSTED_HOST',
    'PIP_NO_CACHE_DIR',
  ];
  const saved = names.map((name) => [name, process.env[name]] as const);
  let PYTHON: string;

  function wheel(
    name: string,
    version: string,
    files: Record<string, string>,
    requires: string[] = [],
  ): [string, object] {
    const info = `${name}-${version}.dist-info`;
    const metadata = ['Metadata-Version: 2.1', `Name: ${name}`, `Version: ${version}`];
    for (const [, extra] of requires.join('\n').matchAll(/extra == "(\w+)"/g))
      metadata.push(`Provides-Extra: ${extra}`);
    return [
      path.join(wheels, `${name}-${version}-py3-none-any.whl`),
      {
        ...files,
        [`${info}/METADATA`]: `${[...metadata, ...requires.map((entry) => `Requires-Dist: ${entry}`)].join('\n')}\n`,
        [`${info}/WHEEL`]: 'Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n',
        [`${info}/licenses/LICENSE`]: 'a licence',
      },
    ];
  }

  function torch(version: string, extra: string[] = [], requires: string[] = []): [string, object] {
    const libraries = [...TORCH_LIBRARIES, ...extra].map((name) => [`torch/lib/${name}`, name]);
    const code = { 'torch/version.py': `__version__ = '${version}'\n`, 'torch/nn/big.py': '' };
    return wheel('torch', version, { ...Object.fromEntries(libraries), ...code }, requires);
  }

  function writeWheels(...list: [string, object][]): void {
    const { status, stderr } = spawnSync(PYTHON, ['-c', MAKE_WHEELS, JSON.stringify(list)], {
      encoding: 'utf8',
    });
    assert.equal(status, 0, stderr);
  }

  before(function () {
    PYTHON = requirePython(this);
  });

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-install-'));
    wheels = path.join(directory, 'wheels');
    mkdirSync(wheels);
    Object.assign(said, { stdout: '', stderr: '' });
    Object.assign(process.env, {
      PYTHON,
      PIP_NO_INDEX: '1',
      PIP_FIND_LINKS: wheels,
      PIP_CONFIG_FILE: os.devNull,
    });
  });
  afterEach(() => {
    rmSync(directory, { recursive: true, force: true });
    for (const [name, value] of saved) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });

  const file = (name: string): string => path.join(directory, name);
  const target = (): string => file('libtorch');

  it('keeps the libraries of the CPU build, its version and its licence, and says its size first', async () => {
    writeWheels(torch(`${RELEASE}+cpu`), torch(RELEASE));
    await installLibtorch({ release: RELEASE, build: 'cpu', directory: target() }, output);
    assert.match(said.stderr, /^libtorch 2\.13\.0, CPU build: about 200 MB to fetch, \d+ MB on disk, into /);
    const place = inspectLibtorch('', target(), RELEASE);
    assert.deepEqual([place.problem, place.version, place.build], [null, `${RELEASE}+cpu`, 'cpu']);
    const kept = readdirSync(path.join(target(), 'torch', 'lib')).sort();
    assert.deepEqual(kept, ['libc10.so', 'libgomp.so.1', 'libtorch.so', 'libtorch_cpu.so']);
    assert.deepEqual(readdirSync(path.join(target(), 'torch')).sort(), ['lib', 'version.py']);
    assert.ok(
      existsSync(path.join(target(), 'licenses', `torch-${RELEASE}+cpu.dist-info`, 'licenses', 'LICENSE')),
    );
    assert.deepEqual(readdirSync(directory).sort(), ['libtorch', 'wheels']);
    await installLibtorch({ release: RELEASE, build: 'cpu', directory: target() }, output);
    assert.match(said.stderr, /is in .* already\n$/);
  });

  it("fetches the CUDA build's own libraries too, in the layout that its RPATH expects, and no Python package", async () => {
    const cudnn = { 'nvidia/cudnn/lib/libcudnn.so.9': 'x', 'nvidia/cudnn/include/a.h': 'x' };
    const cublas = { 'nvidia/cu13/lib/libcublas.so.13': 'x' };
    // cuDNN takes any cuBLAS, the toolkit one, and a newer one is there.
    const nvidia = [
      wheel('nvidia_cudnn_cu13', '9.0', cudnn, ['nvidia-cublas']),
      wheel('cuda_toolkit', '13.0.3', {}, [
        'nvidia-cublas==13.1.*; extra == "cublas"',
        'nvidia-nvtx; extra == "nvtx"',
      ]),
      wheel('nvidia_cublas', '13.1.1', cublas),
      wheel('nvidia_cublas', '13.10', { 'nvidia/cu13/lib/libcublas.so.14': 'x' }),
      wheel('nvidia_nvtx', '13.0', { 'nvidia/cu13/lib/libnvtx.so.1': 'x' }),
    ];
    const requires = [
      'nvidia-cudnn-cu13==9.0; platform_system == "Linux"',
      'cuda-toolkit[cublas,nvtx]==13.0.3; platform_system == "Linux"',
      'sympy>=1',
      'cuda-bindings>=13',
      'triton==3',
    ];
    writeWheels(
      torch(`${RELEASE}+cpu`),
      torch(RELEASE, ['libtorch_cuda.so', 'libc10_cuda.so'], requires),
      ...nvidia,
    );
    await installLibtorch({ release: RELEASE, build: 'cuda', directory: target() }, output);
    const place = inspectLibtorch('', target(), RELEASE);
    assert.deepEqual([place.problem, place.version, place.build], [null, RELEASE, 'cuda']);
    assert.deepEqual(readdirSync(path.join(target(), 'nvidia', 'cudnn')), ['lib']);
    assert.deepEqual(readdirSync(path.join(target(), 'nvidia', 'cudnn', 'lib')), ['libcudnn.so.9']);
    const kept = readdirSync(path.join(target(), 'nvidia', 'cu13', 'lib')).sort();
    assert.deepEqual(kept, ['libcublas.so.13', 'libnvtx.so.1']);
  });

  /**
   * Serves the wheels over HTTP, where it can be counted, and without pip's cache, which may help or not.
   *
   * @param link what the page of links has behind a wheel's name.
   */
  async function serve(
    link: (name: string) => string = () => '',
  ): Promise<{ server: Server; sent: string[] }> {
    const sent: string[] = [];
    const server = createServer(({ url }, response) => {
      if (url === '/') {
        response.setHeader('Content-Type', 'text/html');
        return response.end(
          readdirSync(wheels)
            .map((name) => `<a href="${name}${link(name)}">${name}</a>`)
            .join(''),
        );
      }
      sent.push(decodeURIComponent(path.posix.basename(url!)).split('-')[0]);
      return response.end(readFileSync(path.join(wheels, decodeURIComponent(path.posix.basename(url!)))));
    });
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const { port } = server.address() as AddressInfo;
    Object.assign(process.env, {
      PIP_FIND_LINKS: `http://127.0.0.1:${port}/`,
      PIP_TRUSTED_HOST: '127.0.0.1',
      PIP_NO_CACHE_DIR: '1',
    });
    return { server, sent };
  }

  it('refuses a wheel that is not the one that the index describes', async () => {
    writeWheels(torch(`${RELEASE}+cpu`));
    const hashOf = (name: string): string =>
      createHash('sha256')
        .update(readFileSync(path.join(wheels, name)))
        .digest('hex');
    let isRight = false;
    const { server, sent } = await serve((name) => `#sha256=${isRight ? hashOf(name) : '0'.repeat(64)}`);
    try {
      const request = { release: RELEASE, build: 'cpu', directory: target() } as const;
      await assert.rejects(installLibtorch(request, output), {
        code: 'DOWNLOAD_FAILED',
        message: /pip could not fetch torch==2\.13\.0\+cpu; it says why above/,
      });
      assert.match(said.stderr, /HASH/);
      assert.deepEqual(sent, ['torch']);
      assert.ok(!existsSync(target()));
      // Nothing of it is kept for the next run.
      const left = readdirSync(`${target()}.partial`, { recursive: true }).map(String);
      assert.deepEqual(
        left.filter((name) => name.endsWith('.whl') || name.startsWith('tmp')),
        [],
      );
      isRight = true;
      await installLibtorch(request, output);
      assert.equal(inspectLibtorch('', target(), RELEASE).problem, null);
    } finally {
      server.close();
    }
  });

  it('has pip unpack beside the target, wherever temporary files else go', async () => {
    const python = file('python');
    const log = file('log');
    writeFileSync(
      python,
      `#!/bin/sh\necho "$TMPDIR" >> '${log}'\n[ -z "$TMPDIR" ] || [ -d "$TMPDIR" ] || exit 9\nexec '${PYTHON}' "$@"\n`,
      { mode: 0o755 },
    );
    process.env.PYTHON = python;
    writeWheels(torch(`${RELEASE}+cpu`));
    await installLibtorch({ release: RELEASE, build: 'cpu', directory: target() }, output);
    // Behind the two questions for Python's version and for pip: download and install.
    assert.deepEqual(
      readFileSync(log, 'utf8').trimEnd().split('\n').slice(-2),
      Array.from({ length: 2 }, () => path.join(`${target()}.partial`, 'tmp')),
    );
    assert.ok(!existsSync(`${target()}.partial`));
  });

  it('goes on with what an interrupted run has fetched', async () => {
    const { server, sent } = await serve();
    try {
      const request = { release: RELEASE, build: 'cuda', directory: target() } as const;
      writeWheels(
        torch(RELEASE, ['libtorch_cuda.so'], ['nvidia-there==1', 'nvidia-missing==1']),
        wheel('nvidia_there', '1', { 'nvidia/there/lib/libt.so.1': 'x' }),
      );
      await assert.rejects(installLibtorch(request, output), {
        code: 'DOWNLOAD_FAILED',
        message: /could not fetch NVIDIA's libraries \(nvidia-missing==1\).*Run the command again to go on/,
      });
      assert.ok(!existsSync(target()));
      assert.deepEqual(sent, ['torch', 'nvidia_there']);
      writeWheels(wheel('nvidia_missing', '1', { 'nvidia/missing/lib/libm.so.1': 'x' }));
      await installLibtorch(request, output);
      assert.deepEqual(sent, ['torch', 'nvidia_there', 'nvidia_missing']);
      assert.equal(inspectLibtorch('', target(), RELEASE).problem, null);
      assert.deepEqual(readdirSync(path.join(target(), 'nvidia')).sort(), ['missing', 'there']);
      assert.deepEqual(readdirSync(directory).sort(), ['libtorch', 'wheels']);
    } finally {
      server.close();
    }
  });

  it('ends pip where it is ended itself', async () => {
    const fake = file('python');
    const pidFile = file('pid');
    const script = `case "$*" in *download*) echo $$ > '${pidFile}.new'; mv '${pidFile}.new' '${pidFile}'; exec sleep 60;; *) echo 3.12;; esac`;
    writeFileSync(fake, `#!/bin/sh\n${script}\n`, { mode: 0o755 });
    const module = JSON.stringify(
      path.join(__dirname, '..', '..', '..', 'lib', 'cli', 'commands', 'libtorch-install'),
    );
    const request = JSON.stringify({ release: RELEASE, build: 'cpu', directory: target() });
    const code = `require(${module}).installLibtorch(${request}, process);`;
    const child = spawn(process.execPath, ['--require', 'tsx/cjs', '-e', code], {
      cwd: path.join(__dirname, '..', '..', '..'),
      env: { ...process.env, PYTHON: fake },
      stdio: 'ignore',
    });
    const ended = once(child, 'exit');
    while (!existsSync(pidFile) && child.exitCode === null) await sleep(20);
    const pip = Number(readFileSync(pidFile, 'utf8'));
    child.kill('SIGTERM');
    assert.deepEqual(await ended, [null, 'SIGTERM']);
    const isRunning = (): boolean => spawnSync('kill', ['-0', String(pip)]).status === 0;
    for (let i = 0; i < 100 && isRunning(); i++) await sleep(20);
    assert.ok(!isRunning());
  });
});
