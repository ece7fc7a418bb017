/** Imported first, so that a Node that is too old says so before anything that needs a newer one fails. */
import { Sam3TrackerError } from './errors';

const OLDEST_NODE = 20;

/**
 * Checks a version of Node.
 *
 * @param version as `process.versions.node`.
 * @throws Sam3TrackerError NODE_TOO_OLD below Node 20.
 */
export function checkNodeVersion(version: string): void {
  if (parseInt(version, 10) >= OLDEST_NODE) return;
  throw new Sam3TrackerError(
    'NODE_TOO_OLD',
    `sam3-tracker needs Node ${OLDEST_NODE} or later and this is Node ${version}. Get a newer one: https://nodejs.org`,
  );
}

checkNodeVersion(process.versions.node);
