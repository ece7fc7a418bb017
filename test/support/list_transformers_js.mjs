/**
 * Writes test/fixtures/transformers-js-<version>.json: the public names of transformers.js' Tensor, RawImage, env and
 * functions of tensors and images. `node test/support/list_transformers_js.mjs 4.3.2` asks npm for the package. It is no
 * dependency, since its own ones (two ONNX runtimes) take hundreds of megabytes.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import ts from 'typescript';

const version = process.argv[2];
const directory = mkdtempSync(path.join(os.tmpdir(), 'transformers-js-'));

function parse(file) {
  const text = readFileSync(path.join(directory, 'package', 'types', file), 'utf8');
  return ts.createSourceFile(file, text, ts.ScriptTarget.Latest).statements;
}

const nameOf = ({ name }) =>
  name === undefined ? null : ts.isComputedPropertyName(name) ? '[Symbol.iterator]' : name.text;
const isPublic = (name) => name !== null && !name.startsWith('_');
const hasModifier = (node, kind) => (node.modifiers ?? []).some((modifier) => modifier.kind === kind);

function membersOf(statements, wanted) {
  const node = statements.find(({ name }) => name?.text === wanted);
  const members = ts.isTypeAliasDeclaration(node) ? node.type.members : node.members;
  const names = (isStatic) =>
    members
      .filter((member) => !hasModifier(member, ts.SyntaxKind.PrivateKeyword))
      .filter((member) => hasModifier(member, ts.SyntaxKind.StaticKeyword) === isStatic)
      .map(nameOf)
      .filter(isPublic);
  return { members: [...new Set(names(false))].sort(), statics: [...new Set(names(true))].sort() };
}

/** Functions, also those that are constants (load_image), but not constants of other kinds. */
function functionsOf(statements) {
  const constants = statements
    .filter(ts.isVariableStatement)
    .flatMap(({ declarationList }) => [...declarationList.declarations])
    .filter(({ type }) => type && (ts.isTypeQueryNode(type) || ts.isFunctionTypeNode(type)));
  const functions = statements.filter(ts.isFunctionDeclaration);
  return [...new Set([...functions, ...constants].map(nameOf).filter(isPublic))].sort();
}

try {
  execFileSync('npm', ['pack', '--silent', `@huggingface/transformers@${version}`], { cwd: directory });
  execFileSync('tar', ['xzf', `huggingface-transformers-${version}.tgz`], { cwd: directory });
  const [tensor, image, env] = ['utils/tensor.d.ts', 'utils/image.d.ts', 'env.d.ts'].map(parse);
  const api = {
    version,
    Tensor: membersOf(tensor, 'Tensor'),
    RawImage: membersOf(image, 'RawImage'),
    env: membersOf(env, 'TransformersEnvironment').members,
    functions: [...functionsOf(tensor), ...functionsOf(image)].sort(),
  };
  const target = new URL(`../fixtures/transformers-js-${version}.json`, import.meta.url);
  writeFileSync(target, `${JSON.stringify(api, null, 2)}\n`);
} finally {
  rmSync(directory, { recursive: true });
}
