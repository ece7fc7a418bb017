/** The shape of the sources: which folder may import which, and who may name what. */
import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';

const root = path.join(__dirname, '..', '..');

/** What each folder of lib/, and each file beside them, may import besides itself. */
const libRows: Rows = {
  core: [],
  native: ['core'],
  tensor: ['core', 'native'],
  'tensor-functions': ['core', 'tensor'],
  hub: ['core'],
  checkpoint: ['core', 'hub'],
  config: ['core', 'hub', 'checkpoint'],
  image: ['core', 'native', 'tensor', 'hub', 'checkpoint'],
  masks: ['core', 'native', 'tensor', 'image'],
  processor: ['core', 'tensor', 'image', 'hub', 'checkpoint'],
  model: ['core', 'native', 'tensor', 'hub', 'checkpoint', 'config', 'image', 'masks'],
  pipelines: [
    'core',
    'native',
    'tensor',
    'hub',
    'checkpoint',
    'config',
    'image',
    'masks',
    'processor',
    'model',
  ],
  auto: ['core', 'hub', 'checkpoint', 'config', 'image', 'processor', 'model'],
  index: '*',
  cli: '*',
};

/** What each folder of native/ may include besides itself. */
const nativeRows: Rows = {
  libtorch_loader: [],
  runtime: [],
  checkpoint: ['runtime'],
  image: ['runtime'],
  masks: ['runtime'],
  decoder: ['runtime', 'checkpoint', 'masks'],
  model: ['runtime', 'checkpoint', 'masks', 'decoder'],
  addon: '*',
};

type Rows = Record<string, string[] | '*'>;

/** The modules of ours that each module imports: names relative to lib/ or native/ without extension. */
type ImportGraph = Map<string, string[]>;

function folderOf(name: string): string {
  return name.split('/')[0];
}

/** The folders that each folder imports, itself left out. */
function folderGraph(graph: ImportGraph): ImportGraph {
  const folders = new Map<string, Set<string>>();
  for (const [name, imports] of graph) {
    const folder = folderOf(name);
    const found = folders.get(folder) ?? new Set<string>();
    for (const imported of imports) if (folderOf(imported) !== folder) found.add(folderOf(imported));
    folders.set(folder, found);
  }
  return new Map([...folders].map(([folder, found]) => [folder, [...found].sort()]));
}

/** Folders that no row names, and imports that the rows do not allow. */
function rowFaults(graph: ImportGraph, rows: Rows): string[] {
  const faults: string[] = [];
  for (const folder of folderGraph(graph).keys())
    if (!(folder in rows)) faults.push(`${folder} has no row: add it to the table in this test`);
  for (const [name, imports] of graph) {
    const allowed = rows[folderOf(name)] ?? [];
    for (const imported of imports) {
      const folder = folderOf(imported);
      if (folder === folderOf(name) || allowed === '*' || allowed.includes(folder)) continue;
      faults.push(`${name} imports ${imported}`);
    }
  }
  return faults;
}

/** A row a folder, in the order of the table: "config -> core, hub, checkpoint". */
function printed(graph: ImportGraph, rows: Rows): string {
  const folders = folderGraph(graph);
  return Object.keys(rows)
    .map((folder) => `      ${folder} -> ${folders.get(folder)?.join(', ') || 'nothing of ours'}`)
    .join('\n');
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

const nativeFiles = filesUnder('native', /\.(?:cc|h)$/);

/** What each source of native/ includes of ours; a header and its source are one module. */
function nativeGraph(): ImportGraph {
  const graph: ImportGraph = new Map();
  for (const file of nativeFiles) {
    const name = file.slice('native/'.length).replace(/\.(?:cc|h)$/, '');
    if (!name.includes('/')) continue; // the precompiled header
    const includes = [...read(file).matchAll(/#include "([^"]+)\.h"/g)].map((match) => match[1]);
    graph.set(name, [...(graph.get(name) ?? []), ...includes.filter((included) => included !== name)]);
  }
  return graph;
}

/** Whether a source has `export ... from`. */
function reexports(source: string): boolean {
  return ts
    .createSourceFile('source.ts', source, ts.ScriptTarget.Latest)
    .statements.some((statement) => ts.isExportDeclaration(statement) && !!statement.moduleSpecifier);
}

function libGraph(): ImportGraph {
  const moduleNames = libFiles.map((file) => file.slice('lib/'.length).replace(/\.ts$/, ''));
  return new Map(moduleNames.map((name, i) => [name, relativeImports(name, read(libFiles[i]))]));
}

describe('structure of lib', () => {
  const graph = libGraph();

  it('has imports that the table of folders allows, and a row for every folder', function () {
    assert.deepEqual(rowFaults(graph, libRows), []);
    console.log(printed(graph, libRows));
  });

  it('has no import cycle, between files or between folders', () => {
    assert.equal(findCycle(graph), null);
    assert.equal(findCycle(folderGraph(graph)), null);
  });

  it('imports only files that exist', () => {
    for (const [name, imports] of graph) {
      for (const imported of imports) assert.ok(graph.has(imported), `${name} imports ${imported}`);
    }
  });

  it('re-exports in index.ts only', () => {
    const chains = libFiles.filter((file) => file !== 'lib/index.ts' && reexports(read(file)));
    assert.deepEqual(chains, []);
  });

  it('names the binary in native/load.ts only', () => {
    const names = libFiles.filter((file) => binaryName.test(read(file)));
    assert.deepEqual(names, ['lib/native/load.ts']);
  });

  it('uses console in cli only', () => {
    const uses = libFiles
      .filter((file) => !file.startsWith('lib/cli/'))
      .flatMap((file) => consoleUses(read(file)).map((line) => `${file}:${line}`));
    assert.deepEqual(uses, []);
  });
});

describe('structure of native', () => {
  const graph = nativeGraph();

  it('has includes that the table of folders allows, and a row for every folder', () => {
    assert.deepEqual(rowFaults(graph, nativeRows), []);
    assert.equal(findCycle(folderGraph(graph)), null);
    console.log(printed(graph, nativeRows));
  });

  it('includes <napi.h> in addon only', () => {
    const users = nativeFiles.filter((file) =>
      /#include <(?:napi|node_api|js_native_api)\.h>/.test(read(file)),
    );
    const strangers = users.filter((file) => !/^native\/(?:addon|libtorch_loader)\//.test(file));
    assert.deepEqual(strangers, []);
  });
});

describe('structure of the repository', () => {
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
  const rows: Rows = { low: [], middle: ['low'], high: ['low', 'middle'] };

  it('find an import that no row allows', () => {
    const graph = new Map([
      ['low/a', ['high/b', 'low/c']],
      ['low/c', []],
      ['middle/d', ['low/a']],
      ['high/b', ['low/a', 'middle/d']],
    ]);
    assert.deepEqual(rowFaults(graph, rows), ['low/a imports high/b']);
    assert.deepEqual(findCycle(folderGraph(graph)), ['low', 'high', 'low']);
  });

  it('find a folder without a row', () => {
    assert.match(rowFaults(new Map([['stray/a', []]]), rows)[0], /^stray has no row/);
  });

  it('tell a re-export from an export', () => {
    assert.ok(reexports("export { a } from './a';"));
    assert.ok(reexports("export type * from './a';"));
    assert.ok(!reexports('export const a = 1; export { a as b };'));
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
