#!/usr/bin/env node
/**
 * Makes prebuilds/<platform>-<arch>/: the addon and its loader, stripped, with a list of their hashes. prebuildify goes
 * through binding.gyp to the one CMake build; it works in a directory of its own, since node-gyp empties build/.
 */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import prebuildify from 'prebuildify';
import { provideLibtorch, libtorchVersion } from './setup/libtorch.mjs';
import { SetupError } from './setup/process.mjs';
import { declaredFloor, faultsOf, readNeeds } from './setup/symbols.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const prebuilds = path.join(root, 'prebuilds', `${process.platform}-${process.arch}`);

function prepareDirectory() {
  const directory = path.join(root, '.cache', 'prebuild');
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(directory, { recursive: true });
  for (const name of ['binding.gyp', 'package.json', 'CMakeLists.txt']) {
    copyFileSync(path.join(root, name), path.join(directory, name));
  }
  symlinkSync(path.join(root, 'scripts'), path.join(directory, 'scripts'));
  return directory;
}

function build(directory) {
  // Read by gyp: CMake goes on in the checkout's own build directory.
  process.env.GYP_DEFINES = `cmake_out='${path.join(root, 'build')}'`;
  const options = {
    cwd: directory,
    out: root,
    napi: true,
    strip: true,
    targets: [{ runtime: 'node', target: process.versions.node }],
    nodeGyp: path.join(root, 'node_modules', '.bin', 'node-gyp'),
  };
  return new Promise((resolve, reject) => {
    prebuildify(options, (error) => (error ? reject(new SetupError(error.message)) : resolve()));
  });
}

function check(names) {
  if (process.platform !== 'linux') return {};
  const floor = declaredFloor(root);
  const faults = names.flatMap((name) => faultsOf(path.join(prebuilds, name), floor));
  if (faults.length > 0)
    throw new SetupError(`The binary is not fit to be shipped:\n  ${faults.join('\n  ')}`);
  return Object.fromEntries(names.map((name) => [name, readNeeds(path.join(prebuilds, name)).symbols]));
}

/** What lib/native/load.ts checks before it loads, and what the binary was made from. */
async function writeList() {
  const names = readdirSync(prebuilds).filter((name) => name !== 'build.json');
  const needs = check(names);
  const sha256 = (name) =>
    createHash('sha256')
      .update(readFileSync(path.join(prebuilds, name)))
      .digest('hex');
  const list = {
    libtorch: libtorchVersion(await provideLibtorch(root, () => {})),
    needs,
    files: Object.fromEntries(names.map((name) => [name, sha256(name)])),
  };
  writeFileSync(path.join(prebuilds, 'build.json'), `${JSON.stringify(list, null, 2)}\n`);
  return list;
}

try {
  rmSync(prebuilds, { recursive: true, force: true });
  const directory = prepareDirectory();
  await build(directory);
  rmSync(directory, { recursive: true });
  process.stdout.write(`${prebuilds}\n${JSON.stringify(await writeList(), null, 2)}\n`);
} catch (error) {
  rmSync(prebuilds, { recursive: true, force: true });
  process.stderr.write(`prebuild: ${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
