/** README.md for npm's page: links that lead somewhere without the repository beside it, and back again. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { pathToFileURL } from 'node:url';

interface Bases {
  page: string;
  picture: string;
}
interface Links {
  linkBases: (manifest: object) => Bases | null;
  absoluteLinks: (text: string, bases: Bases) => string;
  relativeLinks: (text: string, bases: Bases) => string;
}

const ROOT = path.join(__dirname, '..', '..');

describe('the links of README.md', () => {
  const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8');
  let links: Links;
  before(async () => {
    links = (await import(pathToFileURL(path.join(ROOT, 'scripts', 'readme_links.mjs')).href)) as Links;
  });

  it('lead where package.json says that the repository is, in all forms that npm knows', () => {
    const expected = {
      page: 'https://github.com/owner/name.js/blob/v1.2.3/',
      picture: 'https://github.com/owner/name.js/raw/v1.2.3/',
    };
    for (const repository of [
      'owner/name.js',
      'github:owner/name.js',
      'https://github.com/owner/name.js',
      'git+https://github.com/owner/name.js.git',
      'git+ssh://git@github.com/owner/name.js.git',
      'git@github.com:owner/name.js.git',
      { type: 'git', url: 'git+https://github.com/owner/name.js.git' },
    ])
      assert.deepEqual(
        links.linkBases({ repository, version: '1.2.3' }),
        expected,
        JSON.stringify(repository),
      );
    assert.equal(links.linkBases({ version: '1.2.3' }), null);
    for (const repository of ['https://example.org/owner/name', 'name'])
      assert.throws(() => links.linkBases({ repository, version: '1.2.3' }), /names no repository on GitHub/);
  });

  it('are all absolute then, pictures too, and the same as before afterwards', () => {
    const bases = links.linkBases({ repository: 'owner/name', version: '1.2.3' })!;
    const absolute = links.absoluteLinks(readme, bases);
    const targets = [...absolute.matchAll(/(!?)\[[^\]]*\]\(([^)\s]+)\)/g)];
    assert.ok(targets.length > 12);
    for (const [, mark, target] of targets) {
      assert.match(target, /^(?:https:\/\/|#)/);
      assert.ok(mark !== '!' || target.startsWith(bases.picture));
    }
    assert.ok(absolute.includes('](https://github.com/owner/name/blob/v1.2.3/CONTRIBUTING.md)'));
    assert.ok(absolute.includes('](#facebooksam3)'));
    assert.equal(links.relativeLinks(absolute, bases), readme);
    const code = '```ts\nmasks[0](docs/x.md)\n```\n';
    assert.equal(links.absoluteLinks(code, bases), code);
  });
});
