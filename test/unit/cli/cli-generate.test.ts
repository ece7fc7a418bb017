import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PassThrough } from 'node:stream';
import { main } from '../../../lib/cli/main';
import type { CocoDataset } from '../../../lib/masks/coco';
import { rle_to_mask } from '../../../lib/masks/masks';
import { pipeline } from '../../../lib/pipelines/pipeline';
import { type CocoRLE } from '../../../lib/masks/types';
import { RawImage } from '../../../lib/image/raw-image';

const ROOT = path.join(__dirname, '..', '..', '..');
const ASTRONAUT = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'astronaut.png');
const COFFEE = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'coffee.png');
const CHELSEA = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'chelsea.png');
const FEW = ['--points-per-crop', '6', '--pred-iou-thresh', '0.5', '--stability-score-thresh', '0.7'];

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

describe('sam3-tracker generate', () => {
  let directory: string;
  beforeEach(() => (directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-generate-'))));
  afterEach(() => rmSync(directory, { recursive: true }));

  /** What the command writes to a terminal of its own. */
  async function generate(...argv: string[]): Promise<{ code: number; stdout: string; terminal: string }> {
    const stderr = Object.assign(new PassThrough(), { isTTY: true, columns: 120 });
    let stdout = '';
    const code = await main(['generate', '--out', directory, ...FEW, ...argv], {
      stdout: { write: (part) => (stdout += part) },
      stderr,
    });
    return { code, stdout, terminal: String(stderr.read() ?? '') };
  }

  it('gives each mask a colour of its own', async () => {
    assert.equal((await generate(ASTRONAUT)).code, 0);
    const { annotations } = JSON.parse(
      readFileSync(path.join(directory, 'annotations.json'), 'utf8'),
    ) as CocoDataset;
    const masks = annotations.map(({ segmentation }) => rle_to_mask(segmentation as CocoRLE).data);
    const photo = (await RawImage.read(ASTRONAUT)).rgb().data;
    const drawn = (await RawImage.read(path.join(directory, 'astronaut-masks.png'))).rgb().data;
    const colors = masks
      .map((mask, index) => {
        const own = [...mask.keys()].filter((at) =>
          masks.every((other, which) => (other[at] === 1) === (which === index)),
        );
        if (own.length < 100) return null;
        // Inside, a mask is tinted by a half.
        return [0, 1, 2].map((channel) =>
          median(own.map((at) => 2 * drawn[3 * at + channel] - photo[3 * at + channel])),
        );
      })
      .filter((color) => color !== null);
    assert.ok(colors.length >= 2, `${colors.length} masks have pixels of their own`);
    colors.forEach((color, index) =>
      colors.slice(0, index).forEach((other) => {
        const apart = Math.max(...color.map((value, channel) => Math.abs(value - other[channel])));
        assert.ok(apart > 20, `${color.join()} and ${other.join()} are alike`);
      }),
    );
  });

  it('shows at a terminal how far each image is, to its last point', async () => {
    const { code, stdout, terminal } = await generate(ASTRONAUT, COFFEE, '--points-per-batch', '10');
    assert.equal(code, 0);
    assert.match(stdout, /astronaut\.png: \d+ masks/);
    for (const name of ['astronaut', 'coffee'])
      assert.match(terminal, new RegExp(`${name} \\[=+\\] 36/36 points, \\d+ masks`));
  });

  it('refuses a file where the directory is to be, before any work', async () => {
    const file = path.join(directory, 'taken');
    writeFileSync(file, 'mine');
    const { code, stdout, terminal } = await generate(ASTRONAUT, '--out', file);
    assert.equal(code, 2);
    assert.equal(stdout, '');
    assert.match(terminal, /--out takes a directory, and .*taken is a file\./);
    assert.equal(readFileSync(file, 'utf8'), 'mine');
  });

  for (const [signal, expected] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)
    // prettier-ignore
    it(`writes what is done and ends with ${expected} where ${signal} ends it`, async () => {
      // An image of 1,600 points takes seconds.
      const child = spawn(
        process.execPath,
        ['--import', 'tsx', path.join('lib', 'cli', 'main.ts'), 'generate', ASTRONAUT, COFFEE, CHELSEA]
          .concat(['--out', directory, '--points-per-crop', '40'])
          .concat(['--pred-iou-thresh', '0.5', '--stability-score-thresh', '0.7', '--device', 'cpu']),
        { cwd: ROOT, stdio: ['ignore', 'pipe', 'pipe'] },
      );
      let [stdout, stderr] = ['', ''];
      child.stdout.setEncoding('utf8').on('data', (text: string) => {
        stdout += text;
        if (/astronaut\.png: \d+ masks/.test(stdout)) child.kill(signal);
      });
      child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
      const [code, by] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
      assert.deepEqual([code, by], [expected, null], stderr);
      assert.match(stderr, /Interrupted: 1 of 3 images are done; .*annotations\.json has those\./);
      const { images, annotations } = JSON.parse(
        readFileSync(path.join(directory, 'annotations.json'), 'utf8'),
      ) as CocoDataset;
      assert.deepEqual(images.map(({ file_name }) => path.basename(file_name)), ['astronaut.png']); // prettier-ignore
      assert.ok(annotations.length > 0);
      for (const { segmentation } of annotations)
        assert.deepEqual(rle_to_mask(segmentation as CocoRLE).dims, [512, 512]);
      assert.deepEqual(readdirSync(directory).sort(), ['annotations.json', 'astronaut-masks.png']);
    }).timeout(120_000);

  it('hands the pipeline every option that it has', async () => {
    const given = ['--points-per-batch', 'all', '--crops-n-layers', '1', '--crop-overlap-ratio', '0.25']
      .concat(['--crop-n-points-downscale-factor', '2', '--stability-score-offset', '0.5', '--no-multimask'])
      .concat(['--box-of-interest', '100,50,400,450', '--max-memory', '200000000', '--timeout', '9']);
    assert.equal((await generate(ASTRONAUT, '--device', 'cpu', ...given)).code, 0);
    const { annotations } = JSON.parse(
      readFileSync(path.join(directory, 'annotations.json'), 'utf8'),
    ) as CocoDataset;
    using generator = await pipeline('mask-generation', 'sam3-tracker-tiny', { device: 'cpu' });
    const { masks, scores } = await generator(ASTRONAUT, {
      points_per_crop: 6,
      pred_iou_thresh: 0.5,
      stability_score_thresh: 0.7,
      points_per_batch: null,
      crops_n_layers: 1,
      crop_overlap_ratio: 0.25,
      crop_n_points_downscale_factor: 2,
      stability_score_offset: 0.5,
      multimask_output: false,
      box_of_interest: [100, 50, 400, 450],
      max_memory: 200_000_000,
      timeout: 9,
      output_mode: 'coco_rle',
    });
    assert.ok(masks.length > 0);
    assert.deepEqual(
      annotations.map(({ segmentation, score }) => [segmentation, score]),
      masks.map((mask, index) => [mask, scores[index]]),
    );
  });

  it('shows nothing where it shall be quiet', async () => {
    assert.deepEqual(await generate(ASTRONAUT, '--quiet'), { code: 0, stdout: '', terminal: '' });
  });
});
