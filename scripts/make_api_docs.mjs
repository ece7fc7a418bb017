/**
 * Makes docs/api/ from the docstrings, a page a class with its types: `npm run docs`. With `--check` it only says whether
 * the pages are what they give. Public names without documentation are errors either way (typedoc.json).
 */
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { isDeepStrictEqual } from 'node:util';
import prettier from 'prettier';
import {
  Application,
  Comment,
  Converter,
  DeclarationReflection,
  PageEvent,
  ReflectionFlag,
  ReflectionKind,
} from 'typedoc';

const root = path.join(path.dirname(fileURLToPath(import.meta.url)), '..');
const target = path.join(root, 'docs', 'api');

/** Where a name is documented, by where it is defined: the first beginning that fits. */
const PAGES = [
  ['lib/auto', 'auto-classes'],
  ['lib/tensor', 'tensor'],
  ['lib/config/', 'configurations'],
  ['lib/image/raw-image', 'raw-image'],
  ['lib/image/decode', 'raw-image'],
  ['lib/image/', 'image-processor'],
  ['lib/processor/batch-encoding', 'batch-encoding'],
  ['lib/processor/', 'processor'],
  ['lib/model/outputs', 'model-outputs'],
  ['lib/model/', 'model'],
  ['lib/masks/coco', 'coco'],
  ['lib/pipelines/coco', 'coco'],
  ['lib/masks/', 'masks'],
  ['lib/pipelines/', 'mask-generation'],
  ['lib/', 'errors-and-types'],
];

/** What typedoc repeats for each member, and what it takes a section for; in this order. */
const TIDY = [
  [/^\*\*\*\n\n/gm, ''],
  [/^#+ Extended by\n\n(?:- .*\n)+\n/gm, ''],
  [/^#+ (Extends|Implements)\n\n- (\[.*)\n(?:- .*\n)*/gm, '$1 $2.\n'],
  [/^#+ Extends\n\n(?:- .*\n)+\n/gm, ''],
  [/^#+ (?:Constructors?|Properties|Methods|Parameters|Call Signature|Indexable|Type Declaration)\n\n/gm, ''],
  [/^#+ Returns\n\n(?:.+\n)+\n(?!#|`{3}|\|)(?=.)/gm, '**Returns** '],
  [/^#+ Returns\n\n(?:.+\n)+\n?/gm, ''],
  [/^#+ (?:Inherited from|Overrides|Implementation of)\n\n.+\n\n?/gm, ''],
  [/^#+ Union Members\n\n(?:(?!#).*\n|#+ Type Literal\n)*/gm, ''],
  [/^#+ Type Parameters\n\n(?:\|.*\n)+\n/gm, ''],
  [/^#+ (Throws|Deprecated)\n\n/gm, '**$1** '],
  [/^\| Parameter \| Type (?:\| Default value )?\|\n(?:\|.*\n)+\n/gm, ''],
  [/^\| `this` \|.*\n/gm, ''],
  [/(?<=\| )`undefined`(?= \| [^|]+ \|$)/gm, '-'],
  [/<a id="[^"]*"><\/a> /g, ''],
  [/^class (?=\w+[<(])/gm, ''],
  [/^```\n\n```ts\n/gm, ''],
  [/^####+ /gm, '### '],
  [/\n{3,}/g, '\n\n'],
];

/** Leaves out what another page or member says, and shows getters among the properties. */
function prune(project) {
  for (const reflection of project.getReflectionsByKind(ReflectionKind.Class)) {
    reflection.setFlag(ReflectionFlag.Abstract, false);
    for (const member of [...reflection.children]) {
      const base = (member.inheritedFrom ?? member.signatures?.[0].inheritedFrom)?.name.split('.')[0];
      const isDefault =
        member.kindOf(ReflectionKind.Constructor) && !member.signatures.some((s) => s.comment);
      if (isDefault || project.getChildByName([base ?? ''])) project.removeReflection(member);
    }
    for (const signature of reflection.signatures ?? []) signature.comment = new Comment();
  }
  for (const method of project.getReflectionsByKind(ReflectionKind.Method))
    if (method.signatures.length > 1) delete method.comment;
  for (const accessor of project.getReflectionsByKind(ReflectionKind.Accessor)) {
    if (!accessor.getSignature) continue;
    accessor.kind = ReflectionKind.Property;
    accessor.type = accessor.getSignature.type;
    accessor.comment ??= accessor.getSignature.comment;
    delete accessor.getSignature;
    delete accessor.setSignature;
  }
}

/** Makes a module of each page, which typedoc then gives a file. */
function splitIntoPages(context) {
  const { project } = context;
  const pages = new Map(
    PAGES.map(([, name]) => [name, new DeclarationReflection(name, ReflectionKind.Module, project)]),
  );
  for (const reflection of [...project.children]) {
    const [declaration] = context.getSymbolFromReflection(reflection).declarations;
    const file = path.relative(root, declaration.getSourceFile().fileName);
    const page = pages.get(PAGES.find(([beginning]) => file.startsWith(beginning))[1]);
    project.removeChild(reflection);
    reflection.parent = page;
    page.addChild(reflection);
  }
  for (const page of pages.values()) {
    project.registerReflection(page, undefined, undefined);
    project.addChild(page);
  }
}

const titleOf = (name) =>
  (name[0].toUpperCase() + name.slice(1)).replaceAll('-', ' ').replace('Coco', 'COCO');

function index(project, urlOf) {
  const row = ({ name, children }) => {
    const links = [
      ...new Map(children.map((child) => [child.name, `[\`${child.name}\`](${urlOf(child)})`])).values(),
    ];
    return `| [${titleOf(name)}](${name}.md) | ${links.join(', ')} |\n`;
  };
  return `# API\n\nEvery public name, from the docstrings.\n\n| page | names |\n| --- | --- |\n${project.children.map(row).join('')}`;
}

/** A block of signatures, or of one declaration, as prettier writes it. */
async function formatted(code, options) {
  if (/^(?:function|type|const) /.test(code)) return prettier.format(code, options);
  const members = code.replace(/^new (?=\w)/gm, 'new_');
  const printed = await prettier.format(`class Page {\n${members}}\n`, options);
  return printed.split('\n').slice(1, -2).join('\n').replace(/^ {2}/gm, '').replace(/^new_/gm, 'new ') + '\n';
}

async function tidied(text, options) {
  const page = TIDY.reduce((result, [pattern, by]) => result.replace(pattern, by), text);
  const parts = page.split(/(?<=^```ts\n)([^]*?)(?=^```$)/m);
  return (await Promise.all(parts.map((part, i) => (i % 2 ? formatted(part, options) : part)))).join('');
}

/** Texts of the pages by their names as the docstrings give them; null where these have faults, which are printed. */
async function makePages(directory) {
  const app = await Application.bootstrapWithPlugins({
    options: path.join(root, 'typedoc.json'),
    out: directory,
    logLevel: 'Warn',
    pageTitleTemplates: { index: 'API', module: ({ rawName }) => titleOf(rawName) },
  });
  // Once typedoc knows what is inherited, and before it groups.
  app.converter.on(
    Converter.EVENT_RESOLVE_END,
    (context) => {
      prune(context.project);
      splitIntoPages(context);
    },
    -50,
  );
  const project = await app.convert();
  if (!project) return null;
  app.validate(project);
  if (app.logger.hasErrors() || app.logger.hasWarnings()) return null;
  app.renderer.on(PageEvent.END, (page) => {
    if (page.model === project)
      page.contents = index(project, (reflection) => app.renderer.router.getFullUrl(reflection));
  });
  await app.generateOutputs(project);
  if (app.logger.hasErrors()) return null;
  const options = {
    ...(await prettier.resolveConfig(root + '/x.ts')),
    parser: 'typescript',
    objectWrap: 'collapse',
  };
  const pages = Object.entries(read(directory)).map(async ([name, text]) => [
    name,
    await tidied(text, options),
  ]);
  return Object.fromEntries(await Promise.all(pages));
}

function read(directory) {
  const names = existsSync(directory) ? readdirSync(directory) : [];
  return Object.fromEntries(names.map((name) => [name, readFileSync(path.join(directory, name), 'utf8')]));
}

const directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-docs-'));
try {
  const pages = await makePages(directory);
  if (!pages) process.exitCode = 1;
  else if (!process.argv.includes('--check')) {
    rmSync(target, { recursive: true, force: true });
    mkdirSync(target);
    for (const [name, text] of Object.entries(pages)) writeFileSync(path.join(target, name), text);
  } else if (!isDeepStrictEqual(pages, read(target))) {
    process.stderr.write('docs/api/ is not what the docstrings give: run "npm run docs".\n');
    process.exitCode = 1;
  }
} finally {
  rmSync(directory, { recursive: true });
}
