import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import type { ImageRecord } from '../../lib/cli/results';
import { mask_area, mask_iou } from '../../lib/masks/masks';
import { type Mask } from '../../lib/masks/types';

const ROOT = path.join(__dirname, '..', '..');

interface Outline {
  image: string;
  size: [height: number, width: number];
  polygon: [x: number, y: number][];
}

/** The pixels whose middle lies inside an outline, as far as a renderer can tell. */
async function fill({ size: [height, width], polygon }: Outline): Promise<Mask> {
  const svg =
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}">` +
    `<polygon points="${polygon.join(' ')}" fill="white" shape-rendering="crispEdges"/></svg>`;
  const pixels = await sharp(Buffer.from(svg)).extractChannel('alpha').threshold(128).raw().toBuffer();
  return { type: 'bool', data: pixels.map((value) => (value === 0 ? 0 : 1)), dims: [height, width] };
}

describe('the demo', () => {
  const out = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-demo-'));
  after(() => rmSync(out, { recursive: true }));

  it('finds the cup with its saucer: IoU of at least 0.8 with an outline drawn by hand', async () => {
    const outline = JSON.parse(
      readFileSync(path.join(__dirname, '..', 'fixtures', 'coffee-cup.json'), 'utf8'),
    ) as Outline;
    const drawn = await fill(outline);
    const area = mask_area(drawn);
    assert.ok(area > 100_000 && area < 120_000, `the outline itself has ${area} pixels`);

    const run = spawnSync(process.execPath, ['--import', 'tsx', path.join('examples', 'demo.ts'), out], {
      cwd: ROOT,
      encoding: 'utf8',
    });
    assert.equal(run.status, 0, run.stderr);
    for (const step of ['load', 'decode', 'preprocess', 'encode', 'click', 'post-process', 'write'])
      assert.match(run.stdout, new RegExp(`^${step} +\\d+\\.\\d ms$`, 'm'));

    const record = JSON.parse(readFileSync(path.join(out, 'coffee.json'), 'utf8')) as ImageRecord;
    const [found] = record.objects[0].masks;
    const iou = mask_iou(found.rle, drawn);
    assert.ok(iou >= 0.8, `IoU ${iou.toFixed(3)}`);

    const png = sharp(path.join(out, found.file as string));
    const { width, height, channels } = await png.metadata();
    assert.deepEqual([width, height, channels], [600, 400, 1]);
    const pixels = await png.extractChannel(0).raw().toBuffer();
    const mask: Mask = { type: 'bool', data: pixels, dims: [400, 600] };
    assert.equal(mask_iou(mask, found.rle), 1);
    const overlay = await sharp(path.join(out, 'coffee-overlay.png')).metadata();
    assert.deepEqual([overlay.width, overlay.height], [600, 400]);
  });
});
