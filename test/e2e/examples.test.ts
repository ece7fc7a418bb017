/** Every example runs as it stands, prints what transformers' would, and draws transformers' masks. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { RawImage, rle_to_mask, type CocoDataset, type CocoRLE } from '../../lib/index';
import { reference, type Reference } from '../support/python';

const ROOT = path.join(__dirname, '..', '..');
const FOLDER = path.join(ROOT, 'examples');

interface Expected {
  /** What a last line shows, where there are masks. */
  scores?: unknown;
  shapes: number[][];
  /** For each image which of its pixels are drawn over, one byte each, in base64. */
  drawn: string[];
  /** Names of the model's and the processor's class. */
  classes?: string[];
  /** Of a model that is made and not called. */
  parameters?: number;
}

interface Example {
  /** The lines before the scores, made of what transformers gave. */
  first: (expected: Expected) => string;
  /** The photos that are drawn over, by the name of the image. */
  images: Record<string, string>;
}

const generated = ({ shapes: [shape] }: Expected): string =>
  `Generated ${shape[1]} masks with shape [${shape.join(', ')}]`;
const everyShape = ({ shapes }: Expected): string =>
  shapes.map((shape) => `Masks with shape [${shape.join(', ')}]`).join('\n');

const EXAMPLES: Record<string, Example> = {
  'single-point': { first: generated, images: { 'single-point': 'coffee.png' } },
  'multiple-points': { first: generated, images: { 'multiple-points': 'coffee.png' } },
  'bounding-box': { first: generated, images: { 'bounding-box': 'rocket.jpg' } },
  'multiple-objects': {
    first: ({ shapes: [shape] }) => `Generated masks for ${shape[0]} objects, shape [${shape.join(', ')}]`,
    images: { 'multiple-objects': 'coffee.png' },
  },
  'batched-images': {
    first: ({ shapes }) => `Processed ${shapes.length} images, each with ${shapes[0][0]} objects`,
    images: { 'batched-images-0': 'coffee.png', 'batched-images-1': 'chelsea.png' },
  },
  'batched-objects': {
    first: everyShape,
    images: { 'batched-objects-0': 'coffee.png', 'batched-objects-1': 'chelsea.png' },
  },
  'batched-points': {
    first: everyShape,
    images: { 'batched-points-0': 'coffee.png', 'batched-points-1': 'astronaut.png' },
  },
  'batched-boxes': {
    first: ({ shapes: [one, other] }) =>
      `Processed 2 images with ${one[0]} and ${other[0]} boxes respectively`,
    images: { 'batched-boxes-0': 'astronaut.png', 'batched-boxes-1': 'coffee.png' },
  },
  configuration: {
    first: ({ parameters }) =>
      `${parameters} parameters\nSizes of image and patch in pixels: 1008 14\nThe same again`,
    images: {},
  },
  'auto-model': {
    first: ({ classes }) => String(classes?.join(', ')),
    images: { 'auto-model': 'coffee.png' },
  },
  'previous-mask': {
    first: ({ shapes: [shape] }) => `Refined ${shape[1]} mask with shape [${shape.join(', ')}]`,
    images: { 'previous-mask': 'coffee.png' },
  },
};

/** Runs an example from another directory than its own; resolves with what it printed. */
function run(name: string, out: string, extension = 'mts'): Promise<string> {
  const args = ['--import', 'tsx', path.join('examples', `${name}.${extension}`), out];
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 && stderr === ''
        ? resolve(stdout)
        : reject(new Error(`${name} ended with ${code}:\n${stderr}`)),
    );
  });
}

function assertScores(line: string, expected: unknown, name: string): void {
  assert.match(line, /^Scores: \[/, name);
  const numbers = (value: unknown): number[] => [value].flat(4) as number[];
  const found = JSON.parse(line.replace('Scores: ', '')) as unknown;
  assert.equal(numbers(found).length, numbers(expected).length, name);
  numbers(found).forEach((score, index) => {
    const difference = Math.abs(score - numbers(expected)[index]);
    assert.ok(difference < 1e-4, `${name}: score ${index} differs by ${difference}`);
  });
}

/** The part of the pixels where an image was drawn over although it should not be, or the other way round. */
async function drawnElsewhere(image: string, photo: string, drawn: Buffer): Promise<number> {
  const [over, under] = [
    await RawImage.read(image),
    (await RawImage.read(path.join(FOLDER, 'images', photo))).rgb(),
  ];
  assert.deepEqual([over.width, over.height, over.channels], [under.width, under.height, 3]);
  assert.equal(drawn.length, over.width * over.height);
  const elsewhere = drawn.filter((inside, pixel) => {
    const changed = [0, 1, 2].some(
      (channel) => over.data[3 * pixel + channel] !== under.data[3 * pixel + channel],
    );
    return changed !== (inside !== 0);
  });
  return elsewhere.length / drawn.length;
}

describe('the examples', () => {
  const out = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-examples-'));
  let python: Reference | undefined;

  before(function () {
    python = reference(path.join(__dirname, '..', 'support', 'examples_reference.py'), this);
  });
  after(() => {
    rmSync(out, { recursive: true });
  });

  it('are all tested here and listed in their README', () => {
    const names = readdirSync(FOLDER)
      .filter((file) => file.endsWith('.mts'))
      .map((file) => path.parse(file).name);
    assert.deepEqual(names.sort(), [...Object.keys(EXAMPLES), 'mask-generation'].sort());
    const readme = readFileSync(path.join(FOLDER, 'README.md'), 'utf8');
    for (const name of names) assert.ok(readme.includes(`](${name}.mts)`), `README.md lacks ${name}`);
  });

  // Its thresholds are the bundled model's own, holes among them, which transformers leaves open: see the parity tests.
  it('mask-generation prints scores, best first, and draws masks', async () => {
    const [count, scores, ...more] = (await run('mask-generation', out)).trimEnd().split('\n');
    const numbers = JSON.parse(scores.replace('Scores: ', '')) as number[];
    assert.ok(numbers.length >= 3 && numbers.every((score) => score > 0.6), scores);
    assert.equal(count, `Generated ${numbers.length} masks`);
    assert.deepEqual(
      [...numbers].sort((a, b) => b - a),
      numbers,
    );
    assert.deepEqual(more, []);
    const none = Buffer.alloc(512 * 512);
    const drawn = await drawnElsewhere(path.join(out, 'mask-generation.png'), 'astronaut.png', none);
    assert.ok(drawn > 0.2, `${drawn} of the pixels are drawn over`);
  });

  it('annotate writes categories, masks and cut-outs that agree, and encodes the image once', async () => {
    const folder = path.join(out, 'annotate');
    const file = (name: string): string => path.join(folder, name);
    const printed = await run('annotate', folder, 'ts');
    assert.match(
      printed,
      /^cup: score 0\.\d{3}, \d+ pixels, box .*\nspoon: score 0\.\d{3}, \d+ pixels, box .*\n$/,
    );
    const { mtimeMs } = statSync(file('coffee.safetensors'));
    assert.equal(await run('annotate', folder, 'ts'), printed);
    assert.equal(statSync(file('coffee.safetensors')).mtimeMs, mtimeMs);
    const dataset = JSON.parse(readFileSync(file('annotations.json'), 'utf8')) as CocoDataset;
    assert.deepEqual(dataset.categories, [
      { id: 1, name: 'cup' },
      { id: 2, name: 'spoon' },
    ]);
    assert.deepEqual(dataset.images, [{ id: 1, file_name: 'coffee.png', width: 600, height: 400 }]);
    assert.deepEqual(
      dataset.annotations.map(({ category_id }) => category_id),
      [1, 2],
    );
    for (const [index, { segmentation, bbox, area }] of dataset.annotations.entries()) {
      const { data } = rle_to_mask(segmentation as CocoRLE);
      const mask = await RawImage.read(file(`object-${index + 1}.png`));
      assert.deepEqual(Buffer.from(mask.data), Buffer.from(data.map((inside) => 255 * inside)));
      const cut = await RawImage.read(file(`cut-out-${index + 1}.png`));
      assert.deepEqual([...cut.size, cut.channels], [bbox[2], bbox[3], 4]);
      assert.equal(cut.data.filter((value, at) => at % 4 === 3 && value === 255).length, area);
    }
  });

  for (const [name, { first, images }] of Object.entries(EXAMPLES)) {
    it(`${name} prints and draws what transformers gives`, async () => {
      const printed = await run(name, out);
      const expected = (await python!.result(name.replaceAll('-', '_'))) as Expected;
      const lines = printed.trimEnd().split('\n');
      if (expected.scores !== undefined) assertScores(lines.pop() ?? '', expected.scores, name);
      assert.equal(lines.join('\n'), first(expected));
      assert.equal(expected.drawn.length, Object.keys(images).length);
      for (const [index, [image, photo]] of Object.entries(images).entries()) {
        const drawn = Buffer.from(expected.drawn[index], 'base64');
        const elsewhere = await drawnElsewhere(path.join(out, `${image}.png`), photo, drawn);
        // Prompts are drawn over the masks, and outside of them too.
        assert.ok(elsewhere < 0.04, `${image}: ${(100 * elsewhere).toFixed(2)} % of the pixels`);
      }
    });
  }
});
