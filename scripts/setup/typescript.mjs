/** Compiles lib/ to dist/. */
import { existsSync, rmSync } from 'node:fs';
import path from 'node:path';
import { runOrFail } from './process.mjs';
import { hashOf, listFiles, readStamp, removeStamp, writeStamp } from './stamp.mjs';

/** Runs tsc over lib/ unless dist/ is up to date. dist/ is emptied first: it holds nothing of a removed source. */
export async function compileTypeScript(root, say) {
  const names = ['lib', 'tsconfig.json', 'tsconfig.build.json', 'package-lock.json'];
  const hash = hashOf(root, listFiles(names.map((name) => path.join(root, name))));
  // Not in dist/, which is published as it lies.
  const stamp = path.join(root, '.cache', 'dist.json');
  const dist = path.join(root, 'dist');
  if (existsSync(path.join(dist, 'index.js')) && readStamp(stamp).hash === hash) return;
  say('Compiling lib to dist');
  removeStamp(stamp);
  rmSync(dist, { recursive: true, force: true });
  const compiler = path.join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  await runOrFail(process.execPath, [compiler, '-p', 'tsconfig.build.json'], { cwd: root });
  writeStamp(stamp, { hash });
}
