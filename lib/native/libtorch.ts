/**
 * Where libtorch may be: looks at files and asks Python where its torch is, loads nothing. `addon()` takes the
 * first place that fits; `sam3-tracker libtorch which` shows them all.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { expandUser } from '../core/files';

/** A place where a libtorch was looked for. */
export interface LibtorchPlace {
  /** Who names it, as messages say it: 'SAM3_TRACKER_LIBTORCH', 'python3 on PATH', ... */
  source: string;
  /** The directory that holds `lib`; null where the source names none. */
  directory: string | null;
  /** With its local part, as '2.13.0+cpu'; null where no file says it. */
  version: string | null;
  /** Whether it can use CUDA devices; null where there is no libtorch. */
  build: 'cpu' | 'cuda' | null;
  /** Why it cannot be used, as far as its files tell; null where it fits. */
  problem: string | null;
  /** Whether the user asked for this very one, so that no other may stand in for it. */
  decisive: boolean;
}

const SUFFIX = process.platform === 'darwin' ? '.dylib' : '.so';

/** Name under which the dynamic linker knows libtorch's CPU part. */
export const LIBTORCH_CPU = `libtorch_cpu${SUFFIX}`;

/** What every libtorch has, in an order in which each finds what it needs already loaded. */
const REQUIRED_LIBRARIES = [`libc10${SUFFIX}`, LIBTORCH_CPU, `libtorch${SUFFIX}`];
/** What some have besides: their own OpenMP, and the two parts of a CUDA build. */
const LOAD_ORDER = [
  'libgomp.so.1',
  'libomp.dylib',
  `libc10${SUFFIX}`,
  LIBTORCH_CPU,
  `libc10_cuda${SUFFIX}`,
  `libtorch_cuda${SUFFIX}`,
  `libtorch${SUFFIX}`,
];

const PYTHONS = ['python3', 'python'];

/** This user's folder for what can be fetched or found out again, by the rules of the platform. */
export function cacheDirectory(environment: NodeJS.ProcessEnv = process.env): string {
  const home = environment.HOME || os.homedir();
  if (process.platform === 'darwin') return path.join(home, 'Library', 'Caches', 'sam3-tracker');
  // The specification of XDG has relative paths ignored.
  const base = environment.XDG_CACHE_HOME;
  return path.join(base && path.isAbsolute(base) ? base : path.join(home, '.cache'), 'sam3-tracker');
}

/** Where `sam3-tracker libtorch install` puts a build of a release ('2.13.0') unless it is told otherwise. */
export function installDirectory(
  release: string,
  build: 'cpu' | 'cuda',
  environment: NodeJS.ProcessEnv = process.env,
): string {
  return path.join(cacheDirectory(environment), `libtorch-${release}-${build}`);
}

/** Whether the driver of an NVIDIA GPU is loaded (a container shows it too). */
export function hasNvidiaDriver(): boolean {
  return existsSync('/proc/driver/nvidia/version') || existsSync('/dev/nvidiactl');
}

/** The libraries of a libtorch to open, absolute, each behind those that it needs. */
export function librariesOf(directory: string): string[] {
  return LOAD_ORDER.map((name) => path.join(directory, 'lib', name)).filter((file) => existsSync(file));
}

/** '2.13.0' of '2.13.0+cpu'. */
export function releaseOf(version: string): string {
  return version.split('+')[0];
}

function readVersion(directory: string): string | null {
  const read = (name: string): string | null => {
    const file = path.join(directory, name);
    return existsSync(file) ? readFileSync(file, 'utf8') : null;
  };
  // An unpacked archive of libtorch has the one file, Python's package the other.
  const plain = read('build-version');
  if (plain !== null) return plain.trim();
  return /^__version__ = '([^']+)'/m.exec(read('version.py') ?? '')?.[1] ?? null;
}

/** The directory with `lib`, of a path that names it, its parent (`torch` in it) or `lib` itself. */
function libtorchDirectory(named: string): string {
  const places = [named, path.join(named, 'torch'), path.join(named, 'libtorch'), path.dirname(named)];
  return places.find((place) => existsSync(path.join(place, 'lib', LIBTORCH_CPU))) ?? named;
}

/**
 * What the files of a directory tell about the libtorch in it.
 *
 * @param source who names the directory.
 * @param named the directory: what holds `lib`, or the directory above that.
 * @param release the release that the addon was built for ('2.13.0').
 * @param decisive whether no other place may stand in for it.
 */
export function inspectLibtorch(
  source: string,
  named: string,
  release: string,
  decisive = false,
): LibtorchPlace {
  // A variable of a .env file has seen no shell.
  const directory = libtorchDirectory(path.resolve(expandUser(named)));
  const version = readVersion(directory);
  const isCuda = existsSync(path.join(directory, 'lib', `libtorch_cuda${SUFFIX}`));
  const missing = REQUIRED_LIBRARIES.find((name) => !existsSync(path.join(directory, 'lib', name)));
  let problem: string | null = null;
  if (!existsSync(directory)) problem = 'there is no such directory';
  else if (missing) problem = `no libtorch: lib/${missing} is missing`;
  else if (version !== null && releaseOf(version) !== release)
    problem = `version ${version}, and the addon was built for ${release}`;
  return { source, directory, version, build: missing ? null : isCuda ? 'cuda' : 'cpu', problem, decisive };
}

function nothingAt(source: string, problem: string): LibtorchPlace {
  return { source, directory: null, version: null, build: null, problem, decisive: false };
}

/** The torch of the first Python on PATH that has one, without importing it, which takes seconds. */
function inspectPython(release: string): LibtorchPlace {
  // Without the current directory, where a folder named torch may lie that is no package of Python's.
  const code =
    'import importlib.util as u, sys; sys.path = [p for p in sys.path if p]; ' +
    'print(list(u.find_spec("torch").submodule_search_locations)[0])';
  const seen: string[] = [];
  for (const python of PYTHONS) {
    const { status, stdout } = spawnSync(python, ['-c', code], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 20_000,
      windowsHide: true,
    });
    if (status === 0 && stdout.trim() !== '')
      return inspectLibtorch(`${python} on PATH`, stdout.trim(), release);
    if (status !== null) seen.push(python);
  }
  return nothingAt('python3 on PATH', seen.length > 0 ? 'it has no torch' : 'there is no Python');
}

/** What libtorch-directory beside a binary that was built here says. */
function builtWith(binaryDirectory: string): string | null {
  const file = path.join(binaryDirectory, 'libtorch-directory');
  return existsSync(file) ? readFileSync(file, 'utf8').trim() : null;
}

/**
 * The places where a libtorch may be, in the order in which they are tried. A generator, since later ones cost time.
 *
 * @param release the release that the addon was built for ('2.13.0').
 * @param binaryDirectory the addon's directory.
 */
export function* libtorchPlaces(
  release: string,
  binaryDirectory: string,
  environment: NodeJS.ProcessEnv = process.env,
): Generator<LibtorchPlace> {
  const { SAM3_TRACKER_LIBTORCH, LIBTORCH } = environment;
  if (SAM3_TRACKER_LIBTORCH) {
    yield inspectLibtorch('SAM3_TRACKER_LIBTORCH', SAM3_TRACKER_LIBTORCH, release, true);
    return;
  }
  yield nothingAt('SAM3_TRACKER_LIBTORCH', 'not set');
  yield LIBTORCH ? inspectLibtorch('LIBTORCH', LIBTORCH, release) : nothingAt('LIBTORCH', 'not set');
  const built = builtWith(binaryDirectory);
  if (built !== null) yield inspectLibtorch('the libtorch that this addon was built with', built, release);
  const builds = hasNvidiaDriver() ? (['cuda', 'cpu'] as const) : (['cpu', 'cuda'] as const);
  for (const build of builds) {
    const directory = installDirectory(release, build, environment);
    const source = `"sam3-tracker libtorch install --${build}"`;
    yield existsSync(directory)
      ? inspectLibtorch(source, directory, release)
      : nothingAt(source, `not run, or not finished (${directory})`);
  }
  yield inspectPython(release);
}

/** One line on a place for messages. */
export function describePlace({ source, directory, problem }: LibtorchPlace): string {
  return `${source}${directory === null ? '' : ` (${directory})`}: ${problem ?? 'fits'}`;
}
