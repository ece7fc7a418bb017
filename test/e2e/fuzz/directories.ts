/** Model directories with something wrong in them, the same for the same seed. */
import {
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerModel } from '../../../lib';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { randomNumbers } from '../../support/random';
import { expect, nameOf, type Attack } from './attack';

/** Files of a model directory, and how often each is chosen. */
const FILES = [
  'torchscript/vision_encoder.pt',
  'torchscript/prompt_encoder.pt',
  'torchscript/mask_decoder.pt',
  'torchscript/manifest.json',
  'config.json',
  'config.json',
  'model.safetensors',
  'model.safetensors',
];
const VALUES = [
  null,
  -1,
  0,
  1e300,
  2 ** 31,
  2 ** 53,
  0.5,
  '',
  'x'.repeat(500),
  [],
  {},
  true,
  '../../etc/passwd',
];

/** What was done, for the report of a failure. */
interface Mutation {
  description: string;
  /** Whether a graph was altered, which its manifest has to tell. */
  altersGraph: boolean;
}

type Random = () => number;

const below = (random: Random, count: number): number => Math.floor(random() * count);
const pick = <T>(random: Random, list: readonly T[]): T => list[below(random, list.length)];

/** Changes some bytes; most of the weights' file is numbers, so there the header is preferred. */
function changeBytes(random: Random, file: string): string {
  const content = readFileSync(file);
  const reach =
    file.endsWith('.safetensors') && random() < 0.8 ? Math.min(content.length, 40_000) : content.length;
  const changes = 1 + below(random, 4);
  for (let change = 0; change < changes; change++) content[below(random, reach)] ^= 1 + below(random, 255);
  writeFileSync(file, content);
  return `${changes} bytes changed`;
}

function shorten(random: Random, file: string): string {
  const size = below(random, readFileSync(file).length);
  truncateSync(file, size);
  return `cut to ${size} bytes`;
}

function insert(random: Random, file: string): string {
  const content = readFileSync(file);
  const at = below(random, content.length);
  const bytes = Buffer.from(Array.from({ length: 1 + below(random, 64) }, () => below(random, 256)));
  writeFileSync(file, Buffer.concat([content.subarray(0, at), bytes, content.subarray(at)]));
  return `${bytes.length} bytes inserted at ${at}`;
}

/** Sets one value of a JSON file, at any depth, to something else, or removes it. */
function changeJson(random: Random, file: string): string {
  const root = JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
  let owner = root;
  for (;;) {
    const name = pick(random, Object.keys(owner));
    const value = owner[name];
    const isOwner = typeof value === 'object' && value !== null && Object.keys(value).length > 0;
    if (isOwner && random() < 0.8) {
      owner = value as Record<string, unknown>;
      continue;
    }
    const replacement = pick(random, VALUES);
    if (random() < 0.2) delete owner[name];
    else owner[name] = replacement;
    writeFileSync(file, JSON.stringify(root));
    return `${name} set to ${JSON.stringify(replacement).slice(0, 40)} or removed`;
  }
}

/**
 * Damages a copy of a model directory.
 *
 * @param directory the copy.
 * @param seed which damage.
 */
function mutate(directory: string, seed: number): Mutation {
  const random = randomNumbers(seed);
  const name = pick(random, FILES);
  const file = path.join(directory, name);
  const before = readFileSync(file);
  let what: string;
  const kind = random();
  if (name.endsWith('.json') && kind < 0.6) what = changeJson(random, file);
  else if (kind < 0.6) what = changeBytes(random, file);
  else if (kind < 0.75) what = shorten(random, file);
  else if (kind < 0.88) what = insert(random, file);
  else if (kind < 0.92) {
    rmSync(file);
    what = 'removed';
  } else if (kind < 0.95) {
    rmSync(file);
    mkdirSync(file);
    what = 'made a folder';
  } else {
    const other = pick(
      random,
      FILES.filter((one) => one !== name),
    );
    copyFileSync(path.join(directory, other), file);
    what = `replaced by ${other}`;
  }
  const after = existsSync(file) && what !== 'made a folder' ? readFileSync(file) : null;
  return {
    description: `${name}: ${what}`,
    altersGraph: name.endsWith('.pt') && !after?.equals(before),
  };
}

/** Loads a damaged model directory; libtorch must not see an altered archive. */
export function directories(seed: number): Promise<Attack> {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-fuzz-'));
  cpSync(BUNDLED_MODEL, directory, { recursive: true });
  const { description, altersGraph } = mutate(directory, seed);
  return Promise.resolve({
    description,
    bytes: 0,
    run: async () => {
      try {
        (await Sam3TrackerModel.from_pretrained(directory, { device: 'cpu', dtype: 'float32' })).dispose();
      } catch (error) {
        expect(
          !altersGraph || /HASH_MISMATCH|FILE_NOT_FOUND/.test(nameOf(error)),
          `a damaged graph: ${nameOf(error)}`,
        );
        throw error;
      }
      expect(!altersGraph, 'a damaged graph was loaded');
    },
    dispose: () => rmSync(directory, { recursive: true, force: true }),
  });
}
