/**
 * Where this package lies, and whether this Node can run it. The entry files import it before anything else: a Node that
 * is too old is told so here, and not by what fails in undici or sharp.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { minVersion, satisfies } from 'semver';
import { Sam3TrackerError } from './errors';

/** What this package reads of its own package.json. */
export interface PackageManifest {
  name: string;
  version: string;
  engines: { node: string };
  /** What a prebuilt binary needs of the system: the newest symbol version of each library that it may bind. */
  binary: { floor: { GLIBC: string; GLIBCXX: string; CXXABI: string } };
}

const NAME = 'sam3-tracker';

function readManifest(directory: string): PackageManifest | null {
  try {
    const manifest = JSON.parse(
      readFileSync(path.join(directory, 'package.json'), 'utf8'),
    ) as PackageManifest;
    return manifest.name === NAME ? manifest : null;
  } catch {
    // No such file, or another program's: not the directory that is looked for.
    return null;
  }
}

function find(): { root: string; manifest: PackageManifest } {
  const own = path.join(__dirname, '..', '..');
  const manifest = readManifest(own);
  if (manifest) return { root: own, manifest };
  // A bundler has moved this code into another file; the installed package still holds what no bundle can.
  const installed = installedDirectory();
  const installedManifest = installed && readManifest(installed);
  if (installedManifest) return { root: installed, manifest: installedManifest };
  throw new Sam3TrackerError(
    'ADDON_NOT_LOADED',
    'sam3-tracker was bundled, and its binary, graphs and models cannot be: leave it out of the bundle (Next.js: ' +
      "serverExternalPackages: ['sam3-tracker']; webpack: externals; esbuild: --external:sam3-tracker) and keep it in " +
      'node_modules. docs/deployment.md in the repository has the settings.',
  );
}

/** Where Node finds the installed package; null where it does not, or where a bundler has put a number in its place. */
function installedDirectory(): string | null {
  try {
    const file: unknown = require.resolve('sam3-tracker/package.json');
    return typeof file === 'string' ? path.resolve(path.dirname(file)) : null;
  } catch {
    return null;
  }
}

const found = find();

/** The directory of this package's package.json. */
export const PACKAGE_ROOT = found.root;

/** This package's package.json. */
export const PACKAGE_MANIFEST = found.manifest;

/**
 * The path of a photo that comes with this package, for first tries: a cat, 451 x 300 pixels (by Stefan van der Walt,
 * CC0).
 */
export const SAMPLE_IMAGE = path.join(PACKAGE_ROOT, 'examples', 'images', 'chelsea.png');

/** The id of the model that this package ships with weights, for callers who name none. */
export const DEFAULT_MODEL = 'sam3-tracker-tiny';

/**
 * Checks a version of Node against the one that package.json asks for.
 *
 * @param version as `process.versions.node`.
 * @throws Sam3TrackerError NODE_TOO_OLD where it is older.
 */
export function checkNodeVersion(version: string): void {
  const { node } = PACKAGE_MANIFEST.engines;
  if (satisfies(version, node, { includePrerelease: true })) return;
  throw new Sam3TrackerError(
    'NODE_TOO_OLD',
    `sam3-tracker needs Node ${minVersion(node)!.version} or later, as its HTTP client undici does, and this is Node ${version}. ` +
      'Get a newer one: https://nodejs.org',
  );
}

checkNodeVersion(process.versions.node);
