#!/usr/bin/env node
/**
 * Proof that the tarball installs and works: packs it, installs it with npm, pnpm and yarn into empty folders without
 * install scripts and without a compiler on PATH, and runs the README's program and the command-line tool there. Not
 * part of npm test: it fetches the dependencies, and needs prebuilds/ (npm run prebuild) and dist/.
 *
 *   node test/e2e/package/run.mjs [--managers npm,pnpm,yarn,yarn-pnp] [--node FILE]...
 *
 * --node names further Node binaries that run the programs. libtorch is the one that the checkout was built with.
 */
import { spawnSync } from 'node:child_process';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import os from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { lt } from 'semver';
import { provideLibtorch } from '../../../scripts/setup/libtorch.mjs';
import { findProgram } from '../../../scripts/setup/process.mjs';
import { programs } from './programs.mjs';
import { TOOLS, packageFaults, typeChecks } from './types.mjs';

const root = fileURLToPath(new URL('../../..', import.meta.url));
const require = createRequire(import.meta.url);
const { values } = parseArgs({
  options: {
    managers: { type: 'string', default: 'npm,pnpm,yarn,yarn-pnp' },
    node: { type: 'string', multiple: true, default: [] },
  },
});
const directory = realpathSync(mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-package-')));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

const nodes = [process.execPath, ...values.node];
const npm = realpathSync(findProgram('npm'));
let failures = 0;

/** PATH with Node and a shell, and nothing that could build. */
function makePath(node) {
  const bin = path.join(directory, `bin-${nodes.indexOf(node)}`);
  mkdirSync(bin, { recursive: true });
  for (const [name, file] of [
    ['node', node],
    ...['sh', 'env', 'uname', 'sed', 'dirname'].map((tool) => [tool, findProgram(tool)]),
  ])
    if (file && !existsSync(path.join(bin, name))) symlinkSync(file, path.join(bin, name));
  return bin;
}

const libtorch = await provideLibtorch(root, () => {});

function environment(node) {
  return {
    ...process.env,
    PATH: makePath(node),
    SAM3_TRACKER_LIBTORCH: libtorch,
    XDG_CACHE_HOME: path.join(directory, 'cache'),
    npm_config_ignore_scripts: 'true',
    NODE_OPTIONS: '',
  };
}

function run(command, args, options) {
  const result = spawnSync(command, args, { encoding: 'utf8', ...options });
  if (result.status === 0) return result.stdout;
  const how = result.error?.message ?? result.signal ?? `exit code ${result.status}`;
  throw new Error(`${[path.basename(command), ...args].join(' ')}: ${how}\n${result.stdout}${result.stderr}`);
}

/** The package managers other than npm, fetched once a run. */
function fetchManagers() {
  const tools = path.join(directory, 'tools');
  mkdirSync(tools);
  const packages = ['pnpm@10', 'yarn@1', '@yarnpkg/cli-dist@4'];
  run(process.execPath, [npm, 'install', '--no-save', '--prefix', tools, ...packages], { cwd: tools });
  const file = (...names) => path.join(tools, 'node_modules', ...names);
  return {
    pnpm: [file('pnpm', 'bin', 'pnpm.cjs'), 'install', '--ignore-scripts'],
    yarn: [file('yarn', 'bin', 'yarn.js'), 'install', '--ignore-scripts', '--no-lockfile'],
    'yarn-pnp': [file('@yarnpkg', 'cli-dist', 'bin', 'yarn.js'), 'install', '--mode=skip-build'],
  };
}

/** The packages that the checks need, fetched once a run; their folder. */
function fetchTools() {
  const folder = path.join(directory, 'checks');
  mkdirSync(folder);
  const packages = Object.entries(TOOLS).map(([name, version]) => `${name}@npm:${version}`);
  run(process.execPath, [npm, 'install', '--no-save', '--prefix', folder, ...packages], { cwd: folder });
  return path.join(folder, 'node_modules');
}

function refuseFaults(faults) {
  if (faults.length > 0) throw new Error(faults.join('\n'));
}

function pack() {
  const [{ filename, size }] = JSON.parse(
    run(process.execPath, [npm, 'pack', '--json', '--ignore-scripts', '--pack-destination', directory], {
      cwd: root,
    }),
  );
  process.stdout.write(`packed ${filename}, ${(size / 1e6).toFixed(1)} MB\n`);
  return path.join(directory, filename);
}

function install(manager, command, tarball) {
  const project = path.join(directory, manager);
  mkdirSync(project);
  const dependencies = { 'sam3-tracker': `file:${tarball}` };
  writeFileSync(
    path.join(project, 'package.json'),
    JSON.stringify({ name: 'user', private: true, dependencies }),
  );
  if (manager === 'yarn-pnp')
    writeFileSync(
      path.join(project, '.yarnrc.yml'),
      'nodeLinker: pnp\nenableTelemetry: false\nenableGlobalCache: false\nenableScripts: false\n',
    );
  run(process.execPath, command, {
    cwd: project,
    env: { ...environment(process.execPath), YARN_ENABLE_IMMUTABLE_INSTALLS: 'false', CI: '' },
  });
  mkdirSync(path.join(project, 'examples', 'images'), { recursive: true });
  const image = path.join('examples', 'images', 'coffee.png');
  copyFileSync(path.join(root, image), path.join(project, image));
  return project;
}

/** Arguments that make Node resolve packages as Yarn's Plug'n'Play has them. */
function nodeArguments(project) {
  const pnp = path.join(project, '.pnp.cjs');
  return existsSync(pnp)
    ? ['--require', pnp, '--experimental-loader', pathToFileURL(path.join(project, '.pnp.loader.mjs')).href]
    : [];
}

function check(name, work) {
  const began = performance.now();
  try {
    work();
    process.stdout.write(`  passed: ${name} (${((performance.now() - began) / 1000).toFixed(1)} s)\n`);
  } catch (error) {
    failures += 1;
    process.stdout.write(`  FAILED: ${name}\n${error.message.replaceAll(/^/gm, '    ')}\n`);
  }
}

const tarball = pack();
const faults = await packageFaults(tarball);
check('attw and publint', () => refuseFaults(faults));
const managers = values.managers.split(',');
const commands = {
  npm: [npm, 'install', '--ignore-scripts', '--no-package-lock'],
  ...(managers.some((name) => name !== 'npm') ? fetchManagers() : {}),
};
for (const manager of managers) {
  if (!commands[manager])
    throw new Error(`--managers takes ${Object.keys(commands).join(', ')}, not ${manager}`);
  process.stdout.write(`${manager}\n`);
  let project = null;
  check('install', () => {
    project = install(manager, commands[manager], tarball);
  });
  if (project === null) continue;
  const tools = manager === 'npm' ? fetchTools() : null;
  if (tools)
    for (const { name, faults: find } of typeChecks({ root, project, tools }))
      check(name, () => refuseFaults(find()));
  for (const node of nodes) {
    const version = run(node, ['--version']).trim();
    const readme = readFileSync(path.join(root, 'README.md'), 'utf8');
    for (const { name, args, expected, only, since } of programs({ root, project, require, readme, tools })) {
      if (since && lt(version, since)) continue;
      if (only && !only.includes(manager)) continue;
      check(`Node ${version}: ${name}`, () => {
        const own = typeof args === 'function' ? args() : args;
        const output = run(node, [...nodeArguments(project), ...own], {
          cwd: project,
          env: environment(node),
        });
        if (!expected.test(output)) throw new Error(`expected ${expected} in its output:\n${output}`);
      });
    }
  }
}
process.stdout.write(failures === 0 ? 'The package works.\n' : `${failures} failed\n`);
process.exitCode = failures === 0 ? 0 : 1;
