/** Configurations with values in them that no model has: bounds, nesting, kinds, strings. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  Sam3ImageProcessor,
  Sam3TrackerConfig,
  Sam3TrackerModel,
  Sam3TrackerProcessor,
  pipeline,
} from '../../../lib';
import { BUNDLED_MODEL } from '../../support/bundled-model';
import { Dice, expect, type Attack } from './attack';
import { editTree } from './values';

const FILES = [
  'config.json',
  'preprocessor_config.json',
  'processor_config.json',
  'mask_generation_config.json',
] as const;

/** Pixels up to which a processor is used and not only made: others are allowed, and take gigabytes. */
const FEW_PIXELS = 1_000_000;

async function use(processor: Sam3TrackerProcessor): Promise<void> {
  const { size, crop_size, pad_size, mask_size } = processor.image_processor;
  const sides = [size, crop_size, pad_size, mask_size].flatMap((one) => Object.values(one ?? {}) as number[]);
  if (sides.some((side) => side > FEW_PIXELS ** 0.5)) return;
  const images = { data: new Uint8Array(16 * 12 * 3), dims: [12, 16, 3] };
  const { pixel_values } = await processor({ images, input_points: [[[[1, 2]]]] });
  const { data, dims } = pixel_values;
  expect(data.length === dims.reduce((a, b) => a * b, 1), 'data of another length than dims');
}

/** What reads each file; some read what is in it, parsed. */
const READERS: Record<
  (typeof FILES)[number],
  ((directory: string, parsed: Record<string, unknown>) => Promise<unknown>)[]
> = {
  'config.json': [
    (directory) => Sam3TrackerConfig.from_pretrained(directory),
    (_, parsed) => {
      const config = Sam3TrackerConfig.from_dict(parsed);
      Sam3TrackerConfig.from_dict(JSON.parse(config.to_json_string()) as Record<string, unknown>);
      return Promise.resolve();
    },
    async (directory) => (await Sam3TrackerModel.from_pretrained(directory, { device: 'cpu' })).dispose(),
  ],
  'preprocessor_config.json': [
    async (directory) => use(await Sam3TrackerProcessor.from_pretrained(directory)),
    (_, parsed) => use(new Sam3TrackerProcessor(Sam3ImageProcessor.from_dict(parsed))),
  ],
  'processor_config.json': [async (directory) => use(await Sam3TrackerProcessor.from_pretrained(directory))],
  'mask_generation_config.json': [
    async (directory) => {
      const generator = await pipeline('mask-generation', directory, { device: 'cpu' });
      generator.model.dispose();
    },
  ],
};

/** JSON without the calls of itself that deep lists need. */
function toJson(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return '['.repeat(20_000);
  }
}

/** Reads a model's directory in which one JSON file was edited. */
export function configs(seed: number): Promise<Attack> {
  const dice = new Dice(seed);
  const name = dice.pick([...FILES.slice(0, 3), ...FILES]);
  const tree = JSON.parse(readFileSync(path.join(BUNDLED_MODEL, name), 'utf8')) as Record<string, unknown>;
  const edits = editTree(dice, tree, true);
  const reader = dice.pick(READERS[name]);
  const text = toJson(tree);
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-fuzz-'));
  // Links, since copies of the weights would take most of the time.
  for (const file of readdirSync(BUNDLED_MODEL))
    if (file !== name) symlinkSync(path.join(BUNDLED_MODEL, file), path.join(directory, file));
  writeFileSync(path.join(directory, name), text);
  if (name === 'preprocessor_config.json') rmSync(path.join(directory, 'processor_config.json'));
  return Promise.resolve({
    description: `${name}: ${edits}`,
    bytes: text.length,
    run: async () => void (await reader(directory, tree)),
    dispose: () => rmSync(directory, { recursive: true }),
  });
}
