/** Pixels whose buffer is transferred or resized: an error, or the pixels as they were; never zeros. */
import assert from 'node:assert/strict';
import sharp from 'sharp';
import { RawImage } from '../../../lib/image/raw-image';
import { draw_overlay } from '../../../lib/masks/overlay';
import { cut_out } from '../../../lib/masks/pictures';
import { Tensor } from '../../../lib/tensor';

const SIDE = 64;
const LOST = { name: 'RangeError', message: /was transferred or resized/ };
const transfer = ({ buffer }: Uint8Array<ArrayBuffer>): unknown =>
  structuredClone(buffer, { transfer: [buffer] });
const image = (channels: 1 | 2 | 3 | 4): RawImage & { data: Uint8Array<ArrayBuffer> } =>
  new RawImage(new Uint8Array(SIDE * SIDE * channels).fill(200), SIDE, SIDE, channels) as never;
const mask = () => ({ data: new Uint8Array(SIDE * SIDE).fill(1), dims: [SIDE, SIDE] });

describe('pixels whose buffer was transferred', () => {
  const calls: [string, (lost: RawImage) => unknown][] = [
    ['rgb', (lost) => lost.rgb()],
    ['rgba', (lost) => lost.rgba()],
    ['grayscale', (lost) => lost.grayscale()],
    ['split', (lost) => lost.split()],
    ['clone', (lost) => lost.clone()],
    ['toTensor', (lost) => lost.toTensor()],
    ['toTensor, HWC', (lost) => lost.toTensor('HWC')],
    ['crop', (lost) => lost.crop([0, 0, 9, 9])],
    ['resize', (lost) => lost.resize(9, 9)],
    ['pad', (lost) => lost.pad([1, 1, 1, 1])],
    ['toBlob', (lost) => lost.toBlob()],
    ['toSharp', (lost) => lost.toSharp()],
    ['putAlpha', (lost) => image(3).putAlpha(lost.channels === 1 ? lost : lost.grayscale())],
    ['cut_out', (lost) => cut_out(lost, mask())],
    ['draw_overlay', (lost) => draw_overlay(lost, mask())],
  ];
  for (const [name, call] of calls)
    it(`are refused by ${name}`, async () => {
      for (const channels of [1, 2, 3, 4] as const) {
        const lost = image(channels);
        transfer(lost.data);
        await assert.rejects(async () => {
          await call(lost);
        }, LOST);
      }
    });

  it('are refused by the overlay that loses its masks between two of them', async () => {
    const [one, other] = [mask(), mask()];
    const drawing = draw_overlay(image(3), [one, other]);
    transfer(one.data);
    transfer(other.data);
    await assert.rejects(drawing, LOST);
  });

  it('are encoded and drawn as they were when the call was made', async () => {
    const encoded = image(3);
    const blob = encoded.toBlob();
    const pipeline = encoded.toSharp();
    transfer(encoded.data);
    assert.deepEqual((await RawImage.read(await blob)).data, new Uint8Array(SIDE * SIDE * 3).fill(200));
    assert.deepEqual(
      await sharp(await pipeline.png().toBuffer())
        .raw()
        .toBuffer(),
      Buffer.alloc(SIDE * SIDE * 3, 200),
    );
  });

  it('of a tensor are still its elements', () => {
    const tensor = new Tensor('uint8', new Uint8Array(9).fill(200), [9]);
    const { data } = tensor;
    // Node before 21 copies such a buffer and leaves it where it is.
    const { buffer } = data as Uint8Array<ArrayBuffer> & { buffer: { transfer?: () => void } };
    buffer.transfer?.();
    assert.deepEqual([...tensor.data], new Array(9).fill(200));
  });
});
