/** The shape of the sources: layers of lib/, lengths of files, and who may name what. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '..');

/** Every file of lib/ belongs to one layer and imports from its own and lower ones only. */
const layers: string[][] = [
  ['errors', 'types', 'dtype', 'callable', 'half', 'package-root', 'node-version', 'load-diagnosis'],
  [
    'validate',
    'files',
    'zip-check',
    'libtorch',
    'libtorch-probe',
    'native-loader',
    'native',
    'python-json',
    'prompts',
    'mask-types',
  ],
  [
    'tensor',
    'raw-image',
    'image-decoder',
    'image-sizes',
    'image-processor-options',
    'image-inputs',
    'prompt-arrays',
    'prompt-tensors',
  ],
  [
    'hub/*',
    'saved-settings',
    'weight-files',
    'configuration-fields',
    'configuration-utils',
    'configuration-sam3-vision',
    'configuration-sam3-tracker',
    'image-preprocessing',
    'image-upload',
    'post-process-masks',
    'image-processing-sam3',
    'graph-config',
    'save-files',
    'graph-files',
    'rle',
    'masks',
    'polygons',
    'coco',
  ],
  [
    'batch-encoding',
    'processor-options',
    'processing-sam3-tracker',
    'model-files',
    'model-inputs',
    'model-output',
    'weight-initialization',
    'model-source',
    'pretrained-model',
    'mask-batches',
    'modeling-sam3-tracker',
    'native-results',
    'auto',
    'overlay',
  ],
  ['pipelines/*', 'cli/*'],
  ['index'],
];

/** The modules of ours that each module imports: names relative to lib/ without extension. */
type ImportGraph = Map<string, string[]>;

function layerOf(name: string, table: string[][]): number {
  return table.findIndex((names) =>
    names.some((entry) => (entry.endsWith('/*') ? name.startsWith(entry.slice(0, -1)) : entry === name)),
  );
}

/** Modules that no layer names, and imports that point up. */
function layerFaults(graph: ImportGraph, table: string[][]): string[] {
  const faults: string[] = [];
  for (const [name, imports] of graph) {
    const layer = layerOf(name, table);
    if (layer < 0) {
      faults.push(`${name} has no layer: add it to the table in this test`);
      continue;
    }
    for (const imported of imports) {
      const below = layerOf(imported, table);
      if (below > layer) faults.push(`${name} (layer ${layer}) imports ${imported} (layer ${below})`);
    }
  }
  return faults;
}

/** The first cycle as [a, b, a], or null. */
function findCycle(graph: ImportGraph): string[] | null {
  const finished = new Set<string>();
  const visit = (name: string, trail: string[]): string[] | null => {
    if (trail.includes(name)) return [...trail.slice(trail.indexOf(name)), name];
    if (finished.has(name)) return null;
    for (const imported of graph.get(name) ?? []) {
      const cycle = visit(imported, [...trail, name]);
      if (cycle) return cycle;
    }
    finished.add(name);
    return null;
  };
  for (const name of graph.keys()) {
    const cycle = visit(name, []);
    if (cycle) return cycle;
  }
  return null;
}

/** Relative imports of a module's source, of types and dynamic ones too, as names relative to lib/. */
function relativeImports(name: string, source: string): string[] {
  return ts
    .preProcessFile(source, true, true)
    .importedFiles.map(({ fileName }) => fileName)
    .filter((fileName) => fileName.startsWith('.'))
    .map((fileName) => path.posix.join(path.posix.dirname(name), fileName));
}

/** Lines that use the global console; comments and strings do not count. */
function consoleUses(source: string): number[] {
  const file = ts.createSourceFile('source.ts', source, ts.ScriptTarget.Latest, true);
  const lines: number[] = [];
  const visit = (node: ts.Node): void => {
    if (ts.isIdentifier(node) && node.text === 'console') {
      lines.push(file.getLineAndCharacterOfPosition(node.getStart()).line + 1);
    }
    ts.forEachChild(node, visit);
  };
  visit(file);
  return lines;
}

const binaryName =
  /node-gyp-build|\bsam3_tracker\.node\b|\blibtorch_loader\.so\b|process\.dlopen|createRequire/;
/** Directories that exist on one person's machine only. */
const machinePath = /(?<![\w.~$}*])\/(?:work|root|tmp|home\/[\w-]+|Users\/[\w-]+)\b/;

const sourceSuffix = /\.(?:ts|mts|mjs|cjs|js|py|cc|h|sh)$/;
const textSuffix = /\.(?:ts|mts|mjs|cjs|js|py|cc|h|sh|md|txt|json|toml|gyp)$/;

/** Paths (relative to the repository, with /) of the files under a directory that match. */
function filesUnder(directory: string, pattern: RegExp): string[] {
  return readdirSync(path.join(root, directory), { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && pattern.test(entry.name))
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join('/'))
    .filter((name) => !/(?:^|\/)(?:node_modules|__pycache__|out)\//.test(name))
    .sort();
}

function read(name: string): string {
  return readFileSync(path.join(root, name), 'utf8');
}

const sourceDirectories = ['lib', 'native', 'scripts', 'bench', 'examples', 'test'];
/** Without declaration files, which describe other people's packages. */
const libFiles = filesUnder('lib', /(?<!\.d)\.ts$/);
const sources = sourceDirectories.flatMap((directory) => filesUnder(directory, sourceSuffix));

function libGraph(): ImportGraph {
  const moduleNames = libFiles.map((file) => file.slice('lib/'.length).replace(/\.ts$/, ''));
  return new Map(moduleNames.map((name, i) => [name, relativeImports(name, read(libFiles[i]))]));
}

describe('structure of lib', () => {
  it('has imports that point down only, and a layer for every file', () => {
    assert.deepEqual(layerFaults(libGraph(), layers), []);
  });

  it('has no import cycle', () => {
    assert.equal(findCycle(libGraph()), null);
  });

  it('imports only files that exist', () => {
    const graph = libGraph();
    for (const [name, imports] of graph) {
      for (const imported of imports) assert.ok(graph.has(imported), `${name} imports ${imported}`);
    }
  });

  it('names the binary in native-loader.ts only', () => {
    const names = libFiles.filter((file) => binaryName.test(read(file)));
    assert.deepEqual(names, ['lib/native-loader.ts']);
  });

  it('uses console in cli only', () => {
    const uses = libFiles
      .filter((file) => !file.startsWith('lib/cli/'))
      .flatMap((file) => consoleUses(read(file)).map((line) => `${file}:${line}`));
    assert.deepEqual(uses, []);
  });
});

describe('structure of the repository', () => {
  it('has no source file over 350 lines', () => {
    const long = sources.filter((file) => read(file).split('\n').length - 1 > 350);
    assert.deepEqual(long, []);
  });

  it('names no path of one machine', () => {
    const named = [...sourceDirectories, 'docs', 'models', '.ci']
      .flatMap((directory) => filesUnder(directory, directory === '.ci' ? /./ : textSuffix))
      .concat(readdirSync(root).filter((name) => textSuffix.test(name) && name !== 'package-lock.json'))
      .flatMap((file) =>
        read(file)
          .split('\n')
          .flatMap((line, i) => (machinePath.test(line) ? [`${file}:${i + 1}`] : [])),
      );
    assert.deepEqual(named, []);
  });
});

describe('the checks themselves', () => {
  const table = [['low'], ['middle'], ['high', 'group/*']];

  it('find an import that points up', () => {
    const graph = new Map([
      ['low', ['high']],
      ['high', ['low', 'middle', 'group/one']],
      ['middle', []],
      ['group/one', ['high']],
    ]);
    assert.deepEqual(layerFaults(graph, table), ['low (layer 0) imports high (layer 2)']);
  });

  it('find a module without a layer', () => {
    assert.match(layerFaults(new Map([['stray', []]]), table)[0], /^stray has no layer/);
  });

  it('find a cycle, and none in a diamond', () => {
    const ring = new Map([
      ['a', ['b']],
      ['b', ['c']],
      ['c', ['b']],
    ]);
    assert.deepEqual(findCycle(ring), ['b', 'c', 'b']);
    const diamond = new Map([
      ['a', ['b', 'c']],
      ['b', ['d']],
      ['c', ['d']],
      ['d', []],
    ]);
    assert.equal(findCycle(diamond), null);
  });

  it('read static, type, re-exporting, dynamic and required imports', () => {
    const source =
      "import a from './a'; import type { B } from '../b'; export * from './c'; import fs from 'node:fs';" +
      "const d = await import('./d'); const e = require('./e'); // import './comment'";
    assert.deepEqual(relativeImports('cli/main', source).sort(), ['b', 'cli/a', 'cli/c', 'cli/d', 'cli/e']);
  });

  it('see console in code and not in comments', () => {
    assert.deepEqual(consoleUses('// console.log(1)\nconsole.log("console");\n'), [2]);
  });

  it('tell a path of one machine from a URL and a pattern', () => {
    const slash = '/';
    for (const name of ['work', 'root', 'tmp', 'home/someone', 'Users/someone']) {
      assert.match(`read('${slash}${name}/file')`, machinePath);
    }
    for (const text of ['https://example.org/work/x', './work/x', '../tmp/x', 'a/home/b', '$HERE/tmp/x']) {
      assert.doesNotMatch(text, machinePath);
    }
  });
});
