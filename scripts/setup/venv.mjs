/** The virtual environment inside the repository: PyTorch's CPU build, and the reference that tests compare with. */
import { existsSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import path from 'node:path';
import { outputOf, run, runOrFail, SetupError } from './process.mjs';
import { hashOf, readStamp, removeStamp, writeStamp } from './stamp.mjs';
import { findPython } from './tools.mjs';

const cpuWheelIndex = 'https://download.pytorch.org/whl/cpu';
const pipOptions = ['--no-deps', '--no-input', '--disable-pip-version-check'];

/** The version that scripts/requirements-libtorch.txt pins, without its local part: '2.13.0'. */
export function pinnedTorch(root) {
  const text = readFileSync(path.join(root, 'scripts', 'requirements-libtorch.txt'), 'utf8');
  return /^torch==([\d.]+)/m.exec(text)[1];
}

/** The interpreter of the repository's virtual environment, whether or not it exists. */
export function venvPython(root) {
  const windows = process.platform === 'win32';
  return path.join(root, '.venv', windows ? 'Scripts/python.exe' : 'bin/python');
}

/** The site-packages directory of the virtual environment, or null when there is none. */
function sitePackages(root) {
  const library = path.join(root, '.venv', process.platform === 'win32' ? 'Lib' : 'lib');
  if (!existsSync(library)) return null;
  if (process.platform === 'win32') return path.join(library, 'site-packages');
  const name = readdirSync(library).find((entry) => entry.startsWith('python3'));
  return name ? path.join(library, name, 'site-packages') : null;
}

/** Whether pip came to the end of an installation: it writes INSTALLER after the last file of the wheel. */
function isComplete(distInfo) {
  return ['INSTALLER', 'RECORD'].every((name) => existsSync(path.join(distInfo, name)));
}

/**
 * Removes the metadata of packages in the virtual environment whose installation was cut short. pip takes a package
 * with METADATA for installed and would leave it as it is; without, it installs anew over the files that are there.
 */
export function forgetIncompletePackages(root) {
  const packages = sitePackages(root);
  if (!packages || !existsSync(packages)) return;
  for (const name of readdirSync(packages).filter((entry) => entry.endsWith('.dist-info'))) {
    const distInfo = path.join(packages, name);
    if (!isComplete(distInfo)) rmSync(distInfo, { recursive: true });
  }
}

/** The torch directory of the virtual environment when the pinned version is completely installed, else null. */
export function venvTorch(root) {
  const packages = sitePackages(root);
  if (!packages || !existsSync(packages)) return null;
  const version = pinnedTorch(root);
  const complete = readdirSync(packages).some(
    (name) =>
      (name === `torch-${version}.dist-info` || name.startsWith(`torch-${version}+`)) &&
      isComplete(path.join(packages, name)),
  );
  return complete ? path.join(packages, 'torch') : null;
}

/** Makes the virtual environment, or makes it anew when its interpreter or its pip does not run. */
async function ensureVenv(root, say) {
  const directory = path.join(root, '.venv');
  if (outputOf(venvPython(root), ['-m', 'pip', '--version']) !== null) return;
  const python = findPython();
  say(
    `${existsSync(directory) ? 'Making anew the damaged' : 'Making a'} virtual environment in .venv with ${python}`,
  );
  await runOrFail(python, ['-m', 'venv', '--clear', directory], {
    remedy: 'On Debian and Ubuntu the venv module is a package of its own: apt-get install python3-venv',
  });
}

/** Installs PyTorch's CPU build into the virtual environment, and returns its torch directory. */
export async function installTorch(root, say) {
  const existing = venvTorch(root);
  if (existing) return existing;
  await ensureVenv(root, say);
  const python = venvPython(root);
  const file = path.join(root, 'scripts', 'requirements-libtorch.txt');
  const install = ['-m', 'pip', 'install', ...pipOptions, '-r', file];
  say(
    `Installing PyTorch ${pinnedTorch(root)}, CPU build, into .venv (about 200 MB to fetch, 800 MB on disk)`,
  );
  forgetIncompletePackages(root);
  let result = await run(python, install);
  if (result.code !== 0 && /No matching distribution found for torch==/.test(result.errorOutput)) {
    say(`The configured package indexes do not have it: asking ${cpuWheelIndex} too`);
    result = await run(python, [...install, '--extra-index-url', cpuWheelIndex]);
  }
  const installed = venvTorch(root);
  if (result.code === 0 && installed) return installed;
  throw new SetupError(
    `pip could not install what scripts/requirements-libtorch.txt lists with ${outputOf(python, ['--version'])}. ` +
      'With libtorch from elsewhere, set SAM3_TRACKER_LIBTORCH to the directory that holds its lib and include.',
  );
}

/** Installs transformers and whatever else the tests want into the virtual environment. */
export function installReference(root, say) {
  return installList(
    root,
    {
      list: 'requirements-test.txt',
      stampName: 'sam3-tracker-setup.json',
      what: 'transformers and the other pinned packages of the tests into .venv (about 80 MB to fetch)',
    },
    say,
  );
}

/** Installs what makes ONNX graphs of a model, on top of installReference, for ONNX Runtime's side of the benchmark. */
export function installOnnxExport(root, say) {
  return installList(
    root,
    {
      list: 'requirements-bench.txt',
      stampName: 'sam3-tracker-bench.json',
      what: "the pinned packages of the benchmark's ONNX export into .venv (about 25 MB to fetch)",
    },
    say,
  );
}

/** Installs what a list in scripts/ pins into the virtual environment, with PyTorch, unless its stamp says that it is there. */
async function installList(root, { list, stampName, what }, say) {
  const files = ['requirements-libtorch.txt', list].map((name) => path.join(root, 'scripts', name));
  const stamp = path.join(root, '.venv', stampName);
  const hash = hashOf(root, files);
  if (venvTorch(root) && readStamp(stamp).reference === hash) return;
  await installTorch(root, say);
  await ensureVenv(root, say);
  say(`Installing ${what}`);
  removeStamp(stamp);
  forgetIncompletePackages(root);
  const python = venvPython(root);
  await runOrFail(python, ['-m', 'pip', 'install', ...pipOptions, '-r', files[1]], {
    remedy: 'Is the package index reachable?',
  });
  // --no-deps keeps pip from choosing another torch; this proves that the lists are complete all the same.
  await runOrFail(python, ['-m', 'pip', 'check', '--disable-pip-version-check'], {
    remedy: 'Remove .venv to have it made anew.',
  });
  writeStamp(stamp, { reference: hash });
}
