#!/usr/bin/env node
/**
 * Checks what is about to be published: versions that agree, a binary that keeps the declared floor, licences, a tarball
 * with all that must be in it and nothing else, which loads in an empty folder. --undated lets the changelog have no dated
 * section for the version yet; --before-packing (npm's prepack) does that too, and checks only what needs no tarball.
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, mkdirSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideLibtorch } from './setup/libtorch.mjs';
import { SetupError } from './setup/process.mjs';
import {
  binaryFaults,
  changelogFaults,
  distFaults,
  licenceFaults,
  tarballFaults,
  versionFaults,
} from './setup/release.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));

function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, encoding: 'utf8', ...options });
  if (result.status === 0) return result.stdout;
  throw new SetupError(
    `${[command, ...args].join(' ')} failed: ${result.error?.message ?? result.stderr + result.stdout}`,
  );
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
  const isBeforePacking = process.argv.includes('--before-packing');
  const checks = [versionFaults, binaryFaults, licenceFaults, distFaults];
  if (!isBeforePacking && !process.argv.includes('--undated')) checks.push(changelogFaults);
  const faults = checks.flatMap((check) => check(root));
  if (faults.length === 0 && !isBeforePacking) faults.push(...(await checkTarball()));
  for (const fault of faults) process.stderr.write(`release: ${fault}\n`);
  if (faults.length > 0) process.exitCode = 1;
  else process.stdout.write(`${manifest.name} ${manifest.version} is fit to be packed.\n`);
} catch (error) {
  process.stderr.write(`release: ${error instanceof SetupError ? error.message : error.stack}\n`);
  process.exitCode = 1;
}
