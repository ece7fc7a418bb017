#!/usr/bin/env node
/**
 * Sets up a checkout: Node packages, libtorch, the native addon, dist/, and for the tests the Python reference. Needs
 * nothing but Node itself, so it uses Node's own modules only. Every step is skipped when its result is up to date,
 * and repaired when an earlier run was interrupted.
 */
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { buildAddon, copyLibraries } from './setup/addon.mjs';
import { libtorchVersion, provideLibtorch } from './setup/libtorch.mjs';
import { takeLock } from './setup/lock.mjs';
import { installPackages } from './setup/packages.mjs';
import { endChildrenOnSignals, SetupError } from './setup/process.mjs';
import { checkCMake, checkCompiler, checkNode } from './setup/tools.mjs';
import { compileTypeScript } from './setup/typescript.mjs';
import { installOnnxExport, installReference } from './setup/venv.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const help = `Usage: node scripts/setup.mjs [--for build|demo|test|bench|addon] [--out DIR] [--copy-to DIR]

Sets up this checkout; a step whose result is up to date is skipped.

  --for build   Node packages, libtorch, the native addon, dist (default)
  --for demo    the same
  --for test    the same, the native tests, and the Python packages that the tests compare with
  --for bench   the same, and the Python packages that make ONNX graphs of a model
  --for addon   Node packages, libtorch and the native addon only
  --out DIR     where CMake builds (default: build)
  --copy-to DIR copies the built libraries there
  --help        this text

libtorch is taken from the first of these that has it:
  1. the directory that SAM3_TRACKER_LIBTORCH names
  2. the directory that LIBTORCH names
  3. the virtual environment .venv in this repository
  4. the torch of the python3 on PATH, when it is exactly the pinned version
  5. PyTorch's CPU build, installed into .venv with pip under your pip configuration (about 200 MB)

PYTHON names the Python that makes .venv. Exit code: 0 done, 1 failed, 2 wrong usage, 128 + n ended by signal n.
`;

const purposes = ['build', 'demo', 'test', 'bench', 'addon'];

function readOptions() {
  const { values } = parseArgs({
    options: {
      for: { type: 'string', default: 'build' },
      out: { type: 'string', default: path.join(root, 'build') },
      'copy-to': { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (!purposes.includes(values.for)) {
    throw new TypeError(`--for takes one of ${purposes.join(', ')}, not ${JSON.stringify(values.for)}`);
  }
  const copyTo = values['copy-to'];
  return {
    purpose: values.for,
    out: path.resolve(values.out),
    copyTo: copyTo === undefined ? null : path.resolve(copyTo),
    help: values.help,
  };
}

function say(message) {
  process.stdout.write(`setup: ${message}\n`);
}

function refuseWork(step) {
  throw new SetupError(`This user may not write in ${root}, and this remains to be done: ${step}`);
}

async function installPythonPackages(purpose, announce) {
  if (purpose === 'test' || purpose === 'bench') await installReference(root, announce);
  if (purpose === 'bench') await installOnnxExport(root, announce);
}

async function setUp({ purpose, out, copyTo }) {
  const began = performance.now();
  checkNode();
  checkCMake();
  checkCompiler();
  const release = await takeLock(path.join(root, '.cache', 'setup.lock'), {
    onWait: ({ pid }) => say(`Waiting for another set-up of this checkout (process ${pid})`),
  });
  if (release) process.once('exit', release);
  // Each step announces its work before it writes. Where this user may not write there is no lock, and no work.
  const announce = release ? say : refuseWork;
  try {
    await installPackages(root, announce);
    const libtorch = await provideLibtorch(root, announce);
    const withReference = purpose === 'test' || purpose === 'bench';
    // Compilers keep the processor busy, and pip the network. A failure of one leaves no other at work unwatched.
    const [built, installed] = await Promise.allSettled([
      buildAddon(
        root,
        { libtorch, libtorchVersion: libtorchVersion(libtorch), out, nativeTests: withReference },
        announce,
      ),
      installPythonPackages(purpose, announce),
    ]);
    for (const { reason } of [built, installed]) if (reason) throw reason;
    if (copyTo !== null) copyLibraries(out, copyTo);
    if (purpose !== 'addon') await compileTypeScript(root, announce);
  } finally {
    release?.();
  }
  say(`Ready for ${purpose} (${((performance.now() - began) / 1000).toFixed(1)} s)`);
}

endChildrenOnSignals();

let options;
try {
  options = readOptions();
} catch (error) {
  process.stderr.write(`setup: ${error.message}\n\n${help}`);
  process.exit(2);
}
if (options.help) {
  process.stdout.write(help);
} else {
  try {
    await setUp(options);
  } catch (error) {
    process.stderr.write(`setup: ${error instanceof SetupError ? error.message : error.stack}\n`);
    process.exitCode = 1;
  }
}
