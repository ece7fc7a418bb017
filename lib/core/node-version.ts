/** Imported first, so that a Node that is too old says so before anything that needs a newer one fails. */
import { Sam3TrackerError } from './errors';
import { PACKAGE_MANIFEST, isAtLeast } from './package';

/**
 * Checks a version of Node against the one that package.json asks for.
 *
 * @param version as `process.versions.node`.
 * @throws Sam3TrackerError NODE_TOO_OLD where it is older.
 */
export function checkNodeVersion(version: string): void {
  const oldest = PACKAGE_MANIFEST.engines.node.replace('>=', '');
  if (isAtLeast(version, oldest)) return;
  throw new Sam3TrackerError(
    'NODE_TOO_OLD',
    `sam3-tracker needs Node ${oldest} or later, as its HTTP client undici does, and this is Node ${version}. ` +
      'Get a newer one: https://nodejs.org',
  );
}

checkNodeVersion(process.versions.node);
