/** RawImage's methods that make another image: transformers.js' names, Pillow's pixels. */
import assert from 'node:assert/strict';
import path from 'node:path';
import sharp from 'sharp';
import { RawImage, type Resample } from '../../../lib/image/raw-image';
import { reference, type Reference } from '../../support/python';

type Edited = { size: [number, number]; channels: number; pixels: string };

const [WIDTH, HEIGHT] = [31, 17];

/** A smooth image, so that resizing has something to average; alpha is 255 where `opaque`. */
function makeImage(channels: 1 | 2 | 3 | 4, opaque = false): RawImage {
  const data = Uint8Array.from({ length: WIDTH * HEIGHT * channels }, (_, index) => {
    const channel = index % channels;
    const pixel = (index - channel) / channels;
    if (opaque && channels % 2 === 0 && channel === channels - 1) return 255;
    return 128 + 100 * Math.sin((pixel % WIDTH) / 5 + channel) * Math.cos(Math.floor(pixel / WIDTH) / 4);
  });
  return new RawImage(data, WIDTH, HEIGHT, channels);
}

describe('RawImage that makes another image', () => {
  describe('compared with Pillow', () => {
    let python: Reference;
    before(function () {
      python = reference(path.join(__dirname, '..', '..', 'support', 'image_grid_reference.py'), this);
    });

    async function expected(image: RawImage, method: string, args: unknown[]): Promise<Edited> {
      const pixels = Buffer.from(image.data).toString('base64');
      const dims = [image.height, image.width, image.channels];
      return (await python.result('edit', { pixels, dims, method, args })) as Edited;
    }

    it('crops, pads, converts and takes a mask', async () => {
      const mask = new RawImage(new Uint8Array(WIDTH * HEIGHT).fill(77), WIDTH, HEIGHT, 1);
      const edits: [
        method: string,
        args: number[],
        edit: (image: RawImage) => Promise<RawImage> | RawImage,
      ][] = [
        ...[
          [0, 0, 5, 5],
          [3, 2, 3, 2],
          [-4, -4, 8, 9],
          [20, 10, 99, 99],
        ].map((box): (typeof edits)[0] => [
          'crop',
          box,
          (image) => image.crop(box as [number, number, number, number]),
        ]),
        ...[
          [1, 2, 3, 4],
          [0, 0, 0, 6],
        ].map((widths): (typeof edits)[0] => [
          'pad',
          widths,
          (image) => image.pad(widths as [number, number, number, number]),
        ]),
        ...([1, 3, 4] as const).map((count): (typeof edits)[0] => [
          'convert',
          [count],
          (image) => image.convert(count),
        ]),
        ['putAlpha', [77], (image) => image.putAlpha(mask)],
      ];
      let cases = 0;
      for (const channels of [1, 2, 3, 4] as const)
        for (const [method, args, edit] of edits) {
          // Pillow makes grey with alpha of it, transformers.js an error.
          if (method === 'putAlpha' && channels < 3) continue;
          const image = makeImage(channels);
          const result = await edit(image);
          const wanted = await expected(image, method, args);
          const name = `${method}(${args.join()}) of ${channels} channels`;
          assert.deepEqual([result.size, result.channels], [wanted.size, wanted.channels], name);
          assert.ok(Buffer.from(wanted.pixels, 'base64').equals(Buffer.from(result.data)), name);
          cases++;
        }
      process.stdout.write(`        ${cases} cases, all equal\n`);
    });

    it("makes images smaller as Pillow's filters do, to a few levels", async () => {
      const resamples: Resample[] = ['nearest', 'bilinear', 'bicubic', 'lanczos'];
      let [most, total, count] = [0, 0, 0];
      for (const channels of [1, 2, 3, 4] as const)
        for (const [width, height] of [
          [15, 9],
          [20, 17],
          [10, 4],
        ])
          for (const resample of resamples) {
            const image = makeImage(channels, true);
            const result = await image.resize(width, height, { resample });
            const wanted = await expected(image, 'resize', [width, height, resample]);
            assert.deepEqual([result.size, result.channels], [[width, height], channels]);
            // Nearest takes another of two neighbours where a pixel lies between them.
            if (resample === 'nearest') continue;
            const pixels = Buffer.from(wanted.pixels, 'base64');
            for (const [index, value] of pixels.entries()) {
              const difference = Math.abs(value - result.data[index]);
              most = Math.max(most, difference);
              total += difference;
              count++;
            }
          }
      process.stdout.write(`        at most ${most} levels, ${(total / count).toFixed(2)} on average\n`);
      assert.ok(most <= 4 && total / count < 0.5, `${most} levels, ${total / count} on average`);
    });
  });

  it('keeps the ratio of the sides where one is left out, and takes the numbers of Pillow', async () => {
    const image = makeImage(3);
    for (const none of [null, -1, undefined as never]) {
      assert.deepEqual((await image.resize(62, none)).size, [62, 34]);
      assert.deepEqual((await image.resize(none, 34)).size, [62, 34]);
    }
    assert.equal(await image.resize(null, null), image);
    assert.equal(await image.resize(WIDTH, HEIGHT), image);
    for (const [number, name] of ['nearest', 'lanczos', 'bilinear', 'bicubic', 'box', 'hamming'].entries())
      assert.deepEqual(
        (await image.resize(9, 7, { resample: number as Resample })).data,
        (await image.resize(9, 7, { resample: name as Resample })).data,
      );
  });

  it('crops the centre, with black around what is missing', async () => {
    const image = new RawImage(Uint8Array.of(1, 2, 3, 4, 5, 6), 3, 2, 1);
    assert.deepEqual([...(await image.center_crop(1, 2)).data], [2, 5]);
    assert.deepEqual([...(await image.center_crop(5, 1)).data], [0, 1, 2, 3, 0]);
    assert.deepEqual([...(await image.center_crop(2, 4)).data], [0, 0, 1, 2, 4, 5, 0, 0]);
    assert.equal(await image.center_crop(3, 2), image);
  });

  it('goes to tensors, copies and Blobs and back', async () => {
    for (const channels of [1, 2, 3, 4] as const) {
      const image = makeImage(channels, true);
      for (const format of ['CHW', 'HWC'] as const) {
        const tensor = image.toTensor(format);
        assert.deepEqual(
          tensor.dims,
          format === 'CHW' ? [channels, HEIGHT, WIDTH] : [HEIGHT, WIDTH, channels],
        );
        assert.deepEqual(RawImage.fromTensor(tensor as never, format), image);
      }
      const copy = image.clone();
      assert.deepEqual(copy, image);
      copy.data[0] ^= 1;
      assert.notEqual(copy.data[0], image.data[0]);
      const blob = await image.toBlob();
      assert.equal(blob.type, 'image/png');
      assert.deepEqual(
        Buffer.from((await RawImage.fromBlob(blob)).rgb().data),
        Buffer.from(image.rgb().data),
      );
      const webp = await RawImage.fromBlob(await image.toBlob('image/webp', 0.9));
      assert.deepEqual(webp.size, image.size);
    }
    const clear = new RawImage(Uint8Array.of(200, 200, 200, 0), 1, 1, 4);
    assert.deepEqual([...(await RawImage.fromBlob(await clear.toBlob('image/jpeg'))).data], [0, 0, 0]);
    const url = `data:image/png;base64,${(
      await sharp(Buffer.alloc(3), { raw: { width: 1, height: 1, channels: 3 } })
        .png()
        .toBuffer()
    ).toString('base64')}`;
    assert.deepEqual((await RawImage.fromURL(url)).size, [1, 1]);
    assert.deepEqual((await RawImage.fromURL(new URL(url))).size, [1, 1]);
  });

  it('checks its arguments', async () => {
    const image = makeImage(3);
    const refusals: [() => unknown, string][] = [
      [() => image.crop([0, 0, 1] as never), 'TypeError'],
      [() => image.crop([0, 0, 1, 1.5]), 'RangeError'],
      [() => image.crop([5, 5, 4, 9]), 'RangeError'],
      [() => image.crop([WIDTH, 0, 99, 9]), 'RangeError'],
      [() => image.pad(4 as never), 'TypeError'],
      [() => image.center_crop(0, 4), 'RangeError'],
      [() => image.resize(0, 4), 'RangeError'],
      [() => image.pad([1e9, 1e9, 1e9, 1e9]), 'RangeError'],
      [() => image.center_crop(1e6, 1e6), 'RangeError'],
      [() => image.resize(1e6, 1e6), 'RangeError'],
      [() => image.resize(1e9, null), 'RangeError'],
      [() => image.resize('9' as never, 4), 'TypeError'],
      [() => image.resize(9, 4, { resample: 'cubic' as never }), 'RangeError'],
      [() => image.resize(9, 4, { resample: 6 as never }), 'RangeError'],
      [() => image.resize(9, 4, { method: 2 } as never), 'TypeError'],
      [async () => await Promise.resolve(image.convert(2 as never)), 'RangeError'],
      [async () => await Promise.resolve(image.putAlpha(image)), 'RangeError'],
      [async () => await Promise.resolve(image.putAlpha(5 as never)), 'TypeError'],
      [async () => await Promise.resolve(image.toTensor('WHC' as never)), 'RangeError'],
      [() => image.toBlob('image/gif' as never), 'RangeError'],
      [() => image.toBlob('image/jpeg', 90), 'RangeError'],
      [() => RawImage.fromBlob('x' as never), 'TypeError'],
      [() => RawImage.fromURL(5 as never), 'TypeError'],
    ];
    for (const [call, name] of refusals)
      await assert.rejects(
        call as () => Promise<unknown>,
        { name, message: /^(Expected|Unknown) / },
        String(call),
      );
  });
});
