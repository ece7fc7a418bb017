import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import { RawImage, type RawImageData } from '../../../lib/image/raw-image';
import { reference, type Reference } from '../../support/python';

interface RenderedImage {
  name: string;
  mode: string;
  size: [number, number];
  rgb: string;
  lying: string;
  grey: string;
}

function assertBytes(actual: RawImageData, base64: string, what: string): void {
  const expected = Buffer.from(base64, 'base64');
  assert.equal(actual.length, expected.length, `${what}: length`);
  assert.equal(Buffer.compare(Buffer.from(actual), expected), 0, `${what}: other bytes than Pillow's`);
}

function hasCode(code: string, message: RegExp): (error: Error) => boolean {
  return (error) => {
    assert.equal((error as { code?: string }).code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

describe('RawImage', () => {
  let directory: string;
  let png: Buffer;
  const pixels = Uint8Array.from({ length: 5 * 4 * 3 }, (_, index) => (index * 37) % 256);

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'raw-image-'));
    png = await sharp(pixels, { raw: { width: 5, height: 4, channels: 3 } })
      .png()
      .toBuffer();
  });

  after(() => rm(directory, { recursive: true }));

  describe('compared with Pillow', () => {
    let python: Reference | undefined;
    let images: RenderedImage[];
    let files: string;

    before(async function () {
      python = reference(path.join(__dirname, '..', '..', 'support', 'image_reference.py'), this);
      files = await mkdtemp(path.join(directory, 'images-'));
      images = (await python.result('images', { directory: files })) as RenderedImage[];
    });

    it("reads every kind of image with the bytes of convert('RGB')", async () => {
      assert.ok(images.length > 35);
      const modes = new Set(images.map((image) => image.mode));
      for (const mode of ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'CMYK'])
        assert.ok(modes.has(mode), `no image of mode ${mode}`);
      for (const { name, size, rgb } of images) {
        const image = await RawImage.read(path.join(files, name));
        assert.deepEqual(image.size, size, name);
        assertBytes(image.rgb().data, rgb, name);
      }
    });

    it('leaves images as they lie where autoOrient is false', async () => {
      for (const { name, lying } of images) {
        const image = await RawImage.read(path.join(files, name), { autoOrient: false });
        assertBytes(image.rgb().data, lying, name);
      }
    });

    it("makes grey as convert('L') does", async () => {
      for (const { name, grey } of images)
        assertBytes((await RawImage.read(path.join(files, name))).rgb().grayscale().data, grey, name);
    });

    it('keeps the channels of the file', async () => {
      const channels = { '1': 1, L: 1, LA: 4, RGB: 3, CMYK: 3, RGBA: 4 } as Record<string, number>;
      for (const { name, mode } of images) {
        // A transparent colour is an alpha channel to sharp and a note beside the image to Pillow.
        if (mode === 'P' || name.includes('transparent')) continue;
        assert.equal((await RawImage.read(path.join(files, name))).channels, channels[mode], name);
      }
    });

    it('refuses truncated files of every format', async () => {
      const names = ['rgb.png', 'rgb.jpg', 'rgb_progressive.jpg', 'rgb.webp', 'palette.gif', 'rgb.tif'];
      for (const name of names) {
        const bytes = await readFile(path.join(files, name));
        for (const share of [0.3, 0.95])
          await assert.rejects(
            RawImage.read(bytes.subarray(0, Math.floor(bytes.length * share))),
            hasCode('IMAGE_INVALID', /^The image in memory is a \w+ that is corrupt, truncated or /),
            `${name} cut at ${share}`,
          );
      }
    });
  });

  describe('read', () => {
    it('takes every kind of input', async () => {
      const file = path.join(directory, 'an image.png');
      await writeFile(file, png);
      const buffer = Uint8Array.from(png).buffer;
      const inputs = {
        path: file,
        'file URL': pathToFileURL(file).href,
        URL: pathToFileURL(file),
        'data URL': `data:image/png;base64,${png.toString('base64')}`,
        Buffer: png,
        Uint8Array: new Uint8Array(buffer),
        ArrayBuffer: buffer,
        Blob: new Blob([png]),
        sharp: sharp(png),
        RawImage: new RawImage(pixels, 5, 4, 3),
      };
      for (const [kind, input] of Object.entries(inputs)) {
        const image = await RawImage.read(input);
        assert.deepEqual([...image.size, image.channels], [5, 4, 3], kind);
        assert.deepEqual(Uint8Array.from(image.data), pixels, kind);
      }
    });

    it('fetches over http, and names what a server answered', async () => {
      const server = createServer((request, response) => {
        if (request.url === '/ok.png') response.end(png);
        else response.writeHead(404).end('no');
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        assert.deepEqual((await RawImage.read(`${base}/ok.png`)).size, [5, 4]);
        await assert.rejects(
          RawImage.read(new URL(`${base}/missing.png`)),
          hasCode('DOWNLOAD_FAILED', /missing\.png could not be fetched: the server answered 404/),
        );
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
      await assert.rejects(
        RawImage.read(`${base}/ok.png`),
        hasCode('DOWNLOAD_FAILED', /ok\.png could not be fetched: .*ECONNREFUSED/),
      );
    });

    it('ends a download that is too large or takes too long', async () => {
      const server = createServer((request, response) => {
        response.write(Buffer.alloc(5000));
        if (request.url === '/large.png') response.end(Buffer.alloc(5000));
      });
      await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
      const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      try {
        await assert.rejects(
          RawImage.read(`${base}/large.png`, { limitInputBytes: 9999 }),
          hasCode('IMAGE_TOO_LARGE', /large\.png has more bytes than limitInputBytes \(9999\)/),
        );
        await assert.rejects(
          RawImage.read(`${base}/large.png`, { limitInputBytes: false }),
          hasCode('IMAGE_INVALID', /large\.png/),
        );
        const reason = new Error('no longer wanted');
        const controller = new AbortController();
        setTimeout(() => controller.abort(reason), 20);
        await assert.rejects(
          RawImage.read(`${base}/endless.png`, { signal: controller.signal }),
          (error) => error === reason,
        );
      } finally {
        server.closeAllConnections();
        await new Promise((resolve) => server.close(resolve));
      }
      await assert.rejects(
        RawImage.read(png, { signal: 5 } as never),
        /Expected an AbortSignal for signal but received 5/,
      );
    });

    it('reads a file again after it was replaced', async () => {
      const file = path.join(directory, 'replaced.png');
      await writeFile(file, png);
      await RawImage.read(file);
      await sharp(Buffer.alloc(5 * 4 * 3, 9), { raw: { width: 5, height: 4, channels: 3 } }).toFile(file);
      assert.equal((await RawImage.read(file)).data[0], 9);
    });

    it('renders a sharp instance as it is set up, and leaves it usable', async () => {
      const pipeline = sharp(png).resize(2, 3).removeAlpha();
      assert.deepEqual((await RawImage.read(pipeline)).size, [2, 3]);
      assert.deepEqual((await RawImage.read(pipeline)).size, [2, 3]);
    });

    it('refuses what is no image, each with one clear error', async () => {
      const missing = path.join(directory, 'missing.png');
      await assert.rejects(
        RawImage.read(missing),
        hasCode('FILE_NOT_FOUND', /^There is no image file at .*missing\.png\.$/),
      );
      await assert.rejects(
        RawImage.read(directory),
        hasCode('IMAGE_INVALID', /is a directory, not a file\.$/),
      );
      await assert.rejects(
        RawImage.read(Buffer.alloc(0)),
        hasCode('IMAGE_INVALID', /^The image in memory is empty\.$/),
      );
      await assert.rejects(
        RawImage.read(Buffer.from('this is text')),
        hasCode('IMAGE_INVALID', /is corrupt or of a format that is not supported: JPEG, .* are\.$/),
      );
      await assert.rejects(
        RawImage.read(sharp(Buffer.from('this is text'))),
        hasCode('IMAGE_INVALID', /^The sharp instance gave no image/),
      );
      const broken = await RawImage.read(png.subarray(0, 40)).catch((error: Error) => error);
      assert.ok((broken as Error).cause instanceof Error);
    });

    it('refuses more pixels than limitInputPixels by name', async () => {
      const huge = Buffer.from('<svg xmlns="http://www.w3.org/2000/svg" width="20000" height="20000"/>');
      await assert.rejects(
        RawImage.read(huge, { svg: true }),
        hasCode('IMAGE_TOO_LARGE', /20000 x 20000 pixels, more than limitInputPixels \(268402689\)\. Raise/),
      );
      await assert.rejects(
        RawImage.read(png, { limitInputPixels: 19 }),
        hasCode('IMAGE_TOO_LARGE', /5 x 4 pixels, more than limitInputPixels \(19\)/),
      );
      assert.deepEqual((await RawImage.read(png, { limitInputPixels: 20 })).size, [5, 4]);
      assert.deepEqual((await RawImage.read(png, { limitInputPixels: false })).size, [5, 4]);
    });

    it('checks its arguments', async () => {
      await assert.rejects(RawImage.read(5 as never), {
        name: 'TypeError',
        message: /^Expected a path, a URL, .* for input but received 5 of type number\.$/,
      });
      await assert.rejects(RawImage.read(''), { name: 'RangeError' });
      await assert.rejects(RawImage.read(png, { autoorient: true } as never), {
        name: 'TypeError',
        message: 'Unknown option "autoorient" for RawImage.read. Did you mean "autoOrient"?',
      });
      await assert.rejects(RawImage.read(png, { autoOrient: 1 } as never), { name: 'TypeError' });
      await assert.rejects(RawImage.read(png, { limitInputPixels: 0 }), { name: 'RangeError' });
      await assert.rejects(RawImage.read(png, { limitInputPixels: true } as never), { name: 'TypeError' });
    });
  });

  describe('constructor', () => {
    it('keeps the data it is given', () => {
      const image = new RawImage(pixels, 5, 4, 3);
      assert.equal(image.data, pixels);
      assert.deepEqual([image.width, image.height, image.channels], [5, 4, 3]);
    });

    it('checks its arguments', () => {
      assert.throws(() => new RawImage([1, 2, 3] as never, 1, 1, 3), { name: 'TypeError' });
      assert.throws(() => new RawImage(pixels, 0, 4, 3), { name: 'RangeError' });
      assert.throws(() => new RawImage(pixels, 5, 1.5, 3), { name: 'RangeError' });
      assert.throws(() => new RawImage(pixels, 5, 4, 5 as never), { name: 'RangeError' });
      assert.throws(() => new RawImage(pixels, 5, 5, 3), {
        name: 'RangeError',
        message: /^Expected 75 bytes \(5 x 5 x 3\) for data .* It has 60\.$/,
      });
    });
  });

  describe('fromTensor', () => {
    const tensor = { type: 'uint8' as const, dims: [2, 1, 3], data: Uint8Array.of(1, 2, 3, 4, 5, 6) };

    it('reads both layouts', () => {
      const planes = RawImage.fromTensor(tensor);
      assert.deepEqual([...planes.size, planes.channels], [3, 1, 2]);
      assert.deepEqual([...planes.data], [1, 4, 2, 5, 3, 6]);
      const pixelwise = RawImage.fromTensor(tensor, 'HWC');
      assert.deepEqual([...pixelwise.size, pixelwise.channels], [1, 2, 3]);
      assert.deepEqual([...pixelwise.data], [1, 2, 3, 4, 5, 6]);
    });

    it('checks its arguments', () => {
      assert.throws(() => RawImage.fromTensor({ ...tensor, dims: [1, 2, 1, 3] }), { name: 'RangeError' });
      assert.throws(() => RawImage.fromTensor({ ...tensor, type: 'bool' }), { name: 'TypeError' });
      assert.throws(() => RawImage.fromTensor(tensor, 'WHC' as never), { name: 'RangeError' });
      assert.throws(() => RawImage.fromTensor(null as never), { name: 'TypeError' });
    });
  });

  it('drops alpha without blending, and repeats grey', () => {
    assert.deepEqual([...new RawImage(Uint8Array.of(9, 8, 7, 0), 1, 1, 4).rgb().data], [9, 8, 7]);
    assert.deepEqual([...new RawImage(Uint8Array.of(9, 0), 1, 1, 2).rgb().data], [9, 9, 9]);
    assert.deepEqual([...new RawImage(Uint8Array.of(9), 1, 1, 1).rgb().data], [9, 9, 9]);
    assert.deepEqual([...new RawImage(Uint8Array.of(9, 0), 1, 1, 2).grayscale().data], [9]);
    const rgb = new RawImage(pixels, 5, 4, 3);
    assert.equal(rgb.rgb(), rgb);
  });

  it('saves by extension what it reads back, in every number of channels', async () => {
    for (const channels of [1, 2, 3, 4] as const) {
      const image = new RawImage(pixels.slice(0, 5 * channels), 5, 1, channels);
      const file = path.join(directory, `saved_${channels}.png`);
      await image.save(file);
      const again = await RawImage.read(file);
      assert.equal(again.channels, channels === 2 ? 4 : channels);
      assert.deepEqual(Uint8Array.from(again.rgb().data), Uint8Array.from(image.rgb().data));
      if (channels === 4) assert.deepEqual(Uint8Array.from(again.data), image.data);
    }
    const image = new RawImage(pixels, 5, 4, 3);
    await assert.rejects(
      image.save(path.join(directory, 'image.unknown')),
      hasCode('FILE_NOT_WRITTEN', /image\.unknown cannot be written: its extension is none of png, jpg/),
    );
    await mkdir(path.join(directory, 'taken.png'));
    await assert.rejects(
      image.save(path.join(directory, 'taken.png')),
      hasCode('FILE_NOT_WRITTEN', /taken\.png cannot be written: it is a directory\.$/),
    );
    await assert.rejects(
      image.save(path.join(directory, 'saved_1.png', 'image.png')),
      hasCode('FILE_INVALID', /should be a directory/),
    );
    const wide = new RawImage(new Uint8Array(70_000), 70_000, 1, 1);
    const before = await readdir(directory);
    await assert.rejects(
      wide.save(path.join(directory, 'wide.webp')),
      hasCode(
        'FILE_NOT_WRITTEN',
        /wide\.webp cannot be written: Processed image is too large for the WebP format\.$/,
      ),
    );
    assert.deepEqual(await readdir(directory), before);
    await assert.rejects(image.save(5 as never), { name: 'TypeError' });
  });

  it('has plain bytes, over the memory that it was given', () => {
    const bytes = Buffer.from([1, 2, 3]);
    const { data } = new RawImage(bytes, 1, 1, 3);
    assert.equal(Buffer.isBuffer(data), false);
    data.slice()[0] = 9;
    assert.equal(data[0], 1);
    bytes[0] = 7;
    assert.equal(data[0], 7);
  });
});
