import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { coco_decode_rle, coco_encode_rle, RLEMask } from '../../../lib/masks/rle';
import {
  mask_area,
  mask_iou,
  mask_merge,
  mask_to_box,
  mask_to_rle,
  mask_planes,
  rle_to_mask,
} from '../../../lib/masks/masks';
import { type CocoRLE, type Mask, type RLE } from '../../../lib/masks/types';
import { maskPlanes } from '../../../lib/index';
import { mask_to_polygons } from '../../../lib/masks/polygons';
import { reference, type Reference } from '../../support/python';
import { randomNumbers } from '../../support/random';

/** A mask from rows of '#' (inside) and '.' (outside). */
function drawn(...rows: string[]): Mask {
  const data = Uint8Array.from(rows.join(''), (letter) => (letter === '#' ? 1 : 0));
  return { type: 'bool', data, dims: [rows.length, rows[0].length] };
}

function rowsOf({ data, dims: [height, width] }: Mask): number[][] {
  return Array.from({ length: height }, (_, y) => [...data.subarray(y * width, (y + 1) * width)]);
}

/** Rectangles over each other, with noise in every third: long runs and short ones. */
function randomMask(random: () => number, height: number, width: number): Mask {
  const data = new Uint8Array(height * width);
  const between = (low: number, high: number): number => low + Math.floor(random() * (high - low));
  for (let count = between(0, 4); count > 0; count--) {
    const [x1, y1] = [between(0, width), between(0, height)];
    const [x2, y2] = [between(x1, width) + 1, between(y1, height) + 1];
    const value = random() < 0.7 ? 1 : 0;
    for (let y = y1; y < y2; y++) data.fill(value, y * width + x1, y * width + x2);
  }
  if (random() < 0.33) data.forEach((value, index) => random() < 0.1 && (data[index] = 1 - value));
  return { type: 'bool', data, dims: [height, width] };
}

describe('masks', () => {
  describe('run-length encoding', () => {
    it('runs down the columns and begins outside', () => {
      const mask = drawn('#..#', '##..', '.#..');
      const rle: RLE = { size: [3, 4], counts: [0, 2, 2, 2, 3, 1, 2] };
      assert.deepEqual(mask_to_rle(mask), rle);
      assert.deepEqual(rle_to_mask(rle), mask);
    });

    it('has one run for an empty mask and two for a full one, as in transformers', () => {
      assert.deepEqual(mask_to_rle(drawn('...', '...')).counts, [6]);
      assert.deepEqual(mask_to_rle(drawn('###', '###')).counts, [0, 6]);
      assert.deepEqual(mask_to_rle(drawn('#')).counts, [0, 1]);
    });

    it('takes whatever is not 0 as inside, from uint8 data with or without a type', () => {
      const data = Uint8Array.of(0, 255, 0, 7);
      assert.deepEqual(mask_to_rle({ data, dims: [2, 2] }).counts, [2, 2]);
      assert.deepEqual(
        mask_to_rle({ type: 'uint8', data: new Uint8ClampedArray(data), dims: [2, 2] }).counts,
        [2, 2],
      );
    });

    it('compresses large counts and differences of both signs', () => {
      // The strings are pycocotools 2.0.11's.
      const cases: [RLE, string][] = [
        [{ size: [2, 3], counts: [6] }, '6'],
        [{ size: [20000, 20000], counts: [400000000] }, 'PPQ_m;'],
        [{ size: [1000, 1000], counts: [0, 500000, 10, 400000, 99990] }, '0PYX?:P[nL\\dQ3'],
      ];
      for (const [rle, text] of cases) {
        assert.deepEqual(coco_encode_rle(rle), { size: rle.size, counts: text });
        assert.deepEqual(coco_decode_rle({ size: rle.size, counts: text }), rle);
      }
    });

    it('refuses encodings that cannot be', () => {
      const damaged =
        (rle: unknown): (() => Mask) =>
        () =>
          rle_to_mask(rle as RLE);
      assert.throws(
        damaged({ size: [2, 2], counts: [5] }),
        /^RangeError: Expected runs of 4 pixels \(2 x 2\)/,
      );
      assert.throws(damaged({ size: [2, 2], counts: [1, 2] }), /^RangeError: Expected runs of 4 pixels/);
      assert.throws(
        damaged({ size: [2, 2], counts: [6, -2] }),
        /^RangeError: Expected integers of at least 0/,
      );
      assert.throws(damaged({ size: [2, 2], counts: [1.5, 2.5] }), /^RangeError/);
      assert.throws(damaged({ size: [2, 0], counts: [0] }), /^RangeError: .*rle\.size/);
      assert.throws(
        damaged({ size: [2, 2], counts: 7 }),
        /^TypeError: Expected a list of numbers or a string/,
      );
      assert.throws(damaged(null), /^TypeError: Expected a run-length encoding/);
      assert.throws(damaged({ size: [65536, 65536], counts: [2 ** 32] }), /^RangeError: Expected at most/);
      for (const counts of ['P', 'é', 'oooooooooooooo0', ' '])
        assert.throws(damaged({ size: [2, 2], counts }), /^RangeError: Expected a complete string/, counts);
    });
  });

  describe('measures', () => {
    const mask = drawn('....', '.##.', '..#.');

    it('gives area, box and iou of masks and encodings alike', () => {
      const rle = mask_to_rle(mask);
      for (const form of [mask, rle, coco_encode_rle(rle)]) {
        assert.equal(mask_area(form), 3);
        assert.deepEqual(mask_to_box(form), [1, 1, 2, 2]);
        assert.equal(mask_iou(form, mask), 1);
        assert.equal(mask_iou(form, drawn('####', '##..', '....')), 1 / 8);
      }
    });

    it('knows empty masks, single pixels and runs over several columns', () => {
      const empty = drawn('..', '..');
      assert.equal(mask_area(empty), 0);
      assert.deepEqual(mask_to_box(empty), [0, 0, 0, 0]);
      assert.equal(mask_iou(empty, empty), 0);
      assert.deepEqual(mask_to_box(drawn('...', '..#')), [2, 1, 2, 1]);
      assert.deepEqual(mask_to_box(drawn('.##', '###')), [0, 0, 2, 1]);
    });

    it('separates the masks of a tensor without a copy', () => {
      assert.equal(maskPlanes, mask_planes);
      const data = Uint8Array.from({ length: 12 }, (_, index) => index % 2);
      const planes = mask_planes({ type: 'bool', data, dims: [3, 1, 2, 2] });
      assert.equal(planes.length, 3);
      assert.deepEqual(planes[2], { type: 'bool', data: Uint8Array.of(0, 1, 0, 1), dims: [2, 2] });
      assert.equal(planes[1].data.buffer, data.buffer);
    });

    it('refuses what is no mask', () => {
      const data = Uint8Array.of(1, 0);
      assert.throws(
        () => mask_area({ data: Float32Array.of(1, 2), dims: [1, 2] }),
        /^TypeError: .*Uint8Array.*logits/,
      );
      assert.throws(
        () => mask_area({ type: 'float32', data, dims: [1, 2] }),
        /^TypeError: Expected bool or uint8/,
      );
      assert.throws(() => mask_area({ data, dims: [1, 1, 2] }), /^RangeError: .*two dimensions.*mask_planes/);
      assert.throws(() => mask_area({ data, dims: [1, 3] }), /^RangeError: Expected 3 bytes .* It has 2\./);
      assert.throws(() => mask_area({ data, dims: [0, 2] }), /^RangeError: Expected positive integers/);
      assert.throws(() => mask_area(undefined as unknown as Mask), /^TypeError: Expected a mask/);
      assert.throws(() => mask_planes({ data, dims: [2] }), /^RangeError: Expected at least two dimensions/);
      assert.throws(
        () => mask_iou(drawn('#.'), drawn('#', '.')),
        /^RangeError: Expected the size of a \(1 x 2\)/,
      );
    });
  });

  describe('merging', () => {
    const [a, b] = [drawn('##..', '##..'), drawn('.##.', '.#..')];

    it('gives the union, or what all have in common', () => {
      assert.deepEqual(rle_to_mask(mask_merge([a, b])), drawn('###.', '##..'));
      assert.deepEqual(
        rle_to_mask(mask_merge([a, mask_to_rle(b)], { intersect: true })),
        drawn('.#..', '.#..'),
      );
      assert.deepEqual(mask_merge([a]), mask_to_rle(a));
      assert.deepEqual(mask_merge([drawn('##'), drawn('##')]).counts, [0, 2]);
      assert.deepEqual(mask_merge([drawn('#.'), drawn('.#')], { intersect: true }).counts, [2]);
    });

    it('refuses no mask, two sizes and unknown options', () => {
      assert.throws(() => mask_merge([]), /^RangeError: Expected at least one mask/);
      assert.throws(() => mask_merge([a, drawn('#')]), /^RangeError: Expected the size of masks\[0\]/);
      assert.throws(() => mask_merge([a], { union: true } as object), /^TypeError: Unknown option "union"/);
    });
  });

  describe('polygons', () => {
    it('run clockwise along the edges of pixels, one for each part, without holes', () => {
      assert.deepEqual(mask_to_polygons(drawn('#')), [[1, 0, 1, 1, 0, 1, 0, 0]]);
      assert.deepEqual(mask_to_polygons(drawn('...', '...')), []);
      assert.deepEqual(mask_to_polygons(drawn('###', '#.#', '###')), [[3, 0, 3, 3, 0, 3, 0, 0]]);
      assert.deepEqual(mask_to_polygons(drawn('#.', '.#')), [
        [1, 0, 1, 1, 0, 1, 0, 0],
        [2, 1, 2, 2, 1, 2, 1, 1],
      ]);
      assert.deepEqual(mask_to_polygons(drawn('#.', '##')), [[1, 0, 1, 1, 2, 1, 2, 2, 0, 2, 0, 0]]);
    });
  });

  describe('masks held as runs', () => {
    const mask = drawn('.##.', '.#..', '##..');
    const held = new RLEMask([3, 4], Uint32Array.from(mask_to_rle(mask).counts));

    it('are taken like any mask, and unpack once', () => {
      assert.deepEqual(held.data, mask.data);
      assert.equal(held.data, held.data);
      assert.deepEqual(held.dims, mask.dims);
      assert.deepEqual(held.rle, mask_to_rle(mask));
      assert.deepEqual(held.coco_rle, coco_encode_rle(mask_to_rle(mask)));
      assert.deepEqual(JSON.parse(JSON.stringify(held)), mask_to_rle(mask));
      assert.equal(mask_area(held), 5);
      assert.deepEqual(mask_to_box(held), mask_to_box(mask));
      assert.equal(mask_iou(held, mask), 1);
      assert.deepEqual(mask_to_polygons(held), mask_to_polygons(mask));
      assert.deepEqual(mask_planes(held)[0].data, mask.data);
    });

    it('give back runs of every length, and do not follow the array that they were made of', () => {
      const lengths = [0, 1, 127, 128, 2 ** 14 - 1, 2 ** 14, 2 ** 21 - 1, 2 ** 21, 2 ** 28 - 1, 2 ** 28];
      const pixels = lengths.reduce((sum, length) => sum + length);
      const counts = Uint32Array.from(lengths);
      const mask = new RLEMask([1, pixels], counts);
      counts.fill(7);
      assert.deepEqual([...mask.counts], lengths);
      assert.deepEqual(mask.rle.counts, lengths);
      assert.equal(mask.counts, mask.counts);
    });

    it('refuse runs that do not fill them', () => {
      assert.throws(() => new RLEMask([3, 4], Uint32Array.of(5)), /^RangeError: Expected runs of 12 pixels/);
      assert.throws(() => new RLEMask([3, 4], [12] as never), /^TypeError: Expected a Uint32Array/);
    });
  });

  describe('compared with transformers and pycocotools', () => {
    let python: Reference | undefined;
    before(function () {
      python = reference(path.join(__dirname, '..', '..', 'support', 'masks_reference.py'), this);
    });

    it('compresses 1,000 random masks to the same bytes, an empty and a full one too', async () => {
      const random = randomNumbers(5);
      const masks = Array.from({ length: 1000 }, (_, index) => {
        const [height, width] = [1, 2].map(() => 1 + Math.floor(random() * 120));
        const mask = randomMask(random, height, width);
        if (index < 2) mask.data.fill(index);
        return mask;
      });
      const folder = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-masks-'));
      const file = path.join(folder, 'masks');
      try {
        await writeFile(file, Buffer.concat(masks.map(({ data }) => data)));
        const expected = await python!.result('encode_all', { file, sizes: masks.map(({ dims }) => dims) });
        const texts = masks.map((mask) => coco_encode_rle(mask_to_rle(mask)).counts);
        assert.deepEqual(texts, expected);
        masks.forEach((mask, index) =>
          assert.ok(
            Buffer.from(rle_to_mask({ size: mask.dims, counts: texts[index] }).data).equals(mask.data),
          ),
        );
      } finally {
        await rm(folder, { recursive: true });
      }
    });

    it('merges as pycocotools, and outlines what it fills again', async () => {
      const random = randomNumbers(7);
      for (let round = 0; round < 20; round++) {
        const [height, width] = [1, 2].map(() => 1 + Math.floor(random() * 50));
        const masks = [1, 2, 3].map(() => randomMask(random, height, width));
        const rles = masks.map((mask) => coco_encode_rle(mask_to_rle(mask)));
        for (const intersect of [false, true])
          assert.equal(
            coco_encode_rle(mask_merge(masks, { intersect })).counts,
            await python!.result('merge', { rles, intersect }),
          );
        const polygons = mask_to_polygons(masks[0]);
        if (polygons.length === 0) continue;
        const filled = (await python!.result('draw', { polygons, size: [height, width] })) as number[][];
        // Holes are filled: everything that the mask has is there, and nothing beside its outlines.
        rowsOf(masks[0]).forEach((row, y) => row.forEach((inside, x) => assert.ok(filled[y][x] >= inside)));
        const outlines = mask_to_polygons({
          data: Uint8Array.from(filled.flat()),
          dims: [height, width],
        });
        assert.deepEqual(outlines, polygons);
      }
    });

    it('agrees on 60 random masks between 1 x 1 and 70 x 70', async () => {
      const random = randomNumbers(11);
      for (let round = 0; round < 60; round++) {
        const [height, width] = round === 0 ? [1, 1] : [1, 2].map(() => 1 + Math.floor(random() * 70));
        const mask = randomMask(random, height, width);
        const expected = (await python!.result('describe', { rows: rowsOf(mask) })) as {
          rle: RLE;
          decoded: number[][];
          text: string;
          area: number;
          box: number[];
        };
        const rle = mask_to_rle(mask);
        assert.deepEqual(rle, expected.rle);
        assert.deepEqual(rowsOf(rle_to_mask(rle)), expected.decoded);
        const compressed: CocoRLE = coco_encode_rle(rle);
        assert.equal(compressed.counts, expected.text);
        assert.deepEqual(coco_decode_rle(compressed), rle);
        assert.equal(mask_area(compressed), expected.area);
        assert.deepEqual(mask_to_box(mask), expected.box);
        const other = randomMask(random, height, width);
        assert.equal(
          mask_iou(mask, other),
          await python!.result('iou', { first: rowsOf(mask), second: rowsOf(other) }),
        );
      }
    });
  });
});
