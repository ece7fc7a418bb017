/** test/types/ compiles, and without its `@ts-expect-error`s gives errors in the statements below them alone. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import ts from 'typescript';
import { compilerErrors } from '../support/compiler';

const FOLDER = path.join(__dirname, '..', 'types');
const DIRECTIVE = '// @ts-expect-error ';

const files = readdirSync(FOLDER).map((name) => path.join(FOLDER, name));

/** The lines of a file's statements that must not compile: the first line and the one after the last. */
function refusedStatements(name: string): [first: number, end: number][] {
  const source = ts.createSourceFile(name, readFileSync(name, 'utf8'), ts.ScriptTarget.Latest, true);
  const found: [number, number][] = [];
  const visit = (node: ts.Node): void => {
    const comments = ts.getLeadingCommentRanges(source.text, node.getFullStart()) ?? [];
    const isRefused = comments.some(({ pos }) => source.text.startsWith(DIRECTIVE, pos));
    if (ts.isStatement(node) && isRefused) {
      const line = (position: number): number => source.getLineAndCharacterOfPosition(position).line + 1;
      found.push([line(node.getStart()), line(node.getEnd()) + 1]);
    }
    ts.forEachChild(node, visit);
  };
  visit(source);
  return found;
}

describe('the types', () => {
  it('take what they must, and refuse the rest, each for itself', () => {
    const errors = compilerErrors(files, (source) => source.replaceAll(DIRECTIVE, '// '));
    let refused = 0;
    for (const file of files) {
      for (const [first, end] of refusedStatements(file)) {
        const lines = Array.from({ length: end - first }, (_, index) => first + index);
        const found = lines.filter((line) => errors.delete(`${path.basename(file)}:${line}`));
        assert.ok(found.length > 0, `${path.basename(file)}:${first} compiles`);
        refused++;
      }
    }
    assert.deepEqual([...errors], [], 'errors where none was expected');
    assert.ok(refused >= 70, `${refused} statements`);
  });

  it('refuse for a reason that is said', () => {
    for (const file of files)
      for (const line of readFileSync(file, 'utf8').split('\n'))
        if (line.includes('@ts-expect-error')) assert.match(line, /^ *\/\/ @ts-expect-error \w+ \w+/);
  });
});
