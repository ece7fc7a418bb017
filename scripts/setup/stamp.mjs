/** Stamps: small files, written last, that say what a directory was made from. */
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Every file under the given files and directories, sorted; those that do not exist are left out. */
export function listFiles(paths) {
  const files = [];
  for (const start of paths.filter((entry) => existsSync(entry))) {
    if (statSync(start).isFile()) files.push(start);
    else files.push(...listFiles(readdirSync(start).map((name) => path.join(start, name))));
  }
  return files.sort();
}

/** A hash of the names (relative to `root`) and contents of files, and of any further strings. */
export function hashOf(root, files, ...strings) {
  const hash = createHash('sha256');
  for (const file of files) {
    hash.update(`${path.relative(root, file)}\0`);
    hash.update(createHash('sha256').update(readFileSync(file)).digest());
  }
  hash.update(JSON.stringify(strings));
  return hash.digest('hex');
}

/** The parsed stamp, or an empty object when there is none or it is damaged: then the work is done again. */
export function readStamp(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return {};
  }
}

/** Writes a stamp: the last act of a step. */
export function writeStamp(file, content) {
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, `${JSON.stringify(content, null, 2)}\n`);
}

/** Removes a stamp: the first act of a step. */
export function removeStamp(file) {
  rmSync(file, { force: true });
}
