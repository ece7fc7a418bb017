/** `sam3-tracker libtorch install`: PyTorch's wheel, fetched by pip, cut down to what a server needs. */
import { spawn, spawnSync } from 'node:child_process';
import { constants } from 'node:fs';
import { access, cp, readFile, readdir, rename, rm, statfs, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Sam3TrackerError } from '../../core/errors';
import { kindOf, makeFolder } from '../../core/files';
import { withLock } from '../../hub/lock';
import { inspectLibtorch } from '../../native/libtorch';
import type { CommandOutput } from '../io';
import { linesOf } from '../text';

/** What is to be installed. */
export interface LibtorchInstallRequest {
  /** The release that the addon was built for: '2.13.0'. */
  release: string;
  build: 'cpu' | 'cuda';
  /** Where `torch/lib` (and for CUDA `nvidia`) will lie. */
  directory: string;
}

/** Megabytes of release 2.13.0: said before anything is fetched. */
const SIZES = { cpu: { fetched: 200, installed: 440 }, cuda: { fetched: 2500, installed: 3800 } };
/** Where the builds are that package indexes do not have. */
const WHEEL_INDEX = {
  cpu: 'https://download.pytorch.org/whl/cpu',
  cuda: 'https://download.pytorch.org/whl/cu130',
};
/** Of Python's, or of PyTorch's own tests. */
const NOT_NEEDED = /python|^libshm|_test\.|backend_with_compiler|aoti_custom_ops/;
const SHARED_LIBRARY = /\.(?:so|dylib)(?:\.[\d.]+)?$/;

function failed(message: string): Sam3TrackerError {
  return new Sam3TrackerError('DOWNLOAD_FAILED', message);
}

/** The Python to run pip with, and its version. @throws Sam3TrackerError where there is none that PyTorch has wheels for. */
function findPython(): { python: string; pythonVersion: string } {
  const seen: string[] = [];
  for (const name of process.env.PYTHON ? [process.env.PYTHON] : ['python3', 'python']) {
    const code = 'import sys; print("%d.%d" % sys.version_info[:2])';
    const { status, stdout } = spawnSync(name, ['-c', code], { encoding: 'utf8' });
    if (status !== 0) continue;
    const version = stdout.trim();
    const minor = /^3\.(\d+)$/.exec(version);
    if (!minor || Number(minor[1]) < 10 || Number(minor[1]) > 14) {
      seen.push(`${name} is ${version}`);
      continue;
    }
    if (spawnSync(name, ['-m', 'pip', '--version']).status === 0)
      return { python: name, pythonVersion: version };
    seen.push(`${name} (${version}) has no pip: apt-get install python3-pip`);
  }
  throw failed(
    `Python 3.10 to 3.14 with pip is needed to fetch libtorch${seen.length > 0 ? ` (${seen.join('; ')})` : ''}. ` +
      'It is needed here only: the directory can be copied to servers that have none. PYTHON names another one.',
  );
}

/** The Python that runs pip, and where pip unpacks and fetches to before it moves what is complete. */
interface Pip {
  python: string;
  temporary: string;
}

/** Runs pip; what it says goes to standard error, its progress too. Gives the exit code. */
function runPip(
  { python, temporary }: Pip,
  args: string[],
  output: CommandOutput,
): Promise<{ code: number; said: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(python, ['-m', 'pip', ...args, '--no-input', '--disable-pip-version-check'], {
      // The wheels go into a directory of their own, whoever runs this. Where TMPDIR points else may be too small for them.
      env: { ...process.env, PIP_ROOT_USER_ACTION: 'ignore', TMPDIR: temporary },
      // Only on a terminal does pip draw a progress bar.
      stdio: ['ignore', output.terminal === process.stderr ? process.stderr : 'pipe', 'pipe'],
    });
    // A pip that outlives this process would write beside the one of the next run.
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    const endBoth = (signal: NodeJS.Signals): void => {
      child.kill('SIGTERM');
      stopListening();
      process.kill(process.pid, signal);
    };
    const stopListening = (): void => signals.forEach((signal) => process.removeListener(signal, endBoth));
    signals.forEach((signal) => process.once(signal, endBoth));
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream?.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        output.stderr.write(linesOf(text));
      });
    child.on('error', (error) => {
      stopListening();
      reject(error);
    });
    child.on('close', (code) => {
      stopListening();
      resolve({ code: code ?? 1, said });
    });
  });
}

/** Fetches wheels that are not yet in `wheels`; pip checks their hashes, and those that are there. */
async function download(
  pip: Pip,
  requirement: string,
  wheels: string,
  options: string[],
  output: CommandOutput,
): Promise<{ code: number; said: string }> {
  return runPip(pip, ['download', '--dest', wheels, '--only-binary=:all:', ...options, requirement], output);
}

async function downloadTorch(
  pip: Pip,
  { release, build }: LibtorchInstallRequest,
  wheels: string,
  output: CommandOutput,
): Promise<void> {
  // === compares the text: == 2.13.0 would take 2.13.0+cpu where an index has it.
  const wanted = build === 'cuda' ? `torch===${release}` : `torch==${release}+cpu`;
  const first = await download(
    pip,
    process.platform === 'darwin' ? `torch==${release}` : wanted,
    wheels,
    ['--no-deps'],
    output,
  );
  if (first.code === 0) return;
  if (/No matching distribution found/.test(first.said)) {
    const index = WHEEL_INDEX[build];
    output.stderr.write(`The configured package indexes do not have it: asking ${index} too\n`);
    const other = `torch==${release}+${path.basename(index)}`;
    if ((await download(pip, other, wheels, ['--no-deps', '--extra-index-url', index], output)).code === 0)
      return;
  }
  throw failed(`pip could not fetch ${wanted}; it says why above. Run the command again to go on.`);
}

/**
 * What the torch package wants of NVIDIA's, without Python's markers, in pieces of one library or few: `name[a,b]==1` as
 * `name[a]==1` and `name[b]==1`. Those come first, since they say the versions of what the others ask for without one.
 */
async function nvidiaRequirements(packages: string): Promise<string[]> {
  const info = (await readdir(packages)).find((name) => /^torch-.*\.dist-info$/.test(name));
  const metadata = await readFile(path.join(packages, info!, 'METADATA'), 'utf8');
  const requirements = [...metadata.matchAll(/^Requires-Dist: ((?:nvidia|cuda)-[^;\n]+)/gm)]
    .map(([, requirement]) => requirement.trim())
    // cuda-bindings is Python code.
    .filter((requirement) => !requirement.startsWith('cuda-bindings'));
  const pieces = requirements.map((requirement) => {
    const [, name, extras, version] = /^([^[]+)\[([^\]]+)\](.*)$/.exec(requirement) ?? [];
    return name ? extras.split(',').map((extra) => `${name}[${extra.trim()}]${version}`) : [requirement];
  });
  return pieces.sort((left, right) => right.length - left.length).flat();
}

/**
 * Fetches NVIDIA's libraries piece by piece: pip keeps what it has fetched only when all that it was asked for is there.
 * What is there binds the later pieces, so that all of them agree.
 */
async function downloadNvidia(
  pip: Pip,
  wheels: string,
  packages: string,
  output: CommandOutput,
): Promise<void> {
  const constraints = path.join(path.dirname(wheels), 'constraints.txt');
  for (const requirement of await nvidiaRequirements(packages)) {
    const pins = (await readdir(wheels)).map((name) => name.split('-').slice(0, 2).join('=='));
    await writeFile(constraints, `${pins.join('\n')}\n`);
    const { code } = await download(pip, requirement, wheels, ['--constraint', constraints], output);
    if (code !== 0)
      throw failed(
        `pip could not fetch NVIDIA's libraries (${requirement}); it says why above. Run the command again to go on.`,
      );
  }
}

async function unpack(pip: Pip, wheels: string, packages: string, output: CommandOutput): Promise<void> {
  const files = (await readdir(wheels)).filter((name) => name.endsWith('.whl'));
  const args = [
    'install',
    '--quiet',
    '--no-deps',
    '--no-index',
    '--no-compile',
    '--upgrade',
    '--target',
    packages,
  ];
  const { code } = await runPip(pip, [...args, ...files.map((name) => path.join(wheels, name))], output);
  if (code !== 0) throw failed('pip could not unpack the wheels; it says why above.');
}

async function keepLibraries(from: string, to: string): Promise<void> {
  await makeFolder(to);
  for (const name of await readdir(from)) {
    if (SHARED_LIBRARY.test(name) && !NOT_NEEDED.test(name))
      await rename(path.join(from, name), path.join(to, name));
  }
}

/** Moves what is needed at run time, and the licences, to `kept`, as torch's RPATH expects it to lie. */
async function keepRuntime(packages: string, kept: string): Promise<void> {
  await rm(kept, { recursive: true, force: true });
  await keepLibraries(path.join(packages, 'torch', 'lib'), path.join(kept, 'torch', 'lib'));
  await rename(path.join(packages, 'torch', 'version.py'), path.join(kept, 'torch', 'version.py'));
  const nvidia = path.join(packages, 'nvidia');
  if ((await kindOf(nvidia)) === 'directory') {
    for (const name of await readdir(nvidia)) {
      const libraries = path.join(nvidia, name, 'lib');
      if ((await kindOf(libraries)) === 'directory')
        await keepLibraries(libraries, path.join(kept, 'nvidia', name, 'lib'));
    }
  }
  for (const info of (await readdir(packages)).filter((name) => name.endsWith('.dist-info'))) {
    const isLicence = (name: string): boolean => /licen[cs]e|notice/i.test(name);
    for (const name of (await readdir(path.join(packages, info))).filter(isLicence))
      await cp(path.join(packages, info, name), path.join(kept, 'licenses', info, name), { recursive: true });
  }
}

async function checkSpace(directory: string, build: 'cpu' | 'cuda'): Promise<void> {
  const { bavail, bsize } = await statfs(directory);
  const { fetched, installed } = SIZES[build];
  // The wheels stay until what they hold is unpacked.
  const needed = (fetched + 1.1 * installed) * 1e6;
  if (bavail * bsize < needed)
    throw failed(
      `${directory} has ${(bavail * bsize * 1e-9).toFixed(1)} GB free, and ${(needed * 1e-9).toFixed(1)} GB are ` +
        'needed while it is installed. Choose another directory with --dir.',
    );
}

/**
 * Fetches a libtorch and puts it into a directory, which appears when it is complete. What an earlier run that was
 * interrupted has fetched is used again.
 *
 * @param request what, and where.
 * @param output where messages go.
 * @throws Sam3TrackerError DOWNLOAD_FAILED, with what helps.
 */
export async function installLibtorch(request: LibtorchInstallRequest, output: CommandOutput): Promise<void> {
  const { release, build, directory } = request;
  const { fetched, installed } = SIZES[build];
  const present = inspectLibtorch('', directory, release);
  if (present.problem === null && present.build === build) {
    output.stderr.write(`libtorch ${present.version ?? release} is in ${directory} already\n`);
    return;
  }
  if ((await kindOf(directory)) !== null && (await readdir(directory)).length > 0)
    throw failed(
      `${directory} is not empty and holds no libtorch ${release} (${build}): choose another one with --dir.`,
    );
  const { python, pythonVersion } = findPython();
  const partial = `${directory}.partial`;
  try {
    await makeFolder(partial);
    await access(partial, constants.W_OK);
  } catch (cause) {
    throw failed(
      `${path.dirname(directory)} cannot be written to: choose a directory with --dir. (${(cause as Error).message})`,
    );
  }
  output.stderr.write(
    `libtorch ${release}, ${build === 'cpu' ? 'CPU' : 'CUDA'} build: about ${fetched} MB to fetch, ` +
      `${installed} MB on disk, into ${directory}\n`,
  );
  await checkSpace(partial, build);
  await withLock(`${directory}.lock`, async () => {
    // Another process may have finished while this one waited.
    if (inspectLibtorch('', directory, release).problem === null) return;
    // torch's wheel is one for a release, a build and a version of Python: another run may have had others.
    const wheels = path.join(partial, `wheels-${release}-${build}-${pythonVersion}`);
    const packages = path.join(partial, 'packages');
    const temporary = path.join(partial, 'tmp');
    // Of a run that was ended.
    for (const old of [packages, temporary]) await rm(old, { recursive: true, force: true });
    await makeFolder(temporary);
    const pip = { python, temporary };
    try {
      await downloadTorch(pip, request, wheels, output);
      if (build === 'cuda') {
        await unpack(pip, wheels, packages, output);
        await downloadNvidia(pip, wheels, packages, output);
        // All of it is unpacked below, beside this.
        await rm(packages, { recursive: true });
      }
      output.stderr.write('Unpacking\n');
      await unpack(pip, wheels, packages, output);
      const kept = path.join(partial, 'kept');
      await keepRuntime(packages, kept);
      await rm(directory, { recursive: true, force: true });
      await rename(kept, directory);
      await rm(partial, { recursive: true });
    } finally {
      await rm(temporary, { recursive: true, force: true });
    }
  });
}
