/** Numbers of an input that work or memory would grow with: each has a bound, checked at once, and a line in docs/security.md. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  RawImage,
  Sam3ImageProcessor,
  Sam3TrackerConfig,
  Sam3TrackerProcessor,
  Tensor,
  full,
  mask_area,
  ones,
  zeros,
} from '../../lib';
import { MOST_WEIGHTS, readSafetensors } from '../../lib/checkpoint/safetensors';
import { MOST_FIELDS, MOST_LABELS } from '../../lib/config/fields';
import { MAX_PIXELS } from '../../lib/core/device';
import { DEEPEST_JSON, MOST_JSON_BYTES, readJsonFile } from '../../lib/core/files';
import { MOST_NUMBERS } from '../../lib/image/nested-numbers';
import { MOST_IMAGES, MOST_PIXELS, MOST_SIDE } from '../../lib/image/sizes';
import { MOST_POINTS } from '../../lib/pipelines/crop-boxes';
import {
  MAX_LAYERS,
  MOST_POINTS_PER_SIDE,
  checkMaskGenerationOptions,
} from '../../lib/pipelines/mask-generation-options';
import { MOST_PADDING } from '../../lib/processor/prompts';
import { MOST_EMPTY_LISTS } from '../../lib/tensor';
import { MOST_FILLED } from '../../lib/tensor-functions';

const PAGE = readFileSync(path.join(__dirname, '..', '..', 'docs', 'security.md'), 'utf8');

const scratch = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-bounds-'));
const file = path.join(scratch, 'config.json');
after(() => rmSync(scratch, { recursive: true }));

const processor = new Sam3TrackerProcessor(new Sam3ImageProcessor());
const sizes = [[10, 10]] as never;

/** 2,049 objects, of one point each but for one that all are padded to. */
const ragged = (padding: number): object => {
  const point = [1, 1];
  const longest = Array.from({ length: padding / 2 ** 11 + 1 }, () => point);
  return {
    input_points: [[longest, ...Array.from({ length: 2 ** 11 }, () => [point])]],
    original_sizes: sizes,
  };
};

const pointsOf = (length: number): number[][] => Array.from({ length }, () => [0, 0]);

const nested = (depth: number): string => `{"a":${'['.repeat(depth - 1)}${']'.repeat(depth - 1)}}`;

const header = (weights: number): Buffer => {
  const entries = Array.from({ length: weights }, (_, index) => [
    `w${index}`,
    { dtype: 'F32', shape: [0], data_offsets: [0, 0] },
  ]);
  const json = Buffer.from(JSON.stringify(Object.fromEntries(entries)));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(json.length));
  return Buffer.concat([length, json]);
};

/** Settles as its first does, where all do alike. */
async function allAlike(uses: readonly (() => unknown)[]): Promise<unknown> {
  const settled = uses.map((use) => Promise.resolve().then(use));
  const names = (await Promise.allSettled(settled)).map((one) =>
    one.status === 'rejected' ? (one.reason as Error).name : 'fulfilled',
  );
  assert.deepEqual(
    names,
    uses.map(() => names[0]),
  );
  return settled[0];
}

interface Bound {
  /** What docs/security.md calls it. */
  name: string;
  most: number;
  /** Uses a number: of the bound, and one above it. */
  use: (value: number) => unknown;
  /** How far above the bound is outside. */
  above?: number;
  /** Whether what is just inside would take gigabytes, so that it is not tried. */
  isHuge?: boolean;
  code?: string;
}

const bounds: Bound[] = [
  {
    name: 'num_labels',
    most: MOST_LABELS,
    use: (num_labels) => new Sam3TrackerConfig({ num_labels }),
  },
  {
    name: 'pixels of `size`, `crop_size`, `pad_size`, `mask_size`',
    most: MOST_PIXELS,
    use: (pixels) =>
      (['size', 'crop_size', 'pad_size', 'mask_size'] as const).map(
        (name) => new Sam3ImageProcessor({ [name]: { height: pixels, width: 1 } }),
      ),
  },
  {
    name: 'pixels that an image is resized to',
    most: MOST_PIXELS,
    isHuge: true,
    use: (pixels) =>
      new Sam3ImageProcessor({ size: { shortest_edge: pixels } })(new RawImage(new Uint8Array(3), 1, 1, 3)),
  },
  {
    name: 'pixels that a RawImage is resized or padded to',
    most: MOST_PIXELS,
    isHuge: true,
    use: (pixels) =>
      allAlike(
        (['resize', 'center_crop', 'pad'] as const).map((name) => () => {
          const image = new RawImage(new Uint8Array(1), 1, 1, 1);
          return name === 'pad' ? image.pad([0, pixels - 1, 0, 0]) : image[name](pixels, 1);
        }),
      ),
  },
  {
    name: 'images of a call',
    most: MOST_IMAGES,
    use: (count) => {
      const pixel = { data: new Uint8Array(3), dims: [1, 1, 3] };
      const batch = { data: new Uint8Array(3 * count), dims: [count, 1, 1, 3] };
      const forms = [batch, new Array(count).fill(pixel), new Array(count).fill([pixel]), [batch]];
      const small = new Sam3ImageProcessor({ size: { height: 1, width: 1 } });
      return allAlike(forms.map((images) => () => small(images as never)));
    },
  },
  {
    name: 'sizes of images',
    most: MOST_IMAGES,
    use: (count) => {
      const forms = [
        new Array(count).fill([1, 1]),
        { data: new Float32Array(2 * count).fill(1), dims: [count, 2] },
      ];
      return allAlike(forms.map((original_sizes) => () => processor({ original_sizes } as never)));
    },
  },
  {
    name: 'elements of one value',
    most: MOST_FILLED,
    isHuge: true,
    use: (elements) =>
      allAlike([
        () => full([elements], 1),
        () => ones([2, Math.ceil(elements / 2)]),
        () => zeros([2 ** 45, 2 ** 45, elements]),
      ]),
  },
  {
    name: 'numbers of a prompt',
    most: MOST_NUMBERS,
    isHuge: true,
    above: 2,
    use: (numbers) =>
      processor({
        input_points: { data: new Float32Array(numbers), dims: [1, 1, numbers / 2, 2] },
        original_sizes: sizes,
      }),
  },
  {
    name: 'padding of a prompt',
    most: MOST_PADDING,
    use: (numbers) => processor(ragged(numbers / 2) as never),
    above: 2 ** 12,
  },
  {
    name: 'points along a side',
    most: MOST_POINTS_PER_SIDE,
    use: (points_per_crop) => checkMaskGenerationOptions({ points_per_crop }, {}),
  },
  {
    name: 'layers of crops',
    most: MAX_LAYERS,
    use: (crops_n_layers) => checkMaskGenerationOptions({ crops_n_layers, points_per_crop: 1 }, {}),
  },
  {
    name: 'points of an image and its crops',
    most: MOST_POINTS,
    use: (points) =>
      checkMaskGenerationOptions(
        {
          crops_n_layers: 7,
          point_grids: [1 + points - (255 * 4 ** 7 + 5461), 1, 1, 1, 1, 1, 1, 255].map(pointsOf),
        },
        {},
      ),
  },
  {
    name: 'pixels of a mask',
    most: MAX_PIXELS,
    isHuge: true,
    use: (pixels) => mask_area({ size: [1, pixels], counts: [pixels] }),
  },
  {
    name: 'pixels of a side of `original_sizes`',
    most: MOST_SIDE,
    use: (side) =>
      processor.post_process_masks([new Tensor('float32', new Float32Array(4), [1, 1, 2, 2])], [[1, side]]),
  },
  {
    name: 'labels of a configuration',
    most: MOST_LABELS,
    use: (labels) =>
      Sam3TrackerConfig.from_dict({
        id2label: Object.fromEntries(Array.from({ length: labels }, (_, id) => [id, 'x'])),
      }),
  },
  {
    name: 'fields of a configuration',
    most: MOST_FIELDS,
    use: (fields) =>
      Sam3TrackerConfig.from_dict(
        Object.fromEntries(Array.from({ length: fields }, (_, id) => [`x${id}`, 1])),
      ),
  },
  {
    name: 'lists of nothing',
    most: MOST_EMPTY_LISTS,
    use: (lists) => {
      const empty = new Tensor('float32', [], [lists, 0]);
      return allAlike([() => empty.tolist(), () => [...empty].length]);
    },
  },
  {
    name: 'bytes of a JSON file',
    most: MOST_JSON_BYTES,
    code: 'FILE_INVALID',
    use: (bytes) => {
      writeFileSync(file, '{}');
      truncateSync(file, bytes);
      return readJsonFile(file);
    },
  },
  {
    name: 'levels of a JSON file',
    most: DEEPEST_JSON,
    code: 'FILE_INVALID',
    use: (depth) => {
      writeFileSync(file, nested(depth));
      return readJsonFile(file);
    },
  },
  {
    name: 'weights of a safetensors file',
    most: MOST_WEIGHTS,
    code: 'FILE_INVALID',
    isHuge: true,
    use: (weights) => {
      writeFileSync(file, header(weights));
      return readSafetensors(file);
    },
  },
];

describe('a number of an input', () => {
  for (const { name, most, use, above = 1, code, isHuge = false } of bounds) {
    it(`${name} has a bound, which docs/security.md has`, async () => {
      const row = PAGE.split('\n').find((line) => line.startsWith(`| ${name} `));
      assert.ok(row, `no row for ${name}`);
      assert.match(row, new RegExp(`\\| ${most.toLocaleString('en')} `));
      if (!isHuge) {
        const inside = await Promise.resolve(most)
          .then(use)
          .catch((error: Error) => error);
        if (inside instanceof assert.AssertionError) throw inside;
        if (inside instanceof Error)
          assert.doesNotMatch(inside.message, new RegExp(`\\b${most}\\b`), 'refused for the bound');
      }
      await assert.rejects(Promise.resolve(most + above).then(use), (error: Error & { code?: string }) => {
        if (code === undefined) assert.equal(error.name, 'RangeError', String(error));
        else assert.equal(error.code, code, String(error));
        assert.ok(error.message.length < 500);
        return true;
      });
    });
  }
});
