/** Buffers that JavaScript transfers, shrinks or shares while a call reads them: the right values, or an error. */
import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RawImage, Sam3ImageProcessor } from '../../../lib';

const processor = new Sam3ImageProcessor({ size: { height: 8, width: 8 } });
/** Over 8 MiB, which are read in several turns of the event loop; and less. */
const SIZES = { large: [2000, 3000], small: [20, 30] } as const;
const MAX = { maxByteLength: 64 * 2 ** 20 };

type Buffers = Record<string, (bytes: number) => ArrayBuffer | SharedArrayBuffer>;
const buffers: Buffers = {
  fixed: (bytes) => new ArrayBuffer(bytes),
  resizable: (bytes) => new (ArrayBuffer as new (n: number, o: object) => ArrayBuffer)(bytes, MAX),
  shared: (bytes) => new SharedArrayBuffer(bytes),
  growable: (bytes) => new (SharedArrayBuffer as new (n: number, o: object) => SharedArrayBuffer)(bytes, MAX),
};

type Resizable = ArrayBuffer & { resize(bytes: number): void };
const changes: Record<string, { on: string[]; do: (buffer: ArrayBuffer | SharedArrayBuffer) => void }> = {
  nothing: { on: Object.keys(buffers), do: () => undefined },
  transfer: {
    on: ['fixed', 'resizable'],
    do: (buffer) => structuredClone(buffer, { transfer: [buffer as ArrayBuffer] }),
  },
  shrink: { on: ['resizable'], do: (buffer) => (buffer as Resizable).resize(buffer.byteLength - 1) },
  empty: { on: ['resizable'], do: (buffer) => (buffer as Resizable).resize(0) },
  grow: {
    on: ['growable'],
    do: (buffer) => (buffer as unknown as { grow(n: number): void }).grow(buffer.byteLength + 1),
  },
};

/** What is given as an image, over a buffer that holds its pixels. */
const forms: Record<
  string,
  (buffer: ArrayBuffer | SharedArrayBuffer, h: number, w: number) => RawImage | object
> = {
  RawImage: (buffer, height, width) => new RawImage(new Uint8Array(buffer as ArrayBuffer), width, height, 3),
  'an array with dims': (buffer, height, width) => ({
    data: new Uint8Array(buffer as ArrayBuffer),
    dims: [height, width, 3],
  }),
  'int32, of fixed length': (buffer, height, width) => ({
    data: new Int32Array(buffer as ArrayBuffer, 0, (height * width * 3) / 4),
    dims: [height / 4, width, 3],
  }),
};

/** Pixels of one value: any other in a result is somebody else's memory. */
const FILLED = 0x40;
let expected: Map<string, unknown>;

async function encode(image: object): Promise<unknown> {
  const { pixel_values } = await processor(image as RawImage, { do_normalize: false, do_rescale: false });
  using tensor = pixel_values;
  return tensor.tolist();
}

function fill(buffer: ArrayBuffer | SharedArrayBuffer): void {
  new Uint8Array(buffer as ArrayBuffer).fill(FILLED);
}

describe('buffers that change while an image is read', () => {
  before(async () => {
    expected = new Map();
    for (const [form, make] of Object.entries(forms))
      for (const [size, [height, width]] of Object.entries(SIZES)) {
        const buffer = new ArrayBuffer(height * width * 3);
        fill(buffer);
        expected.set(`${form} ${size}`, await encode(make(buffer, height, width)));
      }
  });

  for (const [change, { on, do: apply }] of Object.entries(changes))
    for (const kind of on)
      it(`${change}, ${kind}`, async () => {
        for (const form of Object.keys(forms))
          for (const [size, [height, width]] of Object.entries(SIZES))
            for (const turns of [0, 1, 2]) {
              const buffer = buffers[kind](height * width * 3);
              fill(buffer);
              const name = `${form}, ${size}, after ${turns} turns`;
              const result = encode(forms[form](buffer, height, width)).then(
                (value) => ({ value }),
                (error: unknown) => ({ error }),
              );
              for (let turn = 0; turn < turns; turn++) await nextTurn();
              apply(buffer);
              const { value, error } = (await result) as { value?: unknown; error?: Error };
              if (error) {
                assert(error instanceof RangeError, `${name}: ${error.stack}`);
                assert.match(error.message, /images was transferred or resized/, name);
                assert.notEqual(change, 'nothing', name);
              } else assert.deepEqual(value, expected.get(`${form} ${size}`), name);
              if (change === 'transfer' && size === 'large' && turns < 2)
                assert(error, `${name}: not noticed`);
            }
      });
});
