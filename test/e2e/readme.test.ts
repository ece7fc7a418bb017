/** README.md is short, every block of code in it runs as it stands, and the links of all pages lead somewhere. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';
import { installDirectory } from '../../lib/native/libtorch';
import { chooseLibtorch, findAddon, openLibtorchLoader } from '../../lib/native/load';
import { HubFixture, checkpointFiles } from '../support/hub';

const ROOT = path.join(__dirname, '..', '..');
const README = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
const TSX = pathToFileURL(require.resolve('tsx')).href;

/** The heading of each block, and what the block prints. */
const EXPECTED: Record<string, RegExp> = {
  Install: /Everything works\.\n$/,
  'Ten lines': /^\[ 1, 1, 300, 451 \] \[ \[ \[ 0\.\d+ \] \] \]\n/,
  'Many clicks on one image': /\n(\[ 1, 1, 300, 451 \]\n){2}$/,
  'Segment everything': /^0\.\d+ \[ 300, 451 \] \{[^]+\}\n$/,
  'facebook/sam3': /^model\.safetensors 100\.0\n(?:.*\n)*\d+\n$/m,
  'Command line':
    /score 0\.\d+.* -> out.chelsea\.json\n\[[^]+"iou_score": 0\.\d[^]+chelsea-masks\.png[^]+models--facebook--sam3[^]+/,
};

/** Consecutive blocks of one program: a `ts` block without an import goes on from the one before. */
interface Program {
  headings: string[];
  language: string;
  code: string;
}

function programs(): Program[] {
  const found: Program[] = [];
  for (const section of README.split(/^## /m)) {
    for (const [, language, code] of section.matchAll(/^```(\S*)\n(.*?)^```$/gms)) {
      const heading = section.split('\n', 1)[0];
      const last = found.at(-1);
      if (language !== 'ts' || /^import /m.test(code) || last === undefined)
        found.push({ headings: [heading], language, code });
      else {
        last.headings.push(heading);
        last.code += code;
      }
    }
  }
  return found;
}

describe('README.md', () => {
  const hub = new HubFixture();
  let directory: string;
  const file = (...names: string[]): string => path.join(directory, ...names);

  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-readme-'));
    // As after npm install.
    mkdirSync(file('node_modules'));
    symlinkSync(ROOT, file('node_modules', 'sam3-tracker'));
    // The real weights are gated: a repository of that name has the bundled model's files.
    hub.add('facebook/sam3', { files: checkpointFiles(), gatedBy: 'hf_accepted' });
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  /** What a program prints to standard output, in the temporary directory. */
  async function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
    const { stdout } = await promisify(execFile)(command, args, {
      cwd: directory,
      env: {
        ...process.env,
        HF_TOKEN: 'hf_accepted',
        TSX_TSCONFIG_PATH: path.join(ROOT, 'tsconfig.json'),
        ...env,
      },
      maxBuffer: 64 * 2 ** 20,
      timeout: 110_000,
    });
    return stdout;
  }

  const runProgram = (code: string): Promise<string> => {
    writeFileSync(file('program.mts'), code);
    return run(process.execPath, ['--import', TSX, 'program.mts']);
  };

  /**
   * Runs shell commands with an `npx` that starts the command-line tool of this checkout, and an `npm` that knows the one
   * package (npm run test:package installs it). libtorch is where `libtorch install` would have put it, so that this
   * fetches nothing.
   */
  const runScript = (code: string): Promise<string> => {
    const { name } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as { name: string };
    const tool = `"${process.execPath}" --import "${TSX}" "${path.join(ROOT, 'lib', 'cli', 'main.ts')}"`;
    const files = findAddon();
    const loader = openLibtorchLoader(files);
    const { directory: libtorch, build } = chooseLibtorch(files, loader).chosen!;
    const env = { XDG_CACHE_HOME: file('cache'), PATH: `${file('bin')}${path.delimiter}${process.env.PATH}` };
    const installed = installDirectory(loader.builtFor, build!, env);
    for (const folder of [file('bin'), path.dirname(installed)]) mkdirSync(folder, { recursive: true });
    symlinkSync(libtorch!, installed);
    const program = (command: string, body: string): void =>
      writeFileSync(file('bin', command), `#!/bin/sh\n${body}\n`, { mode: 0o755 });
    program('npm', `[ "$*" = "install ${name}" ]`);
    program(
      'npx',
      `[ "$1" = ${name} ] || exit 1\nshift\n[ "$1 $2" != "libtorch install" ] || set -- "$@" --${build}\nexec ${tool} "$@"`,
    );
    return run('sh', ['-ec', code], env);
  };

  it('has at most 900 words', () => {
    const words = README.split(/\s+/).filter((word) => word !== '').length;
    assert.ok(words <= 900, `${words} words`);
  });

  it('has no block that is not run', () => {
    assert.deepEqual(
      programs().flatMap(({ headings }) => headings),
      Object.keys(EXPECTED),
    );
    assert.equal(README.match(/^```/gm)!.length, 2 * Object.keys(EXPECTED).length);
    assert.deepEqual([...new Set(programs().map(({ language }) => language))].sort(), ['sh', 'ts']);
  });

  for (const { headings, language, code } of programs()) {
    it(`has code that runs: ${headings.join(', ')}`, async () => {
      const printed = await (language === 'ts' ? runProgram(code) : runScript(code));
      for (const heading of headings) assert.match(printed, EXPECTED[heading]);
    });
  }
});

describe('the pages', () => {
  const read = (page: string): string => readFileSync(path.join(ROOT, page), 'utf8');
  const pages = ['docs', 'examples', 'models'].flatMap((folder) =>
    readdirSync(path.join(ROOT, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.md'))
      .map((name) => path.join(folder, name)),
  );

  /** The anchors of a page's headings as GitHub makes them, and those that it names itself. */
  function anchors(page: string): string[] {
    const seen = new Map<string, number>();
    const headings = [...read(page).matchAll(/^#+ (.*)$/gm)].map(([, heading]) => {
      const slug = heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-');
      const count = seen.get(slug) ?? 0;
      seen.set(slug, count + 1);
      return count === 0 ? slug : `${slug}-${count}`;
    });
    return [...headings, ...[...read(page).matchAll(/<a id="([^"]+)">/g)].map(([, id]) => id)];
  }

  it('link to files and headings that are there', () => {
    const broken = ['README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', ...pages].flatMap((page) =>
      [...read(page).matchAll(/\]\((?!\w+:)([^)#\s]*)(?:#([^)\s]*))?\)/g)].flatMap(
        ([link, target, anchor]) => {
          const found = target === '' ? page : path.join(path.dirname(page), target);
          const isThere =
            existsSync(path.join(ROOT, found)) && (anchor === undefined || anchors(found).includes(anchor));
          return isThere ? [] : [`${page}: ${link}`];
        },
      ),
    );
    assert.deepEqual(broken, []);
  });

  it('are all in the index', () => {
    const index = read(path.join('docs', 'README.md'));
    for (const name of readdirSync(path.join(ROOT, 'docs')).filter((entry) => entry.endsWith('.md')))
      assert.ok(name === 'README.md' || index.includes(`](${name})`), `docs/README.md lacks ${name}`);
  });

  it('say of every error code what to do', () => {
    const [, union] = /type ErrorCode =([^;]*);/.exec(read(path.join('lib', 'core', 'errors.ts')))!;
    const page = read(path.join('docs', 'troubleshooting.md'));
    const codes = [...union.matchAll(/'(\w+)'/g)].map(([, code]) => code);
    assert.ok(codes.length > 20);
    assert.deepEqual(
      codes.filter((code) => !page.includes(`\`${code}\``)),
      [],
    );
  });
});
