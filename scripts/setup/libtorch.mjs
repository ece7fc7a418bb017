/** Finds libtorch: where the user says, where Python has it, or in a virtual environment made for it. */
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { outputOf, SetupError } from './process.mjs';
import { installTorch, pinnedTorch, venvTorch } from './venv.mjs';

const libraryNames = { win32: 'torch_cpu.lib', darwin: 'libtorch_cpu.dylib' };

/** The first file that a libtorch in `directory` would have and that is missing, or null when all are there. */
export function missingFile(directory) {
  const library = path.posix.join('lib', libraryNames[process.platform] ?? 'libtorch_cpu.so');
  const header = 'include/torch/csrc/api/include/torch/version.h';
  return [library, header].find((name) => !existsSync(path.join(directory, name))) ?? null;
}

/** The version of a libtorch, with its local part ('2.13.0+cpu'), or 'unknown version'. */
export function libtorchVersion(directory) {
  const plain = path.join(directory, 'build-version'); // An unpacked libtorch archive.
  if (existsSync(plain)) return readFileSync(plain, 'utf8').trim();
  const python = path.join(directory, 'version.py'); // A Python package.
  const match = existsSync(python) && /__version__ = '([^']+)'/.exec(readFileSync(python, 'utf8'));
  return match ? match[1] : 'unknown version';
}

/** The libtorch that an environment variable names, or null when none is set. Throws SetupError for a wrong one. */
export function libtorchOfEnvironment(environment = process.env) {
  const name = ['SAM3_TRACKER_LIBTORCH', 'LIBTORCH'].find((key) => environment[key]);
  if (!name) return null;
  const directory = path.resolve(environment[name]);
  const missing = missingFile(directory);
  if (missing === null) return directory;
  throw new SetupError(
    `${name} is ${environment[name]}, which is no libtorch: ${missing} is missing there. ` +
      'Set it to the directory that holds lib and include, or unset it.',
  );
}

/** The torch directory of the python3 on PATH when it has exactly the pinned version, else null. */
function torchOfSystemPython(root) {
  // The package is located, not imported: importing torch takes seconds.
  const code =
    'import importlib.metadata as m, importlib.util as u; s = u.find_spec("torch"); ' +
    'print(m.version("torch")); print(s.submodule_search_locations[0])';
  const [version, directory] = outputOf('python3', ['-c', code])?.split(/\r?\n/) ?? [];
  if (version?.split('+')[0] !== pinnedTorch(root) || missingFile(directory) !== null) return null;
  return directory;
}

/** The libtorch to build with: from the environment, .venv, or python3 on PATH; else PyTorch's CPU build is fetched. */
export async function provideLibtorch(root, say) {
  const directory =
    libtorchOfEnvironment() ??
    venvTorch(root) ??
    torchOfSystemPython(root) ??
    (await installTorch(root, say));
  const missing = missingFile(directory);
  if (missing === null) return directory;
  throw new SetupError(
    `${directory} is no complete libtorch: ${missing} is missing there. Remove .venv and run again.`,
  );
}
