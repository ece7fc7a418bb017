import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { main } from '../../../lib/cli/main';
import type { FailedRecord, ImageRecord } from '../../../lib/cli/results';
import type { CocoDataset } from '../../../lib/masks/coco';
import { mask_area, mask_iou, mask_to_box } from '../../../lib/masks/masks';
import { type CocoRLE } from '../../../lib/masks/types';
import { RawImage } from '../../../lib/image/raw-image';
import { cocoFileNames } from '../../../lib/pipelines/coco-annotations';

const ROOT = path.join(__dirname, '..', '..', '..');
const COFFEE = path.join(ROOT, 'examples', 'images', 'coffee.png');
const CLICK = ['--point', '235,215'];

interface Run {
  code: number;
  stdout: string;
  stderr: string;
}

async function run(...argv: string[]): Promise<Run> {
  const text = { stdout: '', stderr: '' };
  const code = await main(argv, {
    stdout: { write: (part) => (text.stdout += part) },
    stderr: { write: (part) => (text.stderr += part) },
  });
  return { code, ...text };
}

/** Runs `segment ... --json` and gives the JSON. */
async function segment(...argv: string[]): Promise<ImageRecord[]> {
  const { code, stdout, stderr } = await run('segment', ...argv, '--json', '--quiet');
  assert.equal(code, 0, stderr);
  assert.equal(stderr, '');
  return JSON.parse(stdout) as ImageRecord[];
}

describe('sam3-tracker', () => {
  let directory: string;
  const home = process.cwd();
  beforeEach(() => {
    directory = mkdtempSync(path.join(tmpdir(), 'sam3-tracker-cli-'));
    process.chdir(directory);
  });
  afterEach(() => {
    process.chdir(home);
    rmSync(directory, { recursive: true });
  });

  describe('command line', () => {
    it('explains itself', async () => {
      const help = await run('segment', '--help');
      assert.equal(help.code, 0);
      assert.match(help.stdout, /Examples:[^]*--object[^]*Exit codes: 0/);
      const version = await run('--version');
      assert.equal(version.code, 0);
      const { version: expected } = JSON.parse(readFileSync(path.join(ROOT, 'package.json'), 'utf8')) as {
        version: string;
      };
      assert.equal(version.stdout, `${expected}\n`);
    });

    const wrong: [what: string, argv: string[], message: RegExp][] = [
      ['no command', [], /Usage: sam3-tracker/],
      ['an unknown command', ['segmemt', COFFEE], /unknown command 'segmemt'[^]*Did you mean segment/],
      ['no image', ['segment', ...CLICK], /missing required argument 'image'/],
      ['no prompt', ['segment', COFFEE], /Say what to segment: --point, --box or --mask\./],
      ['one coordinate', ['segment', COFFEE, '--point', '5'], /--point.*Expected x,y or x,y,label in pixels/],
      ['four coordinates', ['segment', COFFEE, '--point', '1,2,1,4'], /Expected x,y or x,y,label/],
      ['no number', ['segment', COFFEE, '--point', '1,two'], /Expected x,y or x,y,label/],
      ['an empty number', ['segment', COFFEE, '--point', '1,'], /Expected x,y or x,y,label/],
      ['an infinite number', ['segment', COFFEE, '--point', '1,Infinity'], /Expected x,y or x,y,label/],
      ['an unknown label', ['segment', COFFEE, '--point', '1,2,3'], /Expected a label of 1 .* or 0/],
      ['half a box', ['segment', COFFEE, '--box', '1,2'], /--box.*Expected x1,y1,x2,y2 in pixels/],
      ['a box upside down', ['segment', COFFEE, '--box', '9,9,1,1'], /top left corner first/],
      ['an object without prompts', ['segment', COFFEE, ...CLICK, '--object'], /--object has no --point/],
      [
        'two objects at once',
        ['segment', COFFEE, '--object', '--object', ...CLICK],
        /--object has no --point/,
      ],
      ['an unknown option', ['segment', COFFEE, '--points', '1,2'], /unknown option '--points'[^]*--point\?/],
      ['an unknown device', ['segment', COFFEE, ...CLICK, '--device', 'gpu'], /--device.*"cuda:N"/],
      [
        'an unknown dtype',
        ['segment', COFFEE, ...CLICK, '--dtype', 'int8'],
        /Allowed choices are auto, float32/,
      ],
      ['no threshold', ['segment', COFFEE, ...CLICK, '--threshold', 'x'], /--threshold.*Expected a number/],
      [
        'a negative area',
        ['segment', COFFEE, ...CLICK, '--max-hole-area=-1'],
        /Expected a number of at least 0/,
      ],
      [
        'masks for other images',
        ['segment', COFFEE, '--mask', 'a', '--mask', 'b'],
        /once for each image: 2 for 1/,
      ],
      [
        'two images of a name',
        ['segment', COFFEE, 'coffee.jpg', ...CLICK],
        /coffee\.png and coffee\.jpg would write the same files \(coffee\)/,
      ],
    ];
    for (const [what, argv, message] of wrong) {
      it(`refuses ${what}`, async () => {
        const { code, stdout, stderr } = await run(...argv);
        assert.equal(code, 2, stderr);
        assert.match(stderr, message);
        assert.equal(stdout, '');
      });
    }

    it('is an executable that sets its exit code', () => {
      const file = path.join('lib', 'cli', 'main.ts');
      const { status, stderr } = spawnSync(process.execPath, ['--import', 'tsx', file, 'segment'], {
        cwd: ROOT,
        encoding: 'utf8',
      });
      assert.equal(status, 2);
      assert.match(stderr, /missing required argument/);
    });
  });

  describe('segment', () => {
    it('writes a mask, an overlay and a JSON that agree', async () => {
      const { code, stdout, stderr } = await run('segment', COFFEE, ...CLICK);
      assert.equal(code, 0, stderr);
      assert.match(stdout, /sam3-tracker-tiny, a small demonstration model/);
      assert.match(stdout, /coffee\.png: score 0\.\d{3}, \d+ pixels -> sam3-tracker-out/);
      const out = path.join(directory, 'sam3-tracker-out');
      assert.deepEqual(readdirSync(out).sort(), ['coffee-mask.png', 'coffee-overlay.png', 'coffee.json']);
      const record = JSON.parse(readFileSync(path.join(out, 'coffee.json'), 'utf8')) as ImageRecord;
      assert.deepEqual([record.image, record.height, record.width], [COFFEE, 400, 600]);
      const [{ input_points, input_labels, input_box, masks }] = record.objects;
      assert.deepEqual([input_points, input_labels, input_box], [[[235, 215]], [1], null]);
      assert.equal(masks.length, 1);
      assert.equal(masks[0].area, mask_area(masks[0].rle));
      assert.deepEqual(masks[0].box, mask_to_box(masks[0].rle));
      const pixels = await sharp(path.join(out, 'coffee-mask.png')).extractChannel(0).raw().toBuffer();
      assert.equal(mask_iou({ data: new Uint8Array(pixels), dims: [400, 600] }, masks[0].rle), 1);
      assert.equal(pixels[215 * 600 + 235], 255);
    });

    it('prints JSON and nothing else, and writes no file, with --json', async () => {
      const { code, stdout, stderr } = await run('segment', COFFEE, ...CLICK, '--json');
      assert.equal(code, 0);
      assert.equal((JSON.parse(stdout) as ImageRecord[]).length, 1);
      assert.match(stderr, /demonstration model/);
      assert.deepEqual(readdirSync(directory), []);
      const both = await run('segment', COFFEE, ...CLICK, '--json', '--out', 'here', '--quiet');
      assert.equal((JSON.parse(both.stdout) as ImageRecord[])[0].objects[0].masks[0].file, 'coffee-mask.png');
      assert.equal(both.stderr, '');
      assert.ok(existsSync(path.join(directory, 'here', 'coffee-mask.png')));
    });

    it('answers for each object as if it were asked alone', async () => {
      const first = [...CLICK, '--point', '300,350'];
      const second = ['--box', '325,245,408,328'];
      const third = ['--point', '280,140', '--box', '170,15,410,210'];
      const [{ objects }] = await segment(COFFEE, ...first, '--object', ...second, '--object', ...third);
      assert.equal(objects.length, 3);
      for (const [index, prompt] of [first, second, third].entries()) {
        const [alone] = await segment(COFFEE, ...prompt);
        assert.deepEqual(objects[index], alone.objects[0]);
      }
    });

    it('begins an object at a second box', async () => {
      const boxes = ['--box', '75,15,480,390', '--box', '325,245,408,328', '--point', '365,290'];
      const [{ objects }] = await segment(COFFEE, ...boxes);
      assert.deepEqual(
        objects.map(({ input_box, input_points }) => [input_box, input_points]),
        [
          [[75, 15, 480, 390], []],
          [[325, 245, 408, 328], [[365, 290]]],
        ],
      );
    });

    it('gives three masks an object with --multimask, in files of their own', async () => {
      const { code } = await run(
        'segment',
        COFFEE,
        ...CLICK,
        '--object',
        ...CLICK,
        '--multimask',
        '--out',
        '.',
      );
      assert.equal(code, 0);
      const names = readdirSync(directory).filter((name) => name.includes('mask'));
      const expected = [1, 2].flatMap((object) =>
        [1, 2, 3].map((mask) => `coffee-object-${object}-mask-${mask}.png`),
      );
      assert.deepEqual(names.sort(), expected);
    });

    it('takes a mask of another size as a prompt, alone and with a click', async () => {
      const box = new Uint8Array(150 * 100);
      for (let y = 5; y < 97; y++) box.fill(255, y * 150 + 20, y * 150 + 120);
      await new RawImage(box, 150, 100, 1).save(path.join(directory, 'prompt.png'));
      const [alone] = await segment(COFFEE, '--mask', 'prompt.png');
      const [together] = await segment(COFFEE, '--mask', 'prompt.png', ...CLICK);
      const [clicked] = await segment(COFFEE, ...CLICK);
      const rle = ({ objects }: ImageRecord): ImageRecord['objects'][0]['masks'][0]['rle'] =>
        objects[0].masks[0].rle;
      const rectangle = {
        data: Uint8Array.from({ length: 240_000 }, (_, index) => {
          const [y, x] = [Math.floor(index / 600), index % 600];
          return x >= 80 && x < 480 && y >= 20 && y < 388 ? 1 : 0;
        }),
        dims: [400, 600],
      };
      assert.ok(mask_iou(rle(alone), rectangle) > 0.6, `IoU ${mask_iou(rle(alone), rectangle)}`);
      assert.notEqual(rle(together).counts, rle(clicked).counts);
    });

    it('heeds threshold, holes and sprinkles', async () => {
      const area = async (...argv: string[]): Promise<number> =>
        (await segment(COFFEE, ...CLICK, ...argv))[0].objects[0].masks[0].area;
      const plain = await area();
      assert.ok((await area('--threshold', '2')) < plain);
      assert.ok((await area('--threshold=-2')) > plain);
      assert.ok((await area('--max-hole-area', '50')) > plain);
      assert.ok((await area('--max-sprinkle-area', '9000')) < plain);
    });

    it('goes on after an image that fails, says so in one line, and ends with 1', async () => {
      const { code, stdout, stderr } = await run(
        'segment',
        'missing.png',
        COFFEE,
        ...CLICK,
        '--json',
        '--quiet',
      );
      assert.equal(code, 1);
      const [failed, done] = JSON.parse(stdout) as [FailedRecord, ImageRecord];
      const message = 'There is no image file at missing.png.';
      assert.deepEqual(failed, { image: 'missing.png', error: { code: 'FILE_NOT_FOUND', message } });
      assert.equal(done.image, COFFEE);
      assert.equal(stderr, `sam3-tracker: missing.png: ${message}\n`);
    });

    it('takes points and boxes on the edges of the image', async () => {
      const prompts = [
        '--point',
        '0,0',
        '--object',
        '--point',
        '599.9,399.9',
        '--object',
        '--box',
        '0,0,600,400',
      ];
      const [{ objects }] = await segment(COFFEE, ...prompts);
      assert.equal(objects.length, 3);
    });

    it('checks prompts for each image by itself', async () => {
      await new RawImage(new Uint8Array(90 * 80 * 3), 90, 80, 3).save(path.join(directory, 'small.png'));
      const { code, stdout, stderr } = await run(
        'segment',
        'small.png',
        COFFEE,
        ...CLICK,
        '--json',
        '--quiet',
      );
      assert.equal(code, 1);
      assert.deepEqual(
        (JSON.parse(stdout) as (ImageRecord & FailedRecord)[]).map(({ image, error }) => [
          image,
          error?.code,
        ]),
        [
          ['small.png', 'RangeError'],
          [COFFEE, undefined],
        ],
      );
      assert.match(stderr, /^sam3-tracker: small\.png: .*90x80 pixels.*\n$/);
    });

    it('ends with 1 for a model that is not there, with the stack only where it is asked for', async () => {
      const { code, stderr } = await run('segment', COFFEE, ...CLICK, '--model', 'none');
      assert.equal(code, 1);
      assert.match(stderr, /^sam3-tracker: No model "none".*\n$/);
      const debug = await run('segment', COFFEE, ...CLICK, '--model', 'none', '--debug');
      assert.equal(debug.code, 1);
      assert.match(debug.stderr, /\n +at /);
    });
  });

  describe('generate', () => {
    const FEW = ['--points-per-crop', '6', '--pred-iou-thresh', '0.5', '--stability-score-thresh', '0.7'];
    const ASTRONAUT = path.join(ROOT, 'examples', 'images', 'astronaut.png');

    it('writes annotations and an overlay, and goes on after an image that fails', async () => {
      const out = path.join(directory, 'everything');
      const { code, stdout, stderr } = await run('generate', ASTRONAUT, 'missing.png', '--out', out, ...FEW);
      assert.equal(code, 1);
      assert.match(stderr, /^sam3-tracker: missing\.png: There is no image file at missing\.png\.\n$/);
      assert.match(stdout, /astronaut\.png: \d+ masks -> /);
      const dataset = JSON.parse(readFileSync(path.join(out, 'annotations.json'), 'utf8')) as CocoDataset;
      const file_name = cocoFileNames([ASTRONAUT, 'missing.png'])[0];
      assert.ok(ASTRONAUT.endsWith(`/${file_name}`));
      assert.deepEqual(dataset.images, [{ id: 1, file_name, width: 512, height: 512 }]);
      assert.ok(dataset.annotations.length >= 3);
      for (const { segmentation, area, bbox, score, image_id } of dataset.annotations) {
        const rle = segmentation as CocoRLE;
        assert.equal(mask_area(rle), area);
        const [x1, y1, x2, y2] = mask_to_box(rle);
        assert.deepEqual(bbox, [x1, y1, x2 - x1 + 1, y2 - y1 + 1]);
        assert.ok(score! > 0.5 && image_id === 1);
      }
      const drawn = await RawImage.read(path.join(out, 'astronaut-masks.png'));
      assert.deepEqual(drawn.size, [512, 512]);
      assert.notDeepEqual(drawn.data, (await RawImage.read(ASTRONAUT)).rgb().data);
    });

    it('writes polygons', async () => {
      const out = path.join(directory, 'polygons');
      const done = await run('generate', ASTRONAUT, '--out', out, '--format', 'polygons', '--quiet', ...FEW);
      assert.deepEqual(done, { code: 0, stdout: '', stderr: '' });
      const dataset = JSON.parse(readFileSync(path.join(out, 'annotations.json'), 'utf8')) as CocoDataset;
      for (const { segmentation } of dataset.annotations)
        assert.ok((segmentation as number[][])[0].length >= 8);
    });

    for (const [what, argv, message] of [
      ['no directory', [ASTRONAUT], /required option '--out <directory>' not specified/],
      [
        'two images of a name',
        [ASTRONAUT, 'astronaut.jpg', '--out', 'x'],
        /astronaut\.png and astronaut\.jpg would write the same files/,
      ],
      ['a threshold out of range', [ASTRONAUT, '--out', 'x', '--pred-iou-thresh', '2'], /from 0 to 1/],
      ['half a point', [ASTRONAUT, '--out', 'x', '--points-per-crop', '0.5'], /integer of at least 1/],
      ['too many points', [ASTRONAUT, '--out', 'x', '--points-per-crop', '1025'], /Expected at most 1024/],
      ['too many layers', [ASTRONAUT, '--out', 'x', '--crops-n-layers', '11'], /Expected at most 7/],
    ] as const)
      it(`refuses ${what}`, async () => {
        const { code, stderr } = await run('generate', ...argv);
        assert.equal(code, 2);
        assert.match(stderr, message);
      });
  });
});
