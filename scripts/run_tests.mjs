#!/usr/bin/env node
/**
 * Runs all tests: mocha over test/, then unittest over test/python; the second also when the first fails.
 * Names of mocha test files as arguments run only these. --results FILE writes the counts as JSON:
 * [{ name, passed, failed, skipped }].
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { venvPython } from './setup/venv.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const { values, positionals } = parseArgs({
  options: { results: { type: 'string' } },
  allowPositionals: true,
});
const temporary = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-tests-'));

/** Runs one test program that writes its counts to a file; a program that dies before that counts as one failure. */
function runSuite(name, command, args) {
  const file = path.join(temporary, `${name}.json`);
  const env = { ...process.env, SAM3_TRACKER_TEST_RESULTS: file };
  const { status, signal } = spawnSync(command, args, { cwd: root, env, stdio: 'inherit' });
  const counts = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
  if (!counts) console.error(`${name} ended before its result (${signal ?? `exit code ${status}`})`);
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 1, skipped: 0 };
  // A non-zero exit without a failed test is a failure of the program itself, such as a refused .only.
  return { name, passed, failed: status === 0 || failed > 0 ? failed : 1, skipped };
}

const mocha = path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js');
const reporter = path.join(root, 'scripts', 'mocha_reporter.cjs');
const mochaOptions = ['--reporter', reporter, ...(process.env.CI ? ['--forbid-only'] : [])];

const suites = [];
try {
  const files = positionals.length > 0 ? positionals : ['test/**/*.test.ts'];
  suites.push(runSuite('mocha', process.execPath, [mocha, ...files, ...mochaOptions]));
  if (positionals.length === 0)
    suites.push(
      runSuite('unittest', process.env.SAM3_TRACKER_PYTHON ?? venvPython(root), ['scripts/run_unittest.py']),
    );
} finally {
  rmSync(temporary, { recursive: true, force: true });
}

for (const { name, passed, failed, skipped } of suites) {
  console.log(`${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
}
if (values.results) writeFileSync(values.results, `${JSON.stringify(suites, null, 2)}\n`);
process.exitCode = suites.some(({ failed }) => failed > 0) ? 1 : 0;
