/** The programs that must already be on the machine. */
import { findProgram, outputOf, SetupError } from './process.mjs';

/** Whether a dotted version is at least another one; missing parts count as 0. By hand: packages come after this check. */
export function isAtLeast(version, minimum) {
  const [left, right] = [version, minimum].map((text) => text.split('.').map(Number));
  for (let i = 0; i < right.length; i++) {
    if ((left[i] ?? 0) !== right[i]) return (left[i] ?? 0) > right[i];
  }
  return true;
}

/** The remedy for a missing program: how to install it. */
function installHint(debian, brew) {
  if (process.platform === 'darwin') return `Install it: brew install ${brew}`;
  return `Install it, on Debian or Ubuntu: apt-get install ${debian}`;
}

/** Throws SetupError unless this Node is 20.18.1 or later. */
export function checkNode(version = process.versions.node) {
  if (isAtLeast(version, '20.18.1')) return;
  throw new SetupError(
    `Node.js 20.18.1 or later is needed (undici, which downloads, asks for it) and this is ${version}. ` +
      'Install one: https://nodejs.org',
  );
}

/** Throws SetupError unless CMake 3.18 or later and a program that it can drive (Ninja or make) are there. */
export function checkCMake() {
  const text = outputOf('cmake', ['--version']);
  if (text === null) throw new SetupError(`CMake is missing. ${installHint('cmake', 'cmake')}`);
  const version = /\d+\.\d+(\.\d+)?/.exec(text)[0];
  if (!isAtLeast(version, '3.18')) {
    throw new SetupError(
      `CMake 3.18 or later is needed and this is ${version}. ${installHint('cmake', 'cmake')}`,
    );
  }
  if (process.platform !== 'win32' && !findProgram('ninja') && !findProgram('make')) {
    throw new SetupError(`Neither Ninja nor make is there. ${installHint('ninja-build', 'ninja')}`);
  }
}

/** Throws SetupError unless a C++ compiler is there: $CXX, or one of the names that CMake tries. */
export function checkCompiler() {
  // On Windows CMake finds Visual Studio through its installer's registry, not through PATH.
  if (process.platform === 'win32') return;
  const chosen = process.env.CXX?.split(' ')[0];
  if (chosen && !findProgram(chosen) && outputOf(chosen, ['--version']) === null) {
    throw new SetupError(`CXX names ${chosen}, which is not a program on this machine.`);
  }
  if (chosen || ['c++', 'g++', 'clang++'].some(findProgram)) return;
  const hint =
    process.platform === 'darwin' ? 'Install it: xcode-select --install' : installHint('g++', 'llvm');
  throw new SetupError(`A C++ compiler is missing. ${hint}`);
}

const pythonNames = [
  'python3',
  'python',
  'python3.14',
  'python3.13',
  'python3.12',
  'python3.11',
  'python3.10',
];

/**
 * The first Python of $PYTHON and the usual names that PyTorch has wheels for (3.10 to 3.14) and that can make a
 * virtual environment. Throws SetupError that says what was found.
 */
export function findPython() {
  const found = [];
  const code = 'import sys; print("%d.%d" % sys.version_info[:2]); import ensurepip, venv; print("complete")';
  for (const name of process.env.PYTHON ? [process.env.PYTHON] : pythonNames) {
    const version = outputOf(name, ['-c', 'import sys; print("%d.%d" % sys.version_info[:2])']);
    if (version === null) continue;
    if (!isAtLeast(version, '3.10') || isAtLeast(version, '3.15')) found.push(`${name} is ${version}`);
    else if (outputOf(name, ['-c', code]) === null) found.push(`${name} (${version}) has no venv module`);
    else return name;
  }
  const state = found.length > 0 ? ` (${found.join(', ')})` : '';
  throw new SetupError(
    `Python 3.10 to 3.14 with its venv module is needed${state}. ${installHint('python3 python3-venv', 'python')}, ` +
      'or name one in the environment variable PYTHON.',
  );
}
