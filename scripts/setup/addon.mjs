/** Builds the native addon: CMakeLists.txt, driven by cmake-js, which downloads nothing for a Node-API addon. */
import { copyFileSync, existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { findProgram, runOrFail } from './process.mjs';
import { hashOf, listFiles, readStamp, removeStamp, writeStamp } from './stamp.mjs';

/** The torch headers make one compiler process take about this much memory. */
const bytesPerJob = 1.5 * 1024 ** 3;

/** How many compilers to run at once, by cores and by free memory. */
export function parallelJobs(cores = os.availableParallelism(), freeBytes = freeMemory()) {
  return Math.max(1, Math.min(cores, Math.floor(freeBytes / bytesPerJob)));
}

function freeMemory() {
  // Newer versions of Node know the limit of a container, too.
  return process.availableMemory ? process.availableMemory() : os.freemem();
}

/** Whether CMake's cache in `out` is of another checkout, generator or libtorch: CMake cannot reuse such a one. */
function cacheIsForeign(root, libtorch, out) {
  const cache = path.join(out, 'CMakeCache.txt');
  if (!existsSync(cache)) return false;
  const text = readFileSync(cache, 'utf8');
  const value = (name) => new RegExp(`^${name}:\\w+=(.*)$`, 'm').exec(text)?.[1];
  const same = (name, directory) => path.relative(value(name) ?? '', directory) === '';
  const generator = findProgram('ninja') ? 'Ninja' : 'Unix Makefiles';
  if (process.platform !== 'win32' && value('CMAKE_GENERATOR') !== generator) return true;
  return !same('CMAKE_HOME_DIRECTORY', root) || !same('SAM3_TRACKER_LIBTORCH', libtorch);
}

/** Where cmake-js puts what it builds in `out`. */
function releaseDirectory(out) {
  return path.join(out, path.basename(out) === 'Release' ? '' : 'Release');
}

/** Copies the libraries that were built in `out` to another directory. */
export function copyLibraries(out, directory) {
  const built = releaseDirectory(out);
  if (path.relative(built, directory) === '') return;
  mkdirSync(directory, { recursive: true });
  for (const name of readdirSync(built).filter((entry) => /\.(?:node|so|dylib)$/.test(entry))) {
    copyFileSync(path.join(built, name), path.join(directory, name));
  }
}

/**
 * Builds the addon into `out`/Release (or into `out` when that is its name), and with `nativeTests` the programs of
 * test/cpp into `out`, unless they are up to date.
 */
export async function buildAddon(root, { libtorch, libtorchVersion, out, nativeTests }, say) {
  const inputs = listFiles(
    ['native', 'test/cpp', 'CMakeLists.txt', 'package-lock.json'].map((name) => path.join(root, name)),
  );
  const hash = hashOf(root, inputs, libtorch, libtorchVersion, process.arch);
  const binary = path.join(releaseDirectory(out), 'sam3_tracker.node');
  const stamp = path.join(out, 'sam3-tracker-setup.json');
  const built = readStamp(stamp);
  if (existsSync(binary) && built.hash === hash && (built.nativeTests || !nativeTests)) return;

  const jobs = parallelJobs();
  say(
    `Building the native addon against libtorch ${libtorchVersion} in ${libtorch} (${jobs} at a time; minutes)`,
  );
  removeStamp(stamp);
  const cmakeJs = path.join(root, 'node_modules', 'cmake-js', 'bin', 'cmake-js');
  const options = [
    '--log-level',
    'warn',
    '--out',
    out,
    '--parallel',
    String(jobs),
    `--CDSAM3_TRACKER_LIBTORCH=${libtorch}`,
  ];
  // Without it, CMake's cache keeps an earlier choice: a set-up for the demo does not undo one for the tests.
  if (nativeTests) options.push('--CDSAM3_TRACKER_TESTS=ON');
  const step = (name) =>
    runOrFail(process.execPath, [cmakeJs, name, ...options], {
      cwd: root,
      remedy: 'The messages above say why.',
    });
  // cmake-js's own "compile" begins again after every failed build, and shows each compiler error twice.
  await step(cacheIsForeign(root, libtorch, out) ? 'reconfigure' : 'configure');
  await step('build');
  writeStamp(stamp, { hash, nativeTests });
}
