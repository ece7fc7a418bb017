/**
 * Makes docs/api.md from the docstrings: `npm run docs`. With `--check` it only says whether the file is what they give.
 * Public names without documentation are errors either way (typedoc.json).
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Application } from 'typedoc';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = path.join(root, 'docs', 'api.md');

/** The page as the docstrings give it, or null where they have faults, which are printed. */
async function makePage(directory) {
  const app = await Application.bootstrapWithPlugins({
    options: path.join(root, 'typedoc.json'),
    out: directory,
    logLevel: 'Warn',
  });
  const project = await app.convert();
  if (!project) return null;
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) return null;
  await app.generateOutputs(project);
  return readFileSync(path.join(directory, 'api.md'), 'utf8');
}

const directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-docs-'));
try {
  const page = await makePage(directory);
  if (page === null) process.exitCode = 1;
  else if (!process.argv.includes('--check')) writeFileSync(target, page);
  else if (page !== readFileSync(target, 'utf8')) {
    process.stderr.write('docs/api.md is not what the docstrings give: run "npm run docs".\n');
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
