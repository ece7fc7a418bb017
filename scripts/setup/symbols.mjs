/** What a binary needs of the system: read with readelf, for the declared floor. Linux only. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { outputOf, SetupError } from './process.mjs';
import { isAtLeast } from './tools.mjs';

/** Libraries that a binary may need by name: libtorch's, libgomp that comes with it, and what Node itself needs. */
const expectedLibraries = new Set([
  'ld-linux-x86-64.so.2',
  'ld-linux-aarch64.so.1',
  'libc.so.6',
  'libc10.so',
  'libdl.so.2',
  'libgcc_s.so.1',
  'libgomp.so.1',
  'libm.so.6',
  'libstdc++.so.6',
  'libtorch.so',
  'libtorch_cpu.so',
]);

/** Needed libraries, search paths, the newest version of each kind of symbol that a binary binds, whether it is stripped. */
export function readNeeds(file) {
  const [dynamic, versions, sections] = ['--dynamic', '--version-info', '--sections'].map((part) =>
    outputOf('readelf', [part, '--wide', file]),
  );
  if (dynamic === null || versions === null || sections === null) {
    throw new SetupError(
      `readelf could not read ${file}. On Debian and Ubuntu it is in: apt-get install binutils`,
    );
  }
  const entries = (tag) =>
    [...dynamic.matchAll(new RegExp(`\\(${tag}\\)[^[]*\\[([^\\]]*)\\]`, 'g'))].map(([, value]) => value);
  // Only the section of needed versions: the binary's own definitions are no requirement.
  const needed = versions.slice(versions.indexOf("Version needs section '.gnu.version_r'"));
  const symbols = {};
  for (const [, kind, version] of needed.matchAll(/\b(GLIBC|GLIBCXX|CXXABI)_(\d[\d.]*)/g)) {
    if (!symbols[kind] || isAtLeast(version, symbols[kind])) symbols[kind] = version;
  }
  return {
    libraries: entries('NEEDED'),
    paths: [...entries('RPATH'), ...entries('RUNPATH')],
    symbols,
    isStripped: !/ \.(?:symtab|debug_\w+) /.test(sections),
  };
}

/** The floor that package.json declares: { GLIBC, GLIBCXX, CXXABI }. */
export function declaredFloor(root) {
  return JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')).binary.floor;
}

/** What keeps a binary from being shipped to systems that have the declared floor, one line each. */
export function faultsOf(file, floor) {
  const { libraries, paths, symbols, isStripped } = readNeeds(file);
  const faults = paths.map((entry) => `${path.basename(file)} looks for libraries in ${entry}`);
  for (const name of libraries.filter((library) => !expectedLibraries.has(library)))
    faults.push(`${path.basename(file)} needs ${name}, which not every server has`);
  for (const [kind, version] of Object.entries(symbols)) {
    if (!isAtLeast(floor[kind], version)) {
      faults.push(
        `${path.basename(file)} binds ${kind}_${version}, and package.json declares ${kind} ${floor[kind]} at most ` +
          '(binary.floor): build on an older system, or declare what it needs',
      );
    }
  }
  const text = readFileSync(file, 'latin1');
  for (const match of new Set(text.match(/\/(?:home|root|tmp|work|Users|build|src)\/[\w./-]+/g) ?? [])) {
    faults.push(`${path.basename(file)} holds a path of the build machine: ${match}`);
  }
  if (!isStripped) faults.push(`${path.basename(file)} is not stripped`);
  return faults;
}
