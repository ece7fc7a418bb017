#!/usr/bin/env node
/**
 * README.md's relative links as absolute ones for npm's page, which shows no files of the repository beside it, and back
 * (npm's prepack and postpack). `repository` in package.json says where they lead; without it they stay as they are.
 *
 *   node scripts/readme_links.mjs absolute|relative [README]
 */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));

/** Where pages and pictures of a repository on GitHub lie; null without a `repository`. */
export function linkBases({ repository, version }) {
  const url = typeof repository === 'string' ? repository : repository?.url;
  if (!url) return null;
  const found =
    /^(?:git\+)?(?:https:\/\/github\.com\/|ssh:\/\/git@github\.com\/|git@github\.com:|github:)?([^/:]+\/[^/]+?)(?:\.git)?\/?$/.exec(
      url,
    );
  if (!found)
    throw new Error(`readme_links: "repository" in package.json names no repository on GitHub: ${url}`);
  const base = `https://github.com/${found[1]}`;
  return { page: `${base}/blob/v${version}/`, picture: `${base}/raw/v${version}/` };
}

/** The text with its relative links absolute. */
export function absoluteLinks(text, { page, picture }) {
  // Not in blocks of code, not to other sites, not to headings of the page itself.
  return text.replace(
    /^```.*?^```$|(!?)(\[[^\]]*\]\()(?!\w+:|#)([^)\s]+)\)/gms,
    (all, mark, label, target) =>
      label === undefined ? all : `${mark}${label}${mark === '!' ? picture : page}${target})`,
  );
}

/** The text with its links as they were. */
export function relativeLinks(text, { page, picture }) {
  return text.replaceAll(`](${page}`, '](').replaceAll(`](${picture}`, '](');
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [, , form, readme = path.join(root, 'README.md')] = process.argv;
  const change = { absolute: absoluteLinks, relative: relativeLinks }[form];
  if (!change) throw new Error('readme_links: absolute or relative?');
  const bases = linkBases(JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')));
  if (bases) writeFileSync(readme, change(readFileSync(readme, 'utf8'), bases));
  else if (form === 'absolute')
    process.stderr.write(
      'readme_links: package.json has no "repository": links of README.md stay relative.\n',
    );
}
