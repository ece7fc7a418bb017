/**
 * Finds the binary and a libtorch for it, and loads both: the only file that names the binary. Linux's dynamic linker
 * takes libraries that are already loaded under the name that is asked for, so libtorch_loader, a small addon without
 * libtorch among its dependencies, opens the chosen one first.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import nodeGypBuild from 'node-gyp-build';
import { Sam3TrackerError } from '../core/errors';
import {
  LIBTORCH_CPU,
  describePlace,
  inspectLibtorch,
  librariesOf,
  libtorchPlaces,
  releaseOf,
} from './libtorch';
import type { LibtorchPlace } from './libtorch';
import { probe } from './probe';
import { explainLinkerMessage, floorProblem, isAddonTooNew, libcProblem, systemLibc } from './diagnosis';
import { PACKAGE_MANIFEST, PACKAGE_ROOT } from '../core/package';

/** The two libraries of this package. */
export interface AddonFiles {
  addon: string;
  loader: string;
  /** Whether they came with the package or were built here. */
  origin: 'prebuilt' | 'built';
}

/** The exports of `native/libtorch_loader/libtorch_loader.cc`. */
export interface LibtorchLoader {
  /** The release of libtorch that the addon was built for: '2.13.0'. */
  readonly builtFor: string;
  /** Loads a library for the rest of the process. */
  open(file: string): void;
  /** The file of a library that is in this process under that name, or null. */
  loadedFile(name: string): string | null;
  /** The release of the loaded libtorch as it says itself, or null for one that is too old to say. */
  releaseOf(name: string): string | null;
}

/** What was chosen, and every place that was looked at before. */
export interface LibtorchChoice {
  /** null where no place fits. */
  chosen: LibtorchPlace | null;
  places: LibtorchPlace[];
}

/** Who names a libtorch that was not looked for. */
const LOADED = 'already loaded in this process';

const LOADER = `libtorch_loader${process.platform === 'darwin' ? '.dylib' : '.so'}`;

/** Runs in a process of its own: opens the libraries of argv, then the addon, and prints the problem. */
const PROBE_SCRIPT = `
const [loaderFile, addonFile, name, ...libraries] = process.argv.slice(1);
const load = (file) => { const module = { exports: {} }; process.dlopen(module, file); return module.exports; };
let problem = null;
try {
  const loader = load(loaderFile);
  for (const file of libraries) loader.open(file);
  const release = loader.releaseOf(name);
  if (release !== loader.builtFor)
    problem = 'it says to be version ' + (release ?? 'unknown') + ', and the addon was built for ' + loader.builtFor;
  else load(addonFile);
} catch (error) { problem = error.message; }
process.stdout.write(JSON.stringify({ problem }));
`;

function notLoaded(reason: string, cause?: unknown): Sam3TrackerError {
  return new Sam3TrackerError(
    'ADDON_NOT_LOADED',
    `The native addon of sam3-tracker could not be loaded: ${reason}\n` +
      '"npx sam3-tracker doctor" shows what is there.',
    { cause },
  );
}

/** Refuses prebuilt files that are not those that were packed. @throws Sam3TrackerError ADDON_NOT_LOADED. */
function checkHashes(directory: string): void {
  const list = path.join(directory, 'build.json');
  if (!existsSync(list)) return;
  const refuse = (file: string, cause?: unknown): never => {
    throw notLoaded(
      `${file} is ${existsSync(file) ? 'damaged' : 'missing'}. ` +
        'Install the package again: remove node_modules/sam3-tracker and run "npm install".',
      cause,
    );
  };
  let hashes: [string, string][] = [];
  try {
    hashes = Object.entries(
      (JSON.parse(readFileSync(list, 'utf8')) as { files: Record<string, string> }).files,
    );
  } catch (cause) {
    refuse(list, cause);
  }
  for (const [name, sha256] of hashes) {
    const file = path.join(directory, name);
    if (!existsSync(file) || createHash('sha256').update(readFileSync(file)).digest('hex') !== sha256)
      refuse(file);
  }
}

/** Why there is no binary, and what helps. */
function noBinary(): string {
  if (existsSync(path.join(PACKAGE_ROOT, 'CMakeLists.txt')))
    return 'this checkout has not built it. "npm run setup" does.';
  if (existsSync(path.join(PACKAGE_ROOT, 'prebuilds')))
    return `the package has no binary for ${process.platform}-${process.arch}. One can be built from the repository.`;
  return (
    `${path.join(PACKAGE_ROOT, 'prebuilds')} is missing. A bundler or a deployment that left it out has to copy the ` +
    'folders prebuilds and models of node_modules/sam3-tracker (Next.js: outputFileTracingIncludes); ' +
    'docs/deployment.md in the repository has the settings. Else install the package again.'
  );
}

/**
 * The binary: one built here first, then the prebuilt one of this platform.
 *
 * @throws Sam3TrackerError ADDON_NOT_LOADED where there is none for this system, or it is damaged.
 */
export function findAddon(): AddonFiles {
  const impossible = (): string | null => libcProblem(systemLibc(), PACKAGE_MANIFEST.binary.floor);
  let addon: string;
  try {
    addon = nodeGypBuild.resolve(PACKAGE_ROOT);
  } catch (cause) {
    throw notLoaded(impossible() ?? noBinary(), cause);
  }
  const directory = path.dirname(addon);
  checkHashes(directory);
  const loader = path.join(directory, LOADER);
  if (!existsSync(loader)) throw notLoaded(`${loader} is missing. In a checkout, "npm run setup" builds it.`);
  const origin = path.basename(path.dirname(directory)) === 'prebuilds' ? 'prebuilt' : 'built';
  return { addon, loader, origin };
}

function open(file: string): unknown {
  const module = { exports: {} };
  process.dlopen(module, file);
  return module.exports;
}

/** Opens the loader. @throws Sam3TrackerError ADDON_NOT_LOADED, with the reason where it is known. */
export function openLibtorchLoader({ loader }: AddonFiles): LibtorchLoader {
  try {
    return open(loader) as LibtorchLoader;
  } catch (cause) {
    const reason =
      libcProblem(systemLibc(), PACKAGE_MANIFEST.binary.floor) ??
      explainLinkerMessage((cause as Error).message);
    throw notLoaded(reason, cause);
  }
}

/** What is wrong with the release of the libtorch in this process, as it says itself; null where it fits. */
function releaseProblem(loader: LibtorchLoader): string | null {
  const release = loader.releaseOf(LIBTORCH_CPU);
  if (release === loader.builtFor) return null;
  return `it says to be version ${release ?? 'unknown'}, and the addon was built for ${loader.builtFor}`;
}

/** The first place whose libtorch loads with the addon. One that is loaded already is the only choice. */
export function chooseLibtorch(files: AddonFiles, loader: LibtorchLoader): LibtorchChoice {
  const loaded = loader.loadedFile(LIBTORCH_CPU);
  if (loaded !== null) {
    const directory = path.dirname(path.dirname(loaded));
    const place = inspectLibtorch(LOADED, directory, loader.builtFor, true);
    place.problem = releaseProblem(loader);
    return { chosen: place.problem === null ? place : null, places: [place] };
  }
  const places: LibtorchPlace[] = [];
  for (const place of libtorchPlaces(loader.builtFor, path.dirname(files.addon))) {
    places.push(place);
    if (place.problem !== null) continue;
    const libraries = librariesOf(place.directory!);
    const problem = probe({
      script: PROBE_SCRIPT,
      arguments: [files.loader, files.addon, LIBTORCH_CPU, ...libraries],
      files: [files.loader, files.addon, ...libraries],
    });
    if (problem === null) return { chosen: place, places };
    place.problem = explainLinkerMessage(problem);
  }
  return { chosen: null, places };
}

/** What helps where no place fits. */
function remedyFor(decisive: LibtorchPlace | undefined): string {
  const install = '"npx sam3-tracker libtorch install" (--cpu or --cuda, --dir for a directory of your own)';
  const doctor = '"npx sam3-tracker doctor" shows what is there.';
  if (!decisive)
    return (
      'Get one with "npx sam3-tracker libtorch install --cpu" (or --cuda), or set SAM3_TRACKER_LIBTORCH to the ' +
      `directory of one: the one that holds lib. ${doctor}`
    );
  // A process holds one libtorch only: the linker gives the first to all that ask for it by name.
  if (decisive.source === LOADED)
    return (
      'Something else in this process has loaded it (another addon, LD_PRELOAD, an earlier attempt), and no second one ' +
      'can stand beside it. Load sam3-tracker before it or in a process of its own. ' +
      `The libtorch that it needs comes with ${install}; ${doctor}`
    );
  return (
    `It was asked for by name (${decisive.source}), so no other is taken in its place. Set the variable to another ` +
    `directory or to none. A libtorch that fits comes with ${install}; ${doctor}`
  );
}

/** The error for a choice that found nothing: what was tried, why each failed, and what helps. */
export function libtorchNotFound({ places }: LibtorchChoice, release: string): Sam3TrackerError {
  const tried = places.map((place) => `  - ${describePlace(place)}\n`).join('');
  // Those of the right version: another is refused by its files, before the addon is tried with it.
  const fitting = places.filter(
    ({ build, version }) => build !== null && (version === null || releaseOf(version) === release),
  );
  if (fitting.length > 0 && fitting.every(({ problem }) => problem !== null && isAddonTooNew(problem)))
    return notLoaded(`${floorProblem(PACKAGE_MANIFEST.binary.floor)} Tried with:\n${tried.trimEnd()}`);
  return new Sam3TrackerError(
    'LIBTORCH_NOT_FOUND',
    `sam3-tracker needs libtorch ${release} and found none that it can use. Tried:\n` +
      `${tried}${remedyFor(places.find((place) => place.decisive))}`,
  );
}

/**
 * Loads libtorch and the addon.
 *
 * @throws Sam3TrackerError LIBTORCH_NOT_FOUND or ADDON_NOT_LOADED, saying what was tried and what helps.
 */
export function loadAddon(): unknown {
  const files = findAddon();
  const loader = openLibtorchLoader(files);
  const choice = chooseLibtorch(files, loader);
  if (choice.chosen === null) throw libtorchNotFound(choice, loader.builtFor);
  const { chosen } = choice;
  try {
    for (const file of librariesOf(chosen.directory!)) loader.open(file);
    // The child process has found this out, unless none could be started.
    chosen.problem = releaseProblem(loader);
    if (chosen.problem === null) return open(files.addon);
  } catch (cause) {
    throw notLoaded(explainLinkerMessage((cause as Error).message), cause);
  }
  throw libtorchNotFound(choice, loader.builtFor);
}
