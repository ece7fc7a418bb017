/** The Node packages of package-lock.json. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { runOrFail } from './process.mjs';

/**
 * Whether `installed` (npm's own node_modules/.package-lock.json, which npm writes last) holds every package of
 * `locked` in its version. Packages for other platforms are optional and may be missing.
 */
export function holdsEveryPackage(installed, locked) {
  return Object.entries(locked.packages).every(([name, { version, optional, devOptional }]) => {
    if (name === '') return true;
    const found = installed.packages?.[name];
    return found ? found.version === version : Boolean(optional || devOptional);
  });
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}

/** Runs `npm ci` unless node_modules holds what package-lock.json asks for. */
export async function installPackages(root, say) {
  const locked = readJson(path.join(root, 'package-lock.json'));
  const installed = readJson(path.join(root, 'node_modules', '.package-lock.json'));
  if (holdsEveryPackage(installed, locked)) return;
  say('Installing the Node packages of package-lock.json into node_modules (500 MB)');
  // --include=dev: under NODE_ENV=production npm would leave out cmake-js and TypeScript.
  const args = ['ci', '--ignore-scripts', '--include=dev', '--no-audit', '--no-fund'];
  // npm names its own script in npm_execpath; on Windows npm itself is a batch file, which spawn does not start.
  const npm = process.env.npm_execpath;
  if (npm && /npm-cli\.[cm]?js$/.test(npm)) await runOrFail(process.execPath, [npm, ...args], { cwd: root });
  else await runOrFail('npm', args, { cwd: root, remedy: 'Is the package registry reachable?' });
}
