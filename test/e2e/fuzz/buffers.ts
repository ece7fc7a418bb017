/** Buffers that are transferred, shrunk, grown or written to before, during and after the calls that read them. */
import { rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import sharp from 'sharp';
import {
  draw_overlay,
  mask_area,
  mask_iou,
  mask_merge,
  mask_planes,
  mask_to_box,
  mask_to_png,
  mask_to_polygons,
} from '../../../lib';
import { mask_to_rle, cut_out, RawImage, RLEMask, rle_to_mask, Tensor } from '../../../lib';
import { Dice, expect, type Attack } from './attack';
import { environment } from './environment';

type Numbers =
  Uint8Array | Uint16Array | Int32Array | Uint32Array | Float32Array | Float64Array | BigInt64Array;
type ArrayKind = new (buffer: ArrayBufferLike, offset?: number, length?: number) => Numbers;

/** What the elements are at first, and what some attacks write over them: nothing else may be seen in a result. */
const BEFORE = 200;
const AFTER = 90;

/** Elements that a call gave back, how many there should be, and what an element of the input becomes in them. */
interface Seen {
  values: ArrayLike<number | bigint>;
  count: number;
  becomes?: (value: number) => number;
}

interface Target {
  kind: ArrayKind;
  length: number;
  call: (array: never) => Promise<Seen> | Seen;
  /** Elements other than BEFORE. */
  content?: Uint8Array;
}

const target = <T extends Numbers>(
  kind: new (length: number) => T,
  length: number,
  call: (array: T) => Promise<Seen> | Seen,
  content?: Uint8Array,
): Target => ({ kind: kind as unknown as ArrayKind, length, call, content });

/** As the bundled model's image processor: rescaled, mean and deviation 0.5. */
const normalized = (value: number): number => (value / 255 - 0.5) / 0.5;
const H = 40;
const W = 56;
const AREA = H * W;

async function pixelsOf(images: unknown, count = 1): Promise<Seen> {
  const { processor } = await environment();
  const { pixel_values } = await processor({ images: images as RawImage });
  return { values: pixel_values.data, count: count * 3 * 192 * 192, becomes: normalized };
}

const ofImage = ({ data }: RawImage, channels: number): Seen => ({ values: data, count: AREA * channels });

async function decoded(image: sharp.Sharp | Promise<Buffer>, channels: number): Promise<Seen> {
  const { data } = await ('raw' in image ? image : sharp(await image))
    .raw()
    .toBuffer({ resolveWithObject: true });
  return { values: data, count: AREA * channels };
}

const processed = async (prompt: object, name: string, count: number, scale: number): Promise<Seen> => {
  const { processor } = await environment();
  const inputs = (await processor({
    original_sizes: [[192 / scale, 192 / scale]],
    ...prompt,
  })) as unknown as Record<string, Tensor>;
  return { values: inputs[name].data, count, becomes: (value) => value * scale };
};

/** Methods of RawImage, each to pixels that are those of the image. */
const imageMethods: [string, 1 | 2 | 3 | 4, (image: RawImage) => Promise<Seen> | Seen][] = [
  ['rgb', 4, (image) => ofImage(image.rgb(), 3)],
  ['rgb of grey', 1, (image) => ofImage(image.rgb(), 3)],
  ['grayscale', 3, (image) => ofImage(image.grayscale(), 1)],
  ['toSharp', 3, (image) => decoded(image.toSharp(), 3)],
  ['fromTensor', 3, ({ data }) => ofImage(RawImage.fromTensor({ type: 'uint8', dims: [3, H, W], data }), 3)],
  [
    'save',
    3,
    async (image) => {
      const file = path.join(os.tmpdir(), `sam3-tracker-fuzz-${process.pid}.png`);
      try {
        await image.save(file);
        return await decoded(sharp(file), 3);
      } finally {
        rmSync(file, { force: true });
      }
    },
  ],
  ['processor, RGB', 3, (image) => pixelsOf(image)],
  ['processor, RGBA', 4, (image) => pixelsOf(image)],
  ['processor, a list', 3, (image) => pixelsOf([image, image], 2)],
  [
    'cut_out',
    3,
    (image) => ofImage(cut_out(image, { data: new Uint8Array(AREA).fill(1), dims: [H, W] }).rgb(), 3),
  ],
  [
    'draw_overlay',
    3,
    async (image) => {
      const masks = { data: new Uint8Array(4 * AREA), dims: [4, H, W] };
      return ofImage(await draw_overlay(image, masks), 3);
    },
  ],
];

/** Methods that RawImage may have: what they give is an image of the same colour. */
const moreImageMethods: [string, (image: never) => Promise<RawImage | Tensor | Blob> | RawImage | Tensor][] =
  [
    ['rgba', (image: { rgba(): RawImage }) => image.rgba().rgb()],
    ['clone', (image: { clone(): RawImage }) => image.clone()],
    ['convert', (image: { convert(channels: number): RawImage }) => image.convert(1)],
    ['split', (image: { split(): RawImage[] }) => image.split()[1]],
    ['crop', (image: { crop(box: number[]): Promise<RawImage> }) => image.crop([0, 0, 20, 20])],
    [
      'center_crop',
      (image: { center_crop(w: number, h: number): Promise<RawImage> }) => image.center_crop(20, 20),
    ],
    ['resize', (image: { resize(w: number, h: number): Promise<RawImage> }) => image.resize(70, 30)],
    ['toTensor', (image: { toTensor(): Tensor }) => image.toTensor()],
    ['toBlob', (image: { toBlob(): Promise<Blob> }) => image.toBlob()],
  ];

async function anyImage(result: RawImage | Tensor | Blob): Promise<Seen> {
  const { data } = result instanceof Blob ? await RawImage.read(result) : result;
  expect(data.length > 0, 'no pixels');
  return { values: data, count: data.length };
}

/** 1 where a mask of what the array holds is inside: everywhere. */
const inside = (values: ArrayLike<number>): Seen => ({ values, count: AREA, becomes: () => 1 });
const number = (value: number, wanted: number): Seen => ({
  values: [value],
  count: 1,
  becomes: () => wanted,
});
const maskOf = (data: Uint8Array): { data: Uint8Array; dims: [number, number] } => ({ data, dims: [H, W] });

const masks: [string, (mask: ReturnType<typeof maskOf>) => Promise<Seen> | Seen][] = [
  ['mask_area', (mask) => number(mask_area(mask), AREA)],
  ['mask_to_rle', (mask) => inside(rle_to_mask(mask_to_rle(mask)).data)],
  ['mask_planes', (mask) => ({ values: mask_planes(mask)[0].data.slice(), count: AREA })],
  ['mask_to_box', (mask) => number(mask_to_box(mask)[2], W - 1)],
  ['mask_to_polygons', (mask) => number(mask_to_polygons(mask)[0]?.length, 8)],
  ['mask_iou', (mask) => number(mask_iou(mask, { size: [H, W], counts: [0, AREA] }), 1)],
  ['mask_merge', (mask) => number(mask_area(mask_merge([mask, mask])), AREA)],
  ['mask_to_png', async (mask) => ({ ...(await decoded(mask_to_png(mask), 3)), becomes: () => 255 })],
  [
    'cut_out',
    (mask) => {
      const image = new RawImage(new Uint8Array(AREA * 3).fill(255), W, H, 3);
      return { ...ofImage(cut_out(image, mask), 4), becomes: () => 255 };
    },
  ],
  [
    'draw_overlay',
    async (mask) => {
      const image = new RawImage(new Uint8Array(AREA * 3), W, H, 3);
      const options = { colors: [[70, 70, 70]] as const, opacity: 1, contourWidth: 0 };
      const { data } = await draw_overlay(image, [mask, mask, mask, mask] as never, options);
      return { values: data, count: 3 * AREA, becomes: () => 70 };
    },
  ],
];

const DTYPES: [string, new (length: number) => Numbers][] = [
  ['float32', Float32Array],
  ['float64', Float64Array],
  ['int64', BigInt64Array],
  ['int32', Int32Array],
  ['uint8', Uint8Array],
  ['bfloat16', Uint16Array],
];

/** Reads of a tensor whose `data` is the array. */
const tensorReads: [string, (tensor: Tensor) => Promise<Seen> | Seen][] = [
  ['data', ({ data }) => ({ values: data, count: AREA })],
  ['tolist', (tensor) => ({ values: tensor.tolist<number[]>(), count: AREA })],
  ['slice', (tensor) => ({ values: tensor.slice([1, 21]).data, count: 20 })],
  ['item', (tensor) => ({ values: [tensor.slice(7).item() as number], count: 1 })],
  ['reshape', (tensor) => ({ values: tensor.reshape(H, W).data, count: AREA })],
  ['to float64', async (tensor) => ({ values: (await tensor.to('float64')).data, count: AREA })],
  ['argmax', async (tensor) => number(Number((await tensor.argmax()).item()) >= 0 ? 0 : 1, 0)],
  [
    'post_process_masks',
    async (tensor) => {
      const { processor } = await environment();
      const [mask] = await processor.post_process_masks([tensor.reshape(1, 1, H, W)], [[H, W]], {
        binarize: false,
      });
      return { values: mask.data, count: AREA };
    },
  ],
];

/** A PNG that is one colour, without compression, so that its bytes are many. */
let encoded: Promise<Map<string, Uint8Array>> | undefined;

async function encodedImages(): Promise<Map<string, Uint8Array>> {
  const image = (): sharp.Sharp =>
    sharp(Buffer.alloc(AREA * 3, BEFORE), { raw: { width: W, height: H, channels: 3 } });
  return new Map([
    ['PNG', await image().png({ compressionLevel: 0 }).toBuffer()],
    ['WebP', await image().webp({ lossless: true }).toBuffer()],
    ['TIFF', await image().tiff({ compression: 'none' }).toBuffer()],
  ]);
}

async function targets(): Promise<Map<string, Target>> {
  const list = new Map<string, Target>();
  for (const [name, channels, call] of imageMethods)
    list.set(
      `RawImage ${name}`,
      target(Uint8Array, AREA * channels, (data) => call(new RawImage(data, W, H, channels))),
    );
  for (const [name, call] of moreImageMethods) {
    if (name in RawImage.prototype)
      list.set(
        `RawImage ${name}`,
        target(Uint8Array, AREA * 3, async (data) =>
          anyImage(await call(new RawImage(data, W, H, 3) as never)),
        ),
      );
  }
  for (const [name, call] of masks)
    list.set(
      name,
      target(Uint8Array, AREA, (data) => call(maskOf(data))),
    );
  for (const [type, kind] of DTYPES)
    list.set(
      `new Tensor ${type}`,
      target(kind, AREA, (data) => ({
        values: new Tensor(type as 'float32', data as Float32Array, [AREA]).data,
        count: AREA,
      })),
    );
  const image = (kind: new (length: number) => Numbers, dims: number[], count = 1): Target =>
    target(
      kind,
      dims.reduce((a, b) => a * b, 1),
      (data) => pixelsOf({ data, dims }, count),
    );
  list.set('processor, HWC', image(Uint8Array, [H, W, 3]));
  list.set('processor, CHW', image(Float32Array, [3, H, W]));
  list.set('processor, int64', image(BigInt64Array, [3, H, W]));
  list.set('processor, a batch', image(Uint8Array, [2, 3, H, W], 2));
  list.set('processor, more than 8 MiB', image(Uint8Array, [1200, 2400, 3]));
  list.set(
    'segmentation_maps',
    target(Uint8Array, AREA, async (data) => {
      const { processor } = await environment();
      const images = new RawImage(new Uint8Array(AREA * 3), W, H, 3);
      const { labels } = await processor({ images, segmentation_maps: { data, dims: [H, W] } });
      return { values: labels.data, count: 96 * 96 };
    }),
  );
  for (const kind of [Float32Array, Float64Array, Int32Array]) {
    list.set(
      `input_points ${kind.name}`,
      target<Numbers>(kind, 600, (data) =>
        processed({ input_points: { data, dims: [1, 2, 150, 2] } }, 'input_points', 600, 0.5),
      ),
    );
    list.set(
      `input_boxes ${kind.name}`,
      target<Numbers>(kind, 400, (data) =>
        processed({ input_boxes: { data, dims: [1, 100, 4] } }, 'input_boxes', 400, 0.5),
      ),
    );
  }
  list.set(
    'input_points, many',
    target(Float32Array, 2 ** 19, (data) =>
      processed({ input_points: { data, dims: [1, 1, 2 ** 18, 2] } }, 'input_points', 2 ** 19, 0.5),
    ),
  );
  list.set(
    'original_sizes',
    target(Int32Array, 2, (data) =>
      processed({ original_sizes: { data, dims: [1, 2] } }, 'original_sizes', 2, 1),
    ),
  );
  list.set(
    'post_process_masks',
    target(Float32Array, AREA, async (data) => {
      const { processor } = await environment();
      const [mask] = await processor.post_process_masks([{ data, dims: [1, 1, H, W] }], [[H, W]], {
        binarize: false,
      });
      return { values: mask.data, count: AREA };
    }),
  );
  list.set(
    'RLEMask',
    target(Uint32Array, 10, (data) => {
      const { counts } = new RLEMask([1, 10 * BEFORE], data);
      return { values: counts, count: 10 };
    }),
  );
  for (const [name, bytes] of await (encoded ??= encodedImages()))
    list.set(
      `RawImage.read ${name}`,
      target(Uint8Array, bytes.length, async (data) => ofImage(await RawImage.read(data), 3), bytes),
    );
  for (const [name, read] of tensorReads)
    list.set(`Tensor ${name}`, target(Float32Array, AREA, read as never));
  return list;
}

/** A buffer of a kind, and the elements over it. */
interface Held {
  array: Numbers;
  transfer: () => void;
  resize: ((part: number) => void) | null;
}

const STORAGE = ['fixed', 'offset', 'resizable', 'tracking', 'shared', 'growable'] as const;

/** Buffers that can be resized are younger than the library's types. */
interface Resizable {
  new (
    bytes: number,
    options: { maxByteLength: number },
  ): ArrayBuffer & { resize(bytes: number): void; grow(bytes: number): void };
}

function hold(storage: (typeof STORAGE)[number], kind: ArrayKind, length: number): Held {
  const bytes = length * (kind as unknown as { BYTES_PER_ELEMENT: number }).BYTES_PER_ELEMENT;
  const options = { maxByteLength: 2 * bytes + 64 };
  const shared = { resize: null, transfer: () => undefined };
  if (storage === 'shared') return { ...shared, array: new kind(new SharedArrayBuffer(bytes)) };
  if (storage === 'growable') {
    const buffer = new (SharedArrayBuffer as unknown as Resizable)(bytes, options);
    return {
      array: new kind(buffer),
      transfer: () => undefined,
      resize: (part) => part > 1 && buffer.grow(2 * bytes),
    };
  }
  const transfer = (buffer: ArrayBuffer) => () => {
    if (buffer.byteLength > 0) structuredClone(buffer, { transfer: [buffer] });
  };
  if (storage === 'fixed' || storage === 'offset') {
    const buffer = new ArrayBuffer(storage === 'offset' ? bytes + 32 : bytes);
    return {
      array: new kind(buffer, storage === 'offset' ? 16 : 0, length),
      transfer: transfer(buffer),
      resize: null,
    };
  }
  const buffer = new (ArrayBuffer as unknown as Resizable)(bytes, options);
  const array = storage === 'tracking' ? new kind(buffer) : new kind(buffer, 0, length);
  const unit = array.BYTES_PER_ELEMENT;
  return {
    array,
    transfer: transfer(buffer),
    resize: (part) => buffer.resize(unit * Math.floor(part * length)),
  };
}

const ACTS = ['nothing', 'transfer', 'shrink', 'empty', 'grow', 'write'] as const;
const PARTS: Record<string, number> = { shrink: 0.5, empty: 0, grow: 1.5 };

function fill(array: Numbers, value: number): void {
  if (array instanceof BigInt64Array) array.fill(BigInt(value));
  else array.fill(value);
}

/** @throws AssertionError for a value that the elements of the input never had. */
function check({ values, count, becomes = (value) => value }: Seen, written: boolean): void {
  expect(values.length === count, `${values.length} values instead of ${count}`);
  const bounds = [becomes(BEFORE), becomes(written ? AFTER : BEFORE)];
  const [low, high] = [Math.min(...bounds) - 1e-3, Math.max(...bounds) + 1e-3];
  // Messages are made where they are needed: an attack is timed with its check.
  for (let index = 0; index < count; index++) {
    const value = Number(values[index]);
    if (!(value >= low && value <= high))
      expect(false, `${value} at ${index} instead of ${bounds.join(' to ')}`);
  }
}

/** Calls with a buffer to which something happens. */
export async function buffers(seed: number): Promise<Attack> {
  const dice = new Dice(seed);
  const [name, { kind, length, call, content }] = dice.pick([...(await targets())]);
  const act = dice.pick(ACTS);
  const turns = dice.pick([-2, -1, -1, 0, 0, 1, 1, 2, 3, 5]);
  const isRead = name.startsWith('Tensor ');
  const storage = isRead ? 'fixed' : dice.pick(STORAGE);
  const held = isRead ? ofTensor(length) : hold(storage, kind, length);
  if (content) held.array.set(content as never);
  else fill(held.array, BEFORE);
  const harm = (): void => {
    if (act === 'transfer') held.transfer();
    else if (act === 'write') fill(held.array, AFTER);
    else if (act !== 'nothing') held.resize?.(PARTS[act]);
  };
  return {
    description: `${name} over a ${storage} buffer: ${act} ${turns === -2 ? 'before' : turns === -1 ? 'at once' : `after ${turns} turns`}`,
    bytes: length * held.array.BYTES_PER_ELEMENT,
    run: async () => {
      if (turns === -2) harm();
      const result = (async () => call(('tensor' in held ? held.tensor : held.array) as never))();
      // An error that comes before the harm is done is not unhandled.
      result.catch(() => undefined);
      if (turns >= -1) {
        for (let turn = 0; turn < turns; turn++) await nextTurn();
        harm();
      }
      check(await result, act === 'write' && content === undefined);
    },
  };
}

/** A tensor whose elements are held as JavaScript sees them. */
function ofTensor(length: number): Held & { tensor: Tensor } {
  const tensor = new Tensor('float32', new Float32Array(length).fill(BEFORE), [length]);
  const array = tensor.data as Float32Array<ArrayBuffer>;
  return {
    tensor,
    array,
    resize: null,
    transfer: () => structuredClone(array.buffer, { transfer: [array.buffer] }),
  };
}
