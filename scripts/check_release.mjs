#!/usr/bin/env node
/**
 * Checks what is about to be published: versions that agree, a binary that keeps the declared floor, a tarball with all
 * that must be in it and nothing else, which loads in an empty folder. --before-packing (npm's prepack) checks only
 * what needs no tarball.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideLibtorch } from './setup/libtorch.mjs';
import { SetupError } from './setup/process.mjs';
import { declaredFloor, faultsOf } from './setup/symbols.mjs';
import { pinnedTorch } from './setup/venv.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const read = (name) => readFileSync(path.join(root, name), 'utf8');
const manifest = JSON.parse(read('package.json'));
const platforms = ['linux-x64'];

const maxPackedBytes = 40e6;
/** Must be in the tarball. */
const required = [
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'THIRD_PARTY_LICENSES.md',
  'dist/index.js',
  'dist/index.d.ts',
  'dist/cli/main.js',
  'scripts/export_model.py',
  ...platforms.flatMap((platform) =>
    ['build.json', 'sam3-tracker.node', 'libtorch_loader.so'].map((name) => `prebuilds/${platform}/${name}`),
  ),
  ...['README.md', 'config.json', 'model.safetensors', 'processor_config.json'].map(
    (name) => `models/sam3-tracker-tiny/${name}`,
  ),
  ...['sam3', 'sam3-tracker-tiny'].flatMap((model) =>
    ['vision_encoder.pt', 'prompt_encoder.pt', 'mask_decoder.pt', 'manifest.json'].map(
      (name) => `models/${model}/torchscript/${name}`,
    ),
  ),
];
/** What a tarball may hold (the exporter is for `sam3-tracker export`); binding.gyp would make npm build at install. */
const allowed =
  /^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE|THIRD_PARTY_LICENSES\.md|(?:dist|models|prebuilds|scripts\/sam3_tracker_export)\/.+|scripts\/(?:export_model\.py|requirements\.txt))$/;
const forbidden = /\.(?:cc|h|gyp|map|pyc)$|(?:^|\/)(?:__pycache__|\.cache)\//;

/** Versions that have to agree. */
function versionFaults() {
  const faults = [];
  const lock = JSON.parse(read('package-lock.json'));
  if (lock.version !== manifest.version)
    faults.push(`package-lock.json is of version ${lock.version}, package.json of ${manifest.version}`);
  if (
    !new RegExp(`^## (?:\\[)?${manifest.version.replaceAll('.', '\\.')}\\b`, 'm').test(read('CHANGELOG.md'))
  )
    faults.push(`CHANGELOG.md has no section for version ${manifest.version}`);
  if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(manifest.version))
    faults.push(`${manifest.version} is no semantic version`);
  for (const platform of platforms) {
    const file = path.join(root, 'prebuilds', platform, 'build.json');
    if (!existsSync(file)) continue;
    const { libtorch } = JSON.parse(readFileSync(file, 'utf8'));
    if (libtorch.split('+')[0] !== pinnedTorch(root))
      faults.push(
        `${platform} was built against libtorch ${libtorch}, requirements-libtorch.txt has ${pinnedTorch(root)}`,
      );
  }
  return faults;
}

/** Prebuilt binaries that are missing, not those that the list describes, or unfit. */
function binaryFaults() {
  return platforms.flatMap((platform) => {
    const directory = path.join(root, 'prebuilds', platform);
    const list = path.join(directory, 'build.json');
    if (!existsSync(list)) return [`prebuilds/${platform} is missing: npm run prebuild`];
    return Object.entries(JSON.parse(readFileSync(list, 'utf8')).files).flatMap(([name, sha256]) => {
      const file = path.join(directory, name);
      if (!existsSync(file)) return [`prebuilds/${platform}/${name} is missing: npm run prebuild`];
      if (createHash('sha256').update(readFileSync(file)).digest('hex') !== sha256)
        return [`prebuilds/${platform}/${name} is not the file that build.json describes: npm run prebuild`];
      return faultsOf(file, declaredFloor(root));
    });
  });
}

/** Newest change under a directory. */
function newest(directory) {
  return Math.max(
    ...readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(path.join(entry.parentPath, entry.name)).mtimeMs),
  );
}

function distFaults() {
  if (!existsSync(path.join(root, 'dist', 'index.js'))) return ['dist is missing: npm run setup'];
  const isOld = newest(path.join(root, 'lib')) > newest(path.join(root, 'dist'));
  return isOld ? ['dist is older than lib: npm run setup'] : [];
}

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  if (result.status === 0) return result.stdout;
  throw new SetupError(
    `${[command, ...args].join(' ')} failed: ${result.error?.message ?? result.stderr + result.stdout}`,
  );
}

/** The tarball's own list against what must and may be in it. */
function tarballFaults({ files, size }) {
  const names = new Set(files.map((file) => file.path));
  const faults = required.filter((name) => !names.has(name)).map((name) => `the tarball lacks ${name}`);
  for (const name of names) {
    if (!allowed.test(name) || forbidden.test(name)) faults.push(`the tarball holds ${name}`);
  }
  if (size > maxPackedBytes)
    faults.push(`the tarball has ${(size / 1e6).toFixed(1)} MB, more than ${maxPackedBytes / 1e6}`);
  return faults;
}

/** Unpacks the tarball beside the installed dependencies and lets its doctor examine it. */
async function loadFaults(tarball, directory) {
  const modules = path.join(directory, 'node_modules');
  const unpacked = path.join(modules, manifest.name);
  mkdirSync(unpacked, { recursive: true });
  for (const name of readdirSync(path.join(root, 'node_modules')).filter((entry) => !entry.startsWith('.')))
    symlinkSync(path.join(root, 'node_modules', name), path.join(modules, name));
  run('tar', ['-xzf', tarball, '-C', unpacked, '--strip-components=1']);
  const libtorch = await provideLibtorch(root, () => {});
  const main = path.join(unpacked, 'dist', 'cli', 'main.js');
  // Symbolic links are kept, so that a dependency is looked for where an installation would have it.
  const { stdout, stderr } = spawnSync(process.execPath, ['--preserve-symlinks', main, 'doctor', '--json'], {
    cwd: directory,
    encoding: 'utf8',
    env: { ...process.env, SAM3_TRACKER_LIBTORCH: libtorch },
  });
  if (!stdout) return [`doctor of the unpacked tarball ended without a report: ${stderr}`];
  const { problems, addon } = JSON.parse(stdout);
  if (addon?.origin !== 'prebuilt') problems.push('the unpacked tarball does not use its prebuilt binary');
  return problems.map((problem) => `doctor of the unpacked tarball: ${problem}`);
}

async function checkTarball() {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-release-'));
  try {
    const [packed] = JSON.parse(
      run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', directory]),
    );
    process.stdout.write(
      `${packed.filename}: ${packed.files.length} files, ${(packed.size / 1e6).toFixed(1)} MB packed, ` +
        `${(packed.unpackedSize / 1e6).toFixed(1)} MB unpacked\n`,
    );
    const faults = tarballFaults(packed);
    return faults.length > 0 ? faults : await loadFaults(path.join(directory, packed.filename), directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

try {
  const faults = [...versionFaults(), ...binaryFaults(), ...distFaults()];
  if (faults.length === 0 && !process.argv.includes('--before-packing'))
    faults.push(...(await checkTarball()));
  for (const fault of faults) process.stderr.write(`release: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
  else process.stdout.write(`${manifest.name} ${manifest.version} is fit to be packed.\n`);
} catch (error) {
  process.stderr.write(`release: ${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
