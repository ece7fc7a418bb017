/** The declarations of the packed package, as attw and publint see it and as compilers of several versions read it. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { readmeProgram } from './programs.mjs';

/** What the checks need beside the checkout's own: the oldest compiler that is supported, and the newest; webpack. */
export const TOOLS = {
  'typescript-5.4': 'typescript@5.4',
  'typescript-newest': 'typescript@latest',
  webpack: 'webpack@5',
};

/** What attw and publint find fault with, a line each. */
export async function packageFaults(tarball) {
  const bytes = readFileSync(tarball);
  const { problems } = await checkPackage(createPackageFromTarballData(new Uint8Array(bytes)));
  const { messages, pkg } = await publint({
    pack: { tarball: bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength) },
  });
  return [
    ...problems.map((problem) => `attw: ${JSON.stringify(problem)}`),
    ...messages.map((message) => `publint: ${formatMessage(message, pkg)}`),
  ];
}

/** How a project may resolve modules, and the endings of its files. */
const RESOLUTIONS = {
  node16: { module: 'node16', endings: ['mts', 'cts'] },
  nodenext: { module: 'nodenext', endings: ['mts', 'cts'] },
  bundler: { module: 'esnext', moduleResolution: 'bundler', endings: ['mts'] },
  // A browser's types stand in for URL and Blob; sharp's declarations do not compile then.
  'bundler without types of Node': {
    module: 'esnext',
    moduleResolution: 'bundler',
    types: [],
    lib: ['es2022', 'dom', 'dom.iterable'],
    skipLibCheck: true,
    endings: ['mts'],
  },
};

/** Which of them each compiler tries: those of Node differ in little, and the compilers written in JavaScript are slow. */
const TRIED = {
  'typescript-5.4': ['node16', 'bundler', 'bundler without types of Node'],
  typescript: ['nodenext'],
  'typescript-newest': Object.keys(RESOLUTIONS),
};

/** sharp's declarations need TypeScript 5.7, unless skipLibCheck leaves them alone. */
const NOT_OURS = /^node_modules.sharp./;

/**
 * Puts programs into a project: those of test/types/, which say what must compile and what must not, and README's.
 *
 * @returns the names of the former, which are there as ES modules and as CommonJS.
 */
function copyPrograms(root, folder) {
  mkdirSync(folder);
  const source = path.join(root, 'test', 'types');
  const names = readdirSync(source).map((name) => path.basename(name, '.ts'));
  for (const name of names) {
    const text = readFileSync(path.join(source, `${name}.ts`), 'utf8');
    for (const ending of ['mts', 'cts'])
      writeFileSync(
        path.join(folder, `${name}.${ending}`),
        text.replaceAll("'../../lib/index'", "'sam3-tracker'"),
      );
  }
  writeFileSync(
    path.join(folder, 'readme.mts'),
    readmeProgram(readFileSync(path.join(root, 'README.md'), 'utf8')),
  );
  return names;
}

/**
 * Checks of the installed package's types: a name, and a function that gives what a compiler finds, a line each.
 *
 * @param context.tools a folder with the packages of TOOLS.
 */
export function typeChecks({ root, project, tools }) {
  const folder = path.join(project, 'types');
  const names = copyPrograms(root, folder);
  const faults = (compiler, resolution) => {
    const { endings, ...options } = RESOLUTIONS[resolution];
    const compilerOptions = {
      target: 'es2022',
      strict: true,
      noEmit: true,
      typeRoots: [path.join(root, 'node_modules', '@types')],
      types: ['node'],
      ...options,
    };
    const files = ['readme.mts', ...names.flatMap((name) => endings.map((ending) => `${name}.${ending}`))];
    const config = path.join(folder, 'tsconfig.json');
    writeFileSync(config, JSON.stringify({ compilerOptions, files }));
    const modules = compiler === 'typescript' ? path.join(root, 'node_modules') : tools;
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      [path.join(modules, compiler, 'bin', 'tsc'), '-p', config, '--pretty', 'false'],
      { cwd: project, encoding: 'utf8' },
    );
    const lines = `${stdout}${stderr}`.split('\n').filter((line) => line !== '' && !NOT_OURS.test(line));
    return status === 0 || stdout !== '' ? lines : [`ended with ${status}`, ...lines];
  };
  return Object.entries(TRIED).flatMap(([compiler, resolutions]) =>
    resolutions.map((resolution) => ({
      name: `types: ${compiler}, ${resolution}`,
      faults: () => faults(compiler, resolution),
    })),
  );
}
