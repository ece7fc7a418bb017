/** Every form of image that Pillow, sharp and hand-written files give, against what Pillow makes of it. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import sharp from 'sharp';
import { RawImage } from '../../../lib/image/raw-image';
import { reference, type Reference } from '../../support/python';

type Answer = { name: string; error?: string; mode?: string; rgb?: string; opened?: string };

/** How an image compares with Pillow's: 'equal' (of an AVIF: within a level), 'different', or the code of our error. */
async function compare(file: string, expected: string, autoOrient = true): Promise<string> {
  try {
    const { data } = (await RawImage.read(file, { autoOrient })).rgb();
    const wanted = Buffer.from(expected, 'base64');
    const most = file.endsWith('.avif') ? 1 : 0;
    const isEqual =
      wanted.length === data.length && wanted.every((value, at) => Math.abs(value - data[at]) <= most);
    return isEqual ? 'equal' : 'different';
  } catch (error) {
    return String((error as { code?: string }).code ?? error);
  }
}

/** Counts, prints and asserts: what is not equal has to be among the known differences (docs/differences.md), by name. */
function assertEqual(title: string, results: Map<string, string>, known: [RegExp, string][]): void {
  const others = [...results].filter(([, result]) => result !== 'equal');
  process.stdout.write(`      ${title}: ${results.size} cases, ${results.size - others.length} equal\n`);
  const unknown = others.filter(
    ([name, result]) => !known.some(([pattern, expected]) => pattern.test(name) && result === expected),
  );
  assert.deepEqual(unknown, []);
}

describe('images of every form, compared with Pillow', function () {
  this.timeout(60_000);
  let python: Reference;
  let directory: string;

  before(async function () {
    python = reference(path.join(__dirname, '..', '..', 'support', 'image_grid_reference.py'), this);
    directory = await mkdtemp(path.join(tmpdir(), 'image-grid-'));
  });
  after(() => directory && rm(directory, { recursive: true }));

  it('reads channels, depths and colour spaces as convert("RGB"), or refuses them', async () => {
    const answers = (await python.result('write', { directory })) as Answer[];
    const results = new Map<string, string>();
    const unread: string[] = [];
    for (const { name, error, rgb } of answers) {
      if (error === undefined) results.set(name, await compare(path.join(directory, name), rgb!));
      else unread.push(await compare(path.join(directory, name), ''));
    }
    // What Pillow cannot read gives an image or an error of ours, never one of another kind.
    assert.deepEqual(
      unread.filter((result) => !['different', 'IMAGE_INVALID'].includes(result)),
      [],
    );
    assert.ok(results.size > 300);
    assertEqual('forms', results, [
      [/^tiff_.._8_|LAB/, 'IMAGE_INVALID'],
      [/^tiff_.._6_|YCbCr\.(?:raw|tiff_lzw|packbits|tiff_adobe_deflate)/, 'IMAGE_INVALID'],
      [/_12-|zstd/, 'IMAGE_INVALID'],
      [/16_16_16_16-1/, 'different'],
      // Pillow does not invert what is white at 0 in 16 bits.
      [/^tiff_II_0_1_1_16-/, 'different'],
      // Pillow takes the bytes of a compressed big-endian file for little-endian ones, and back.
      [/^tiff_MM_\d_[23]_1_(?:16|32)-_deflate/, 'different'],
    ]);
  });

  it('finds the orientation of exif_transpose, and leaves images as Image.open gives them', async () => {
    const folder = await mkdtemp(path.join(directory, 'oriented-'));
    const answers = (await python.result('oriented', { directory: folder })) as Answer[];
    const results = new Map<string, string>();
    for (const { name, error, rgb, opened } of answers) {
      if (error !== undefined) continue;
      results.set(name, await compare(path.join(folder, name), rgb!));
      results.set(`${name} as opened`, await compare(path.join(folder, name), opened!, false));
    }
    assert.ok(results.size > 800);
    assertEqual('orientations', results, []);
  });

  it('renders sharp instances as Pillow reads what they write', async () => {
    const [width, height] = [13, 7];
    const values = (count: number): number[] =>
      Array.from({ length: count }, (_, index) => (index * 37) % 256);
    const inputs: Record<string, () => sharp.Sharp> = {};
    for (const channels of [1, 2, 3, 4] as const) {
      const raw = { width, height, channels };
      const bytes = values(width * height * channels);
      inputs[`uint8_${channels}`] = () => sharp(Uint8Array.from(bytes), { raw });
      inputs[`uint16_${channels}`] = () =>
        sharp(
          Uint16Array.from(bytes, (value) => value * 250 + 40),
          { raw },
        );
    }
    const cmyk = await inputs.uint8_3().toColourspace('cmyk').jpeg({ quality: 100 }).toBuffer();
    inputs.cmyk_jpeg = () => sharp(cmyk, { ignoreIcc: true });
    const band = { raw: { width, height, channels: 1 as const } };
    const extra = Buffer.from(values(width * height));
    // What the pipeline does, the format that Pillow is given, and what is left out of it for a format to hold.
    const space = (name: string): [(image: sharp.Sharp) => sharp.Sharp, 'png'] => [
      (image) => image.toColourspace(name),
      'png',
    ];
    const pipelines: Record<string, [(image: sharp.Sharp) => sharp.Sharp, 'png' | 'tiff', boolean?]> = {
      plain: [(image) => image, 'png'],
      greyscale: [(image) => image.greyscale(), 'png'],
      ensureAlpha: [(image) => image.ensureAlpha(0.4), 'png'],
      removeAlpha: [(image) => image.removeAlpha(), 'png'],
      extractChannel: [(image) => image.extractChannel(0), 'png'],
      negate: [(image) => image.negate(), 'png'],
      resize: [(image) => image.resize(9, 5), 'png'],
      'b-w': space('b-w'),
      grey16: space('grey16'),
      rgb16: space('rgb16'),
      cmyk: [(image) => image.toColourspace('cmyk'), 'tiff'],
      pipelineCmyk: [(image) => image.pipelineColourspace('cmyk').toColourspace('cmyk'), 'tiff'],
      // Pillow has no such spaces, and no room for five channels: the image is what it is without them.
      ...Object.fromEntries(
        ['lab', 'labs', 'xyz', 'lch', 'hsv', 'scrgb', 'yxy', 'cmc'].map((name) => [
          name,
          [space(name)[0], 'png', true],
        ]),
      ),
      join: [(image) => image.joinChannel(extra, band).joinChannel(extra, band), 'png', true],
    };
    const ours = new Map<string, RawImage>();
    const files: string[] = [];
    for (const [input, open] of Object.entries(inputs))
      for (const [pipeline, [change, format, isPlain]] of Object.entries(pipelines)) {
        if (pipeline === 'join' && input !== 'uint8_3') continue;
        const file = path.join(directory, `sharp_${input}_${pipeline}.${format}`);
        // Pillow reads no CMYK with alpha.
        const written = format === 'tiff' ? open().removeAlpha() : open();
        await (isPlain ? written : change(written)).toFormat(format, { compression: 'none' }).toFile(file);
        files.push(file);
        ours.set(path.basename(file), await RawImage.read(change(open())));
      }
    const answers = (await python.result('read_all', { files })) as Answer[];
    const results = new Map<string, string>();
    for (const { name, error, rgb } of answers) {
      assert.equal(error, undefined, name);
      const isEqual = Buffer.from(rgb!, 'base64').equals(Buffer.from(ours.get(name)!.rgb().data));
      results.set(name, isEqual ? 'equal' : 'different');
    }
    assertEqual('sharp instances', results, []);
    const shade = await RawImage.read(
      sharp(new Uint16Array(4).fill(4000), { raw: { width: 2, height: 2, channels: 1 } }).toColourspace(
        'grey16',
      ),
    );
    assert.deepEqual(new Set(shade.data), new Set([15]));
  });
});
