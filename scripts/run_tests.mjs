#!/usr/bin/env node
/**
 * Runs all tests: mocha over test/, unittest over test/python, and the programs of test/cpp that CMake has built; the
 * later ones also when an earlier one fails.
 */
import { spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { parallelJobs } from './setup/addon.mjs';
import { endChildrenOnSignals, run } from './setup/process.mjs';
import { venvPython } from './setup/venv.mjs';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

const help = `Usage: node scripts/run_tests.mjs [--unit] [--jobs N] [--results FILE] [FILE...]

  FILE...         mocha test files: only these, instead of all tests
  --unit          only test/unit, and of it only what does without Python
  --jobs N        how many test files to run at once (default: by cores and free memory, at most 4)
  --results FILE  writes the counts as JSON: [{ name, passed, failed, skipped }]
`;

const { values, positionals } = parseArgs({
  options: {
    unit: { type: 'boolean', default: false },
    jobs: { type: 'string', default: String(Math.min(4, parallelJobs())) },
    results: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowPositionals: true,
});
if (values.help) {
  process.stdout.write(help);
  process.exit();
}
const { jobs } = values;
const temporary = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-tests-'));
// Tests that give up root's rights must reach their own folders in it.
chmodSync(temporary, 0o711);
process.once('exit', () => rmSync(temporary, { recursive: true, force: true, maxRetries: 5 }));
endChildrenOnSignals();

const environment = {
  // What an interrupted test leaves behind goes with this folder.
  TMPDIR: temporary,
  // Threads that wait for work must not take the cores of the test files beside them.
  OMP_WAIT_POLICY: 'passive',
  ...(values.unit && { SAM3_TRACKER_TEST_WITHOUT_PYTHON: '1' }),
};

/** Runs one test program that writes its counts to a file; a program that dies before that counts as one failure. */
async function runSuite(name, command, args) {
  const file = path.join(temporary, `${name}.json`);
  const env = { ...environment, SAM3_TRACKER_TEST_RESULTS: file };
  const { code, signal } = await run(command, args, { cwd: root, env });
  const counts = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : null;
  if (!counts) console.error(`${name} ended before its result (${signal ?? `exit code ${code}`})`);
  const { passed, failed, skipped } = counts ?? { passed: 0, failed: 1, skipped: 0 };
  // A non-zero exit without a failed test is a failure of the program itself, such as a refused .only.
  return { name, passed, failed: code === 0 || failed > 0 ? failed : 1, skipped };
}

/** Runs each native test that CMake knows of; its exit code is its result. */
async function runNativeTests() {
  const build = path.join(root, 'build');
  const list = spawnSync('ctest', ['--show-only=json-v1'], { cwd: build, encoding: 'utf8' });
  const tests = list.status === 0 ? JSON.parse(list.stdout).tests : [];
  if (tests.length === 0) console.error(`ctest knows no native test: ${list.error?.message ?? list.stderr}`);
  const counts = { name: 'native', passed: 0, failed: tests.length === 0 ? 1 : 0, skipped: 0 };
  for (const { name, command } of tests) {
    // A test that was not built has no command.
    const env = { TMPDIR: temporary };
    const code = command ? (await run(command[0], command.slice(1), { cwd: build, env })).code : null;
    console.log(`  ${code === 0 ? 'passed' : 'FAILED'}: ${name}${command ? '' : ' (not built)'}`);
    counts[code === 0 ? 'passed' : 'failed'] += 1;
  }
  return counts;
}

/** The files that take longest first, or one of them would run alone at the end. */
const everything = ['parity', 'e2e', 'repo', 'unit'].map((folder) => `test/${folder}/**/*.test.ts`);
const mochaFiles = values.unit ? everything.slice(-1) : everything;

const suites = [];
suites.push(
  await runSuite('mocha', process.execPath, [
    path.join(root, 'node_modules', 'mocha', 'bin', 'mocha.js'),
    ...(positionals.length > 0 ? positionals : mochaFiles),
    ...['--reporter', path.join(root, 'scripts', 'mocha_reporter.cjs')],
    ...['--forbid-only', '--parallel', '--jobs', jobs],
  ]),
);
if (positionals.length === 0 && !values.unit) {
  const python = process.env.SAM3_TRACKER_PYTHON ?? venvPython(root);
  suites.push(await runSuite('unittest', python, ['scripts/run_unittest.py', '--jobs', jobs]));
  suites.push(await runNativeTests());
}

for (const { name, passed, failed, skipped } of suites) {
  console.log(`${name}: ${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`);
}
if (values.results) writeFileSync(values.results, `${JSON.stringify(suites, null, 2)}\n`);
process.exitCode = suites.some(({ failed }) => failed > 0) ? 1 : 0;
