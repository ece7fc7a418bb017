/** What keeps a checkout from being published, one line a fault: for scripts/check_release.mjs and its tests. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { declaredFloor, faultsOf } from './symbols.mjs';
import { pinnedTorch } from './venv.mjs';

const platforms = ['linux-x64'];

const maxPackedBytes = 40e6;
/** Must be in the tarball. */
const required = [
  'package.json',
  'README.md',
  'CHANGELOG.md',
  'LICENSE',
  'THIRD_PARTY_LICENSES.md',
  'dist/index.js',
  'dist/index.d.ts',
  'dist/cli/main.js',
  'scripts/export_model.py',
  ...platforms.flatMap((platform) =>
    ['build.json', 'sam3-tracker.node', 'libtorch_loader.so'].map((name) => `prebuilds/${platform}/${name}`),
  ),
  'models/sam3-tracker-tiny/model.safetensors',
  'examples/images/chelsea.png',
  'scripts/requirements.txt',
  ...['sam3', 'sam3-tracker-tiny'].flatMap((model) =>
    [
      ...['README.md', 'config.json', 'processor_config.json'],
      ...['vision_encoder.pt', 'prompt_encoder.pt', 'mask_decoder.pt', 'manifest.json'].map(
        (name) => `torchscript/${name}`,
      ),
    ].map((name) => `models/${model}/${name}`),
  ),
];
/** What a tarball may hold (the exporter is for `sam3-tracker export`); binding.gyp would make npm build at install. */
const allowed =
  /^(?:package\.json|README\.md|CHANGELOG\.md|LICENSE|THIRD_PARTY_LICENSES\.md|(?:dist|models|prebuilds|scripts\/sam3_tracker_export)\/.+|scripts\/(?:export_model\.py|requirements\.txt)|examples\/images\/(?:chelsea\.png|README\.md))$/;
const forbidden = /\.(?:cc|h|gyp|map|pyc)$|(?:^|\/)(?:__pycache__|\.cache)\//;

const LICENCES = 'THIRD_PARTY_LICENSES.md';
/** Projects whose code is compiled into the binary. */
const compiledIn = ['node-addon-api', 'PyTorch'];
const licenceName = /\b(?:Apache-2\.0|MIT|BSD-\d-Clause|CC[- ]BY[\w .-]*)\b/i;

const read = (root, name) => readFileSync(path.join(root, name), 'utf8');

/** Versions that do not agree. */
export function versionFaults(root) {
  const faults = [];
  const manifest = JSON.parse(read(root, 'package.json'));
  const lock = JSON.parse(read(root, 'package-lock.json'));
  if (lock.version !== manifest.version)
    faults.push(`package-lock.json is of version ${lock.version}, package.json of ${manifest.version}`);
  if (!/^\d+\.\d+\.\d+(?:-[\w.]+)?$/.test(manifest.version))
    faults.push(`${manifest.version} is no semantic version`);
  for (const platform of platforms) {
    const file = path.join(root, 'prebuilds', platform, 'build.json');
    if (!existsSync(file)) continue;
    const { libtorch } = JSON.parse(readFileSync(file, 'utf8'));
    if (libtorch.split('+')[0] !== pinnedTorch(root))
      faults.push(
        `${platform} was built against libtorch ${libtorch}, requirements-libtorch.txt has ${pinnedTorch(root)}`,
      );
  }
  return faults;
}

/** A changelog without a dated section for the version: of a release only, since a checkout between two is packed too. */
export function changelogFaults(root) {
  const { version } = JSON.parse(read(root, 'package.json'));
  const section = new RegExp(`^## \\[?${version.replaceAll('.', '\\.')}\\]? - \\d{4}-\\d\\d-\\d\\d$`, 'm');
  return section.test(read(root, 'CHANGELOG.md'))
    ? []
    : [`CHANGELOG.md has no dated section for version ${version} ("## ${version} - 2026-12-01")`];
}

/** Prebuilt binaries that are missing, not those that the list describes, or unfit. */
export function binaryFaults(root) {
  return platforms.flatMap((platform) => {
    const directory = path.join(root, 'prebuilds', platform);
    const list = path.join(directory, 'build.json');
    if (!existsSync(list)) return [`prebuilds/${platform} is missing: npm run prebuild`];
    return Object.entries(JSON.parse(readFileSync(list, 'utf8')).files).flatMap(([name, sha256]) => {
      const file = path.join(directory, name);
      if (!existsSync(file)) return [`prebuilds/${platform}/${name} is missing: npm run prebuild`];
      if (createHash('sha256').update(readFileSync(file)).digest('hex') !== sha256)
        return [`prebuilds/${platform}/${name} is not the file that build.json describes: npm run prebuild`];
      return faultsOf(file, declaredFloor(root));
    });
  });
}

/** What is shipped and not in the list of licences: code in the binary, and models, each with a card that names its own. */
export function licenceFaults(root) {
  const listed = read(root, LICENCES);
  const faults = compiledIn
    .filter((name) => !listed.includes(`[${name}]`))
    .map((name) => `${LICENCES} does not list ${name}, which is compiled into the binary`);
  for (const { name } of readdirSync(path.join(root, 'models'), { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  )) {
    const card = `models/${name}/README.md`;
    if (!listed.includes(`(${card})`)) faults.push(`${LICENCES} does not list models/${name} with its card`);
    if (!existsSync(path.join(root, card)) || !licenceName.test(read(root, card)))
      faults.push(`${card} names no licence`);
  }
  return faults;
}

/** Newest change under a directory. */
function newest(directory) {
  return Math.max(
    ...readdirSync(directory, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => statSync(path.join(entry.parentPath, entry.name)).mtimeMs),
  );
}

/** Whether the compiled TypeScript is missing or old. */
export function distFaults(root) {
  if (!existsSync(path.join(root, 'dist', 'index.js'))) return ['dist is missing: npm run setup'];
  const isOld = newest(path.join(root, 'lib')) > newest(path.join(root, 'dist'));
  return isOld ? ['dist is older than lib: npm run setup'] : [];
}

/** The tarball against what must and may be in it. @param packed an entry of what `npm pack --json` prints. */
export function tarballFaults({ files, size }) {
  const names = new Set(files.map((file) => file.path));
  const faults = required.filter((name) => !names.has(name)).map((name) => `the tarball lacks ${name}`);
  for (const name of names) {
    if (!allowed.test(name) || forbidden.test(name)) faults.push(`the tarball holds ${name}`);
  }
  if (size > maxPackedBytes)
    faults.push(`the tarball has ${(size / 1e6).toFixed(1)} MB, more than ${maxPackedBytes / 1e6}`);
  return faults;
}
