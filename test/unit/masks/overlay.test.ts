import assert from 'node:assert/strict';
import { drawOverlay } from '../../../lib/index';
import type { Mask } from '../../../lib/masks/types';
import { draw_overlay, type OverlayOptions } from '../../../lib/masks/overlay';
import { RawImage } from '../../../lib/image/raw-image';

const WIDTH = 60;
const HEIGHT = 40;

/** A grey image. */
function makeImage(channels: 1 | 2 | 3 | 4 = 3): RawImage {
  return new RawImage(new Uint8Array(WIDTH * HEIGHT * channels).fill(100), WIDTH, HEIGHT, channels);
}

/** A mask that is 1 in the rectangle, ends excluded. */
function rectangle(x1: number, y1: number, x2: number, y2: number): Mask {
  const data = new Uint8Array(WIDTH * HEIGHT);
  for (let y = y1; y < y2; y++) data.fill(1, y * WIDTH + x1, y * WIDTH + x2);
  return { type: 'bool', data, dims: [HEIGHT, WIDTH] };
}

function pixel(image: RawImage, x: number, y: number): number[] {
  const start = (y * image.width + x) * 3;
  return [...image.data.subarray(start, start + 3)];
}

describe('draw_overlay', () => {
  it('has its old spelling', () => assert.equal(drawOverlay, draw_overlay));

  it('tints the inside, outlines the edge and leaves the rest', async () => {
    const mask = rectangle(10, 10, 30, 25);
    const result = await draw_overlay(makeImage(), mask, {
      colors: [[200, 0, 0]],
      opacity: 0.5,
      contourWidth: 2,
    });
    assert.deepEqual([result.width, result.height, result.channels], [WIDTH, HEIGHT, 3]);
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        const outside = x < 10 || x >= 30 || y < 10 || y >= 25;
        const inner = x >= 12 && x < 28 && y >= 12 && y < 23;
        const expected = outside ? [100, 100, 100] : inner ? [150, 50, 50] : [200, 0, 0];
        pixel(result, x, y).forEach((value, channel) => {
          assert.ok(Math.abs(value - expected[channel]) <= 1, `x ${x}, y ${y}: ${value} in ${channel}`);
        });
      }
    }
  });

  it('outlines what covers more than a part, without tinting it', async () => {
    const whole = rectangle(0, 0, WIDTH, HEIGHT);
    const nearly = rectangle(1, 1, WIDTH, HEIGHT);
    const small = rectangle(10, 10, 30, 25);
    const options: OverlayOptions = {
      colors: [[200, 0, 0]],
      opacity: 0.5,
      contourWidth: 1,
      maxTintedPart: 0.9,
    };
    const result = await draw_overlay(makeImage(), [whole, nearly, small], options);
    assert.deepEqual(pixel(result, 40, 20), [100, 100, 100]);
    assert.deepEqual(
      [pixel(result, 0, 20), pixel(result, 1, 20)],
      [
        [200, 0, 0],
        [200, 0, 0],
      ],
    );
    assert.equal(pixel(result, 20, 15)[0], 150);
    const tinted = await draw_overlay(makeImage(), whole, { ...options, maxTintedPart: undefined });
    assert.equal(pixel(tinted, 40, 20)[0], 150);
    await assert.rejects(draw_overlay(makeImage(), whole, { maxTintedPart: 2 }), RangeError);
  });

  it('paints larger masks first, each in its own colour, from tensors of any rank', async () => {
    const small = rectangle(20, 15, 30, 25);
    const large = rectangle(5, 5, 55, 35);
    const data = new Uint8Array(2 * WIDTH * HEIGHT);
    data.set(small.data);
    data.set(large.data, WIDTH * HEIGHT);
    const options: OverlayOptions = {
      colors: [
        [255, 0, 0],
        [0, 0, 255],
      ],
      opacity: 1,
    };
    for (const masks of [{ data, dims: [1, 2, HEIGHT, WIDTH] }, [small, large]]) {
      const result = await draw_overlay(makeImage(), masks, options);
      assert.deepEqual(pixel(result, 25, 20), [255, 0, 0]);
      assert.deepEqual(pixel(result, 10, 10), [0, 0, 255]);
    }
  });

  it('draws clicks by label and boxes', async () => {
    const result = await draw_overlay(makeImage(), [], {
      points: [
        [10, 10],
        [30, 10],
        [50, 10],
      ],
      labels: [1, 0, -10],
      boxes: [[5, 20, 50, 35]],
    });
    const [green, red, none] = [10, 30, 50].map((x) => pixel(result, x, 10));
    assert.ok(green[1] > 150 && green[0] < 50, `positive: ${green.join()}`);
    assert.ok(red[0] > 150 && red[1] < 50, `negative: ${red.join()}`);
    assert.deepEqual(none, [100, 100, 100]);
    assert.notDeepEqual(pixel(result, 25, 20), [100, 100, 100]);
    assert.deepEqual(pixel(result, 25, 28), [100, 100, 100]);
  });

  it('takes grey images and images with alpha, and leaves the image as it is', async () => {
    for (const channels of [1, 2, 4] as const) {
      const image = makeImage(channels);
      const result = await draw_overlay(image, rectangle(0, 0, WIDTH, HEIGHT), {
        contourWidth: 0,
        opacity: 0,
      });
      assert.equal(result.channels, 3);
      assert.deepEqual(pixel(result, 30, 20), [100, 100, 100]);
      assert.ok(image.data.every((value) => value === 100));
    }
  });

  it('draws on an image of one pixel', async () => {
    const image = new RawImage(Uint8Array.of(0, 0, 0), 1, 1, 3);
    const mask: Mask = { type: 'bool', data: Uint8Array.of(1), dims: [1, 1] };
    assert.deepEqual(pixel(await draw_overlay(image, mask, { colors: [[9, 8, 7]] }), 0, 0), [9, 8, 7]);
  });

  it('refuses what it cannot draw', async () => {
    const mask = rectangle(0, 0, 5, 5);
    const drawn = (options: object): Promise<RawImage> => draw_overlay(makeImage(), mask, options);
    await assert.rejects(drawn({ colour: [] }), /^TypeError: Unknown option "colour".*"colors"/);
    await assert.rejects(drawn({ opacity: 2 }), /^RangeError: .*opacity/);
    await assert.rejects(drawn({ contourWidth: 1.5 }), /^RangeError: .*contourWidth/);
    await assert.rejects(drawn({ colors: [[1, 2, 300]] }), /^RangeError: .*colors/);
    await assert.rejects(drawn({ colors: [] }), /^RangeError: Expected at least one colour/);
    await assert.rejects(drawn({ points: [[1, 2, 3]] }), /^TypeError: Expected \[x, y\] for points\[0\]/);
    await assert.rejects(drawn({ points: [[1, NaN]] }), /^RangeError: .*points\[0\]\[1\]/);
    await assert.rejects(drawn({ points: [[1, 2]], labels: [] }), /^RangeError: Expected 1 labels/);
    await assert.rejects(drawn({ boxes: [[1, 2, 3]] }), /^TypeError: .*boxes\[0\]/);
    const other: Mask = { type: 'bool', data: new Uint8Array(6), dims: [2, 3] };
    await assert.rejects(draw_overlay(makeImage(), other), /^RangeError: .*image's size \(40 x 60\)/);
    await assert.rejects(draw_overlay({} as RawImage, mask), /^TypeError: Expected a RawImage for image/);
  });
});
