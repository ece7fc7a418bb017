/** What users run with an installed package: as ES module and CommonJS, on the command line, in a worker, bundled. */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import path from 'node:path';

/** The first program of the README. */
export function readmeProgram(readme) {
  return /```ts\n([\s\S]*?)```/.exec(readme)[1];
}

/** The same program as CommonJS. */
function toCommonJs(program) {
  const [, names] = /^import \{([^}]*)\} from 'sam3-tracker';/m.exec(program);
  const body = program.replace(/^import .*$/m, '');
  return `const {${names}} = require('sam3-tracker');\n(async () => {${body}})();\n`;
}

/**
 * Writes the programs into a project: name, arguments of Node (or what makes them), and what its
 * output has to match.
 */
export function programs({ root, project, require, readme, tools }) {
  const write = (name, text) => {
    writeFileSync(path.join(project, name), text);
    return path.join(project, name);
  };
  const program = readmeProgram(readme);
  // Masks of one object in an image of 451 x 300 pixels, and a score.
  const result = /\[ 1, 1, 300, 451 \] \[ \[ \[ 0\.\d+ \] \] \]/;
  const cjs = write('main.cjs', toCommonJs(program));
  const worker = write(
    'worker.cjs',
    `const { Worker, isMainThread } = require('node:worker_threads');
     if (isMainThread) for (let i = 0; i < 2; i++) new Worker(__filename);
     else require('./main.cjs');`,
  );
  const tool = write(
    'tool.cjs',
    `const path = require('node:path');
     const file = require.resolve('sam3-tracker/package.json');
     process.argv = [process.argv[0], 'sam3-tracker', ...process.argv.slice(2)];
     const { main } = require(path.join(path.dirname(file), require(file).bin['sam3-tracker']));
     main(process.argv.slice(2)).then((code) => { process.exitCode = code; });`,
  );
  // With types to strip, and nothing else that is not JavaScript.
  const typed = write('typed.mts', program.replace('const image =', 'const image: RawImage ='));
  const refused = write(
    'refused.cjs',
    "try { require('./inside.cjs'); } catch (error) { console.log(error.message); }",
  );
  const shim = path.join(project, 'node_modules', '.bin', 'sam3-tracker');
  const click = ['segment', 'examples/images/coffee.png', '--point', '235,215'];
  const withModules = ['npm', 'pnpm', 'yarn'];
  return [
    { name: "README's program, ES module", args: [write('main.mjs', program)], expected: result },
    { name: "README's program, CommonJS", args: [cjs], expected: result },
    {
      name: 'two worker threads',
      args: [worker],
      expected: new RegExp(`${result.source}\\s+${result.source}`),
    },
    { name: 'sam3-tracker segment', args: [tool, ...click, '--json'], expected: /"iou_score": 0\.\d+/ },
    {
      name: 'sam3-tracker doctor',
      args: [tool, 'doctor'],
      expected: /\(prebuilt, [\s\S]*Everything works\./,
    },
    {
      name: 'the command in node_modules/.bin',
      args: [
        '-e',
        `require('node:child_process').execFileSync(${JSON.stringify(shim)}, ['--version'], { stdio: 'inherit' })`,
      ],
      expected: /^\d+\.\d+\.\d+/,
      only: withModules,
    },
    {
      name: 'bundled with esbuild, the package external',
      args: () => [bundle({ root, project, require }, cjs, 'external.cjs', ['sam3-tracker'])],
      expected: result,
      only: withModules,
    },
    {
      name: 'bundled with esbuild, only native packages external',
      args: () => [bundle({ root, project, require }, cjs, 'inline.cjs', ['sharp'])],
      expected: result,
      only: ['npm'],
    },
    {
      name: 'bundled with webpack, the package external',
      args: () => [pack({ project, tools }, cjs, 'webpack.cjs', ['sam3-tracker'])],
      expected: result,
      only: ['npm'],
    },
    {
      name: 'bundled with webpack, the package inside, which says what to do',
      args: () => {
        pack({ project, tools }, cjs, 'inside.cjs', ['sharp']);
        return [refused];
      },
      expected: /sam3-tracker was bundled, .* webpack: externals/,
      only: ['npm'],
    },
    {
      name: 'TypeScript without a compiler',
      args: ['--experimental-strip-types', typed],
      expected: result,
      only: ['npm'],
      since: '22.6.0',
    },
  ];
}

/** Bundles a program into `name`; what has binaries, and the package's own files, stay in node_modules. */
function bundle({ root, project, require }, entry, name, external) {
  const { buildSync } = require(path.join(root, 'node_modules', 'esbuild'));
  const outfile = path.join(project, name);
  buildSync({ entryPoints: [entry], bundle: true, platform: 'node', format: 'cjs', outfile, external });
  return outfile;
}

/** The same with webpack, which has no call that waits: in a process of its own. */
function pack({ project, tools }, entry, filename, external) {
  const settings = {
    entry,
    mode: 'production',
    target: 'node',
    devtool: false,
    optimization: { minimize: false },
    output: { path: project, filename },
    externals: Object.fromEntries(external.map((name) => [name, `commonjs ${name}`])),
  };
  const script = `require(${JSON.stringify(path.join(tools, 'webpack'))})(${JSON.stringify(settings)}, (error, stats) => {
    if (error || stats.hasErrors()) throw error ?? new Error(stats.toString());
  })`;
  execFileSync(process.execPath, ['-e', script], { cwd: project, stdio: ['ignore', 'ignore', 'pipe'] });
  return path.join(project, filename);
}
