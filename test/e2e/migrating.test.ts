/** docs/migrating.md: its programs run as they stand, and print the same numbers. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import ts from 'typescript';
import { compilerErrors } from '../support/compiler';
import { requirePython } from '../support/python';

const ROOT = path.join(__dirname, '..', '..');

/** The page's blocks of one language in their order. */
function blocks(language: string): string[] {
  const page = readFileSync(path.join(ROOT, 'docs', 'migrating.md'), 'utf8');
  return [...page.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, code]) => code);
}

/** What a program prints; it finds the images and models from the repository's root. */
function run(command: string, args: string[], env: NodeJS.ProcessEnv = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: ROOT, env: { ...process.env, ...env } });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(stdout) : reject(new Error(`${command} ended with ${code}:\n${stderr}`)),
    );
  });
}

/** Every number of a text, line by line, whatever is written around them. */
const numbers = (text: string): number[][] =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => [...line.matchAll(/-?\d+(\.\d+)?(e-?\d+)?/g)].map(([number]) => Number(number)));

describe('docs/migrating.md', () => {
  const directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-migrating-'));
  after(() => rmSync(directory, { recursive: true }));

  const ours = path.join(directory, 'program.mts');
  before(() => writeFileSync(ours, blocks('ts').join('\n')));

  /** Resolves the package as in a checkout: by tsconfig's paths. */
  const runOurs = (): Promise<string> =>
    run(process.execPath, ['--import', 'tsx', ours], {
      TSX_TSCONFIG_PATH: path.join(ROOT, 'tsconfig.json'),
    });

  it('has the same parts in all three languages', () => {
    const counts = ['py', 'js', 'ts'].map((language) => blocks(language).length);
    assert.equal(counts[0], counts[2]);
    // transformers.js has no mask prompt and no mask generation.
    assert.equal(counts[1], counts[2] - 2);
  });

  it('prints the same numbers in Python and here', async function () {
    const python = requirePython(this);
    const file = path.join(directory, 'program.py');
    // These let transformers load, and its pipeline run, beside a CPU build of torch.
    writeFileSync(file, `import nms_reference\nnms_reference.declare_nms()\n${blocks('py').join('\n')}`);
    const env = { PYTHONPATH: path.join(__dirname, '..', 'support'), PYTHONDONTWRITEBYTECODE: '1' };
    const [theirs, found] = (await Promise.all([run(python, [file], env), runOurs()])).map(numbers);
    assert.equal(found.length, theirs.length);
    assert.ok(found.length >= 8);
    found.forEach((line, index) => {
      assert.equal(line.length, theirs[index].length, `line ${index + 1}: ${line.join(' ')}`);
      line.forEach((number, position) => {
        const difference = Math.abs(number - theirs[index][position]);
        assert.ok(
          difference < 1e-4,
          `line ${index + 1} has ${number}, transformers ${theirs[index][position]}`,
        );
      });
    });
  });

  it('has a TypeScript program that compiles', () => {
    assert.deepEqual([...compilerErrors([ours])], []);
  });

  it('has transformers.js programs that parse', () => {
    const file = ts.createSourceFile('program.mjs', blocks('js').join('\n'), ts.ScriptTarget.Latest, false);
    const { parseDiagnostics } = file as unknown as { parseDiagnostics: ts.Diagnostic[] };
    assert.deepEqual(
      parseDiagnostics.map(({ messageText }) => messageText),
      [],
    );
  });
});
