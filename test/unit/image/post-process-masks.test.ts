import assert from 'node:assert/strict';
import path from 'node:path';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import type { PostProcessArguments } from '../../../lib/image/post-process-masks';
import { Tensor } from '../../../lib/tensor';
import type { ArrayWithDims } from '../../../lib/core/types';
import { assertSame, type WrittenArray } from '../../support/image-assertions';
import { Draw, sample, theirs, type Sample } from '../../support/image-cases';
import { reference, type Reference } from '../../support/python';

describe('post_process_masks', () => {
  const processor = new Sam3ImageProcessor();
  const data = Float32Array.from({ length: 2 * 3 * 4 * 4 }, (_, index) => (index % 7) - 3);
  const masks = new Tensor('float32', data, [1, 2, 3, 4, 4]);
  const sizes: [number, number][] = [[5, 6]];

  it('takes sizes and options in every form', async () => {
    const expected = (await processor.post_process_masks(masks, sizes, { mask_threshold: 1 }))[0].tolist();
    const int64 = new Tensor('int64', BigInt64Array.of(5n, 6n), [1, 2]);
    const calls = [
      processor.post_process_masks(masks, int64, 1),
      processor.post_process_masks(masks, { data: Int32Array.of(5, 6), dims: [1, 2] }, 1, true, 0, 0, false),
      processor.post_process_masks(masks, sizes, [[1008, 1008]], { mask_threshold: 1 }),
      processor.post_process_masks(masks, sizes, int64, { mask_threshold: 1 }),
      processor.post_process_masks(masks, sizes, undefined, { mask_threshold: 1 }),
      processor.post_process_masks(masks, sizes, null, { mask_threshold: 1 }),
      processor.post_process_masks([masks.slice(0)], sizes, {
        mask_threshold: 1,
        reshaped_input_sizes: 1,
      }),
    ];
    for (const [index, call] of calls.entries())
      assert.deepEqual((await call)[0].tolist(), expected, `form ${index}`);
    const other = (await processor.post_process_masks(masks, sizes))[0];
    assert.deepEqual([...other.dims, other.type], [2, 3, 5, 6, 'bool']);
    assert.notDeepEqual(other.tolist(), expected);
    assert.equal(masks.disposed, false);
  });

  it('fills holes and removes sprinkles, each by its own area, by name and by position', async () => {
    // 12 x 12: a foreground square with one hole of 2 pixels, and a sprinkle of 3 pixels outside of it.
    const logits = new Float32Array(144).fill(-5);
    const at = (row: number, column: number): number => row * 12 + column;
    for (let row = 1; row < 8; row++) logits.fill(5, at(row, 1), at(row, 8));
    const hole = [at(3, 3), at(3, 4)];
    const sprinkle = [at(10, 9), at(10, 10), at(11, 10)];
    for (const index of hole) logits[index] = -5;
    for (const index of sprinkle) logits[index] = 5;
    const image = new Tensor('float32', logits, [1, 1, 1, 12, 12]);
    const whole: [number, number][] = [[12, 12]];
    const foreground = async (...args: PostProcessArguments): Promise<[boolean, boolean]> => {
      const [mask] = await processor.post_process_masks(image, whole, ...args);
      const all = (indices: number[]): boolean => {
        const values = new Set(indices.map((index) => mask.data[index]));
        assert.equal(values.size, 1);
        return Boolean([...values][0]);
      };
      return [all(hole), all(sprinkle)];
    };
    assert.deepEqual(await foreground(), [false, true]);
    assert.deepEqual(await foreground({ max_hole_area: 2 }), [true, true]);
    assert.deepEqual(await foreground({ max_hole_area: 1 }), [false, true]);
    assert.deepEqual(await foreground({ max_sprinkle_area: 3 }), [false, false]);
    assert.deepEqual(await foreground({ max_sprinkle_area: 2 }), [false, true]);
    assert.deepEqual(await foreground(0, true, 2, 2), [true, true]);
    assert.deepEqual(await foreground(0, true, 1, 3), [false, false]);
    assert.deepEqual(await foreground({ max_hole_area: 2, max_sprinkle_area: 3 }), [true, false]);
    assert.equal(logits[hole[0]], -5);
  });

  it('finishes a call whose masks are disposed of after it', async () => {
    const expected = (await processor.post_process_masks(masks, sizes))[0].tolist();
    const whole = new Tensor('float32', data, [1, 2, 3, 4, 4]);
    const part = new Tensor('float32', data, [2, 3, 4, 4]);
    const calls = [processor.post_process_masks(whole, sizes), processor.post_process_masks([part], sizes)];
    whole.dispose();
    part.dispose();
    for (const call of calls) assert.deepEqual((await call)[0].tolist(), expected);
  });

  it('takes sizes as tolist() gives them', async () => {
    const [expected] = await processor.post_process_masks(masks, sizes);
    const listed = new Tensor('int64', sizes.flat(), [sizes.length, 2]).tolist<bigint[][]>();
    const [found] = await processor.post_process_masks(masks, listed as unknown as [number, number][]);
    assert.equal(typeof listed[0][0], 'bigint');
    assert.deepEqual(found.tolist(), expected.tolist());
  });

  it('takes no images, and images without objects', async () => {
    assert.deepEqual(await processor.post_process_masks([], []), []);
    const none = new Tensor('float32', new Float32Array(0), [0, 3, 4, 4]);
    const [masksOfNone] = await processor.post_process_masks([none], sizes);
    assert.deepEqual([...masksOfNone.dims, masksOfNone.type], [0, 3, 5, 6, 'bool']);
  });

  it('refuses what does not fit, by name', async () => {
    const flat = new Tensor('float32', data, [2, 3, 4, 4]);
    const table: [unknown, unknown, unknown[], string, RegExp][] = [
      [
        ['a'],
        sizes,
        [],
        'TypeError',
        /^Input masks should be a list of `torch\.tensors` or a list of `np\.ndarray`$/,
      ],
      ['a', sizes, [], 'TypeError', /for masks/],
      [masks, [...sizes, ...sizes], [], 'RangeError', /each of the 1 images of masks but received 2\.$/],
      [masks, [[0, 6]], [], 'RangeError', /for original_sizes\[0\]\[0\] \(height\)/],
      [masks, [[5, 6, 7]], [], 'RangeError', /^Expected \[height, width\] for original_sizes\[0\]/],
      [masks, [['a', 6]], [], 'TypeError', /for original_sizes\[0\]\[0\]/],
      [masks, [[5.5, 6]], [], 'RangeError', /integer .* for original_sizes\[0\]\[0\] \(height\)/],
      [masks, 5, [], 'TypeError', /for original_sizes/],
      [masks, new Tensor('int64', BigInt64Array.of(5n, 6n), [2]), [], 'RangeError', /dims \(images, 2\)/],
      [flat, [...sizes, ...sizes], [], 'RangeError', /dims \(objects, masks, height, width\) for masks\[0\]/],
      [[new Tensor('int64', new BigInt64Array(1), [1, 1, 1, 1])], sizes, [], 'TypeError', /type int64/],
      [masks, sizes, [NaN], 'RangeError', /for mask_threshold/],
      [masks, sizes, [0, 1], 'TypeError', /for binarize/],
      [masks, sizes, [0, true, -1], 'RangeError', /for max_hole_area/],
      [masks, sizes, [0, true, 0, 'x'], 'TypeError', /for max_sprinkle_area/],
      [masks, sizes, [{ binarise: false }], 'TypeError', /Did you mean "binarize"\?/],
      [masks, sizes, [{}, true], 'TypeError', /^Expected no argument/],
      [masks, sizes, [0, true, 0, 0, false, 1], 'TypeError', /^Expected no argument for argument 8/],
    ];
    for (const [given, size, args, name, message] of table)
      await assert.rejects(
        processor.post_process_masks(given as Tensor, size as never, ...(args as [])),
        { name, message },
        `${message}`,
      );
    assert.equal(masks.disposed, false);
  });

  describe('compared with transformers', () => {
    let python: Reference | undefined;

    before(function () {
      python = reference(path.join(__dirname, '..', '..', 'support', 'image_reference.py'), this);
    });

    it('post-processes masks to the same booleans and logits', async () => {
      const draw = new Draw(3);
      const logits = (dims: number[]): Sample => {
        const { data, ...rest } = sample(draw, 'array', 'float32', dims);
        return { ...rest, data: (data as Float32Array).map((value) => value / 64 - 2) };
      };
      const masks = [logits([2, 3, 16, 16]), logits([1, 3, 16, 16])];
      const sizes: [number, number][] = [
        [33, 21],
        [9, 40],
      ];
      const tables: object[] = [
        {},
        { mask_threshold: 0.5 },
        { binarize: false },
        { binarize: false, apply_non_overlapping_constraints: true },
        { apply_non_overlapping_constraints: true },
      ];
      for (const options of tables) {
        const expected = (await python!.result('post_process_masks', {
          masks: masks.map(theirs),
          sizes,
          options,
        })) as WrittenArray[];
        const lists: (Tensor | ArrayWithDims)[][] = [
          masks.map(({ data, dims }) => new Tensor('float32', data, dims)),
          masks.map(({ data, dims }) => ({ data, dims })),
        ];
        for (const list of lists) {
          const results = await new Sam3ImageProcessor().post_process_masks(list as Tensor[], sizes, options);
          results.forEach((result, index) => {
            const what = `${JSON.stringify(options)} ${index}`;
            assertSame(result, expected[index], what);
          });
        }
      }
    });
  });
});
