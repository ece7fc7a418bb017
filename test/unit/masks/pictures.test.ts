/** Masks as PNGs and cut-outs; Pillow is the judge. */
import assert from 'node:assert/strict';
import {
  RawImage,
  RLEMask,
  cut_out,
  mask_to_box,
  mask_to_png,
  mask_to_rle,
  coco_encode_rle,
} from '../../../lib/index';
import type { Mask } from '../../../lib/index';
import { reference, type Reference } from '../../support/python';
import { randomNumbers } from '../../support/random';
import path from 'node:path';

const [WIDTH, HEIGHT] = [13, 7];
const MODES = ['L', 'LA', 'RGB', 'RGBA'];

describe('masks as pictures', () => {
  const random = randomNumbers(5);
  const mask: Mask = {
    type: 'bool',
    data: Uint8Array.from({ length: WIDTH * HEIGHT }, (_, at) =>
      Number(at > 30 && at < 70 && random() < 0.7),
    ),
    dims: [HEIGHT, WIDTH],
  };
  const empty: Mask = { ...mask, data: new Uint8Array(WIDTH * HEIGHT) };
  const rle = mask_to_rle(mask);
  const imageOf = (channels: number): RawImage =>
    new RawImage(
      Uint8Array.from({ length: WIDTH * HEIGHT * channels }, () => Math.floor(random() * 256)),
      WIDTH,
      HEIGHT,
      channels as 1,
    );
  let python: Reference;
  before(function () {
    python = reference(path.join(__dirname, '..', '..', 'support', 'annotation_reference.py'), this);
  });

  it('are grey PNGs, whatever holds the mask', async () => {
    const data = [...mask.data].map((inside) => 255 * inside);
    const forms = {
      mask,
      rle,
      coco: coco_encode_rle(rle),
      packed: new RLEMask(rle.size, Uint32Array.from(rle.counts)),
    };
    for (const [name, form] of Object.entries({
      ...forms,
      grey: { ...mask, type: 'uint8', data: Uint8Array.from(data) },
    })) {
      const png = (await mask_to_png(form)).toString('base64');
      assert.deepEqual(
        await python.result('picture', { png }),
        { mode: 'L', size: [WIDTH, HEIGHT], data },
        name,
      );
    }
    const png = (await mask_to_png(empty)).toString('base64');
    assert.deepEqual(await python.result('picture', { png }), {
      mode: 'L',
      size: [WIDTH, HEIGHT],
      data: [...empty.data],
    });
  });

  for (const crop of [false, true])
    it(`are cut out of images with any channels${crop ? ', cropped to their box' : ''}`, async () => {
      const [x1, y1, x2, y2] = mask_to_box(mask);
      for (const [index, mode] of MODES.entries()) {
        const image = imageOf(index + 1);
        const before = image.data.slice();
        const out = cut_out(image, index % 2 ? rle : mask, { crop });
        assert.deepEqual(out.size, crop ? [x2 - x1 + 1, y2 - y1 + 1] : [WIDTH, HEIGHT]);
        const expected = await python.result('cut_out', {
          pixels: [...image.data],
          mode,
          mask: [...mask.data],
          size: [WIDTH, HEIGHT],
          box: crop ? [x1, y1, x2 + 1, y2 + 1] : null,
        });
        assert.deepEqual([...out.data], expected, mode);
        assert.deepEqual(image.data, before);
      }
    });

  it('leave nothing of an image where the mask is empty, and have no box then', () => {
    assert.ok(cut_out(imageOf(3), empty).data.every((value) => value === 0));
    assert.throws(() => cut_out(imageOf(3), empty, { crop: true }), {
      name: 'RangeError',
      message: /not empty/,
    });
  });

  it('refuse what is no mask, and masks of other images', async () => {
    const small: Mask = { type: 'bool', data: new Uint8Array(6), dims: [2, 3] };
    const cut = cut_out as (...args: unknown[]) => unknown;
    assert.throws(() => cut(imageOf(3), small), { name: 'RangeError', message: /image's size \(7 x 13\)/ });
    assert.throws(() => cut(mask, mask), { name: 'TypeError', message: /a RawImage/ });
    assert.throws(() => cut(imageOf(3), mask, { box: true }), {
      name: 'TypeError',
      message: /Unknown option "box"/,
    });
    assert.throws(() => cut(imageOf(3), null), TypeError);
    await assert.rejects(mask_to_png(null as unknown as Mask), TypeError);
    await assert.rejects(mask_to_png({ ...mask, type: 'float32' }), TypeError);
    await assert.rejects(mask_to_png({ size: [2, 2], counts: [3] }), RangeError);
    await assert.rejects(mask_to_png({ ...mask, dims: [1, HEIGHT, WIDTH] }), RangeError);
  });
});
