/** Numbers in lists, typed arrays, arrays with dims and Tensors, in any mix. */
import assert from 'node:assert/strict';
import { Rows, dimsOf, type RowForm } from '../../../lib/image/nested-numbers';
import { readSizes } from '../../../lib/image/sizes';
import { Tensor } from '../../../lib/tensor';

const PAIRS: RowForm = {
  name: 'x',
  axes: ['groups', 'pairs'],
  width: 2,
  mayBeEmpty: true,
  wrongWidth: (width, name) => new RangeError(`${width} numbers in ${name}`),
};
const SINGLES: RowForm = { ...PAIRS, width: null };

/** [row, place, offset in the padded array] of each row. */
function listed(rows: Rows): unknown[] {
  const found: unknown[] = [];
  rows.forEach((row, place, offset) => found.push([[...row], [...place], offset]));
  return found;
}

/** A Tensor that says that it is on another device. */
function onDevice(tensor: Tensor): Tensor {
  const copy = (): Promise<Tensor> => Promise.resolve(new Tensor(tensor.type, tensor.data, tensor.dims));
  return Object.defineProperties(tensor, { device: { value: 'cuda:0' }, cpu: { value: copy } });
}

describe('nested numbers', () => {
  it('become rows from any mix of forms', () => {
    const scalar = new Tensor('bool', [true], []);
    const rows = new Rows(
      [
        [Float32Array.of(1, 2), [3n, scalar]],
        { data: Int16Array.of(5, 6, 7, 8, 9, 10), dims: [3, 2] },
        [new Tensor('float16', [0.5, 2], [2])],
      ],
      PAIRS,
    );
    assert.deepEqual(rows.dims, [3, 3]);
    assert.equal(rows.paddedLength, 18);
    assert.deepEqual(listed(rows), [
      [[1, 2], [0, 0], 0],
      [[3, 1], [0, 1], 2],
      [[5, 6], [1, 0], 6],
      [[7, 8], [1, 1], 8],
      [[9, 10], [1, 2], 10],
      [[0.5, 2], [2, 0], 12],
    ]);
    const singles = new Rows([[1, true], new Tensor('int64', [7n], [1]), []], SINGLES);
    assert.deepEqual(singles.dims, [3, 2]);
    assert.deepEqual(listed(singles), [
      [[1], [0, 0], 0],
      [[1], [0, 1], 1],
      [[7], [1, 0], 2],
    ]);
  });

  it('may lack rows, also as arrays without elements, whatever their other dims', () => {
    const empty = (...dims: number[]): object => ({ data: [], dims });
    const forms: [unknown, number[]][] = [
      [[], [0, 0]],
      [
        [[], []],
        [2, 0],
      ],
      [
        [[[]], [[], []]],
        [2, 2],
      ],
      [empty(2, 0, 2), [2, 0]],
      [empty(0, 2 ** 52, 2), [0, 0]],
      [
        [empty(0), empty(3, 0)],
        [2, 3],
      ],
      [empty(2 ** 52, 2, 0), [2 ** 52, 2]],
    ];
    for (const [value, dims] of forms) {
      const rows = new Rows(value, PAIRS);
      assert.deepEqual([rows.dims, rows.count], [dims, 0], JSON.stringify(value));
    }
  });

  it('are refused by the place of the fault', () => {
    const faults: [unknown, RegExp][] = [
      [5, /^TypeError: Expected a list, dims \(groups, pairs, 2\), for x but/],
      [[[[1, 2]], [3]], /^TypeError: Expected a list, dims \(2\), for x\[1\]\[0\]/],
      [[[[1, 'a']]], /^TypeError: Expected a number for x\[0\]\[0\]\[1\] but received "a"/],
      [[[[1, [2]]]], /^TypeError: Expected a number for x\[0\]\[0\]\[1\] but received \[2\]/],
      [[[[1, , 2]]], /^TypeError: Expected a number for x\[0\]\[0\]\[1\] but received undefined/],
      [new Array(2 ** 31), /^TypeError: Expected a list.* for x\[0\]/],
      [[[[1, 2, 3]]], /^RangeError: 3 numbers in x\[0\]\[0\]$/],
      [{ data: [1, 2, 3], dims: [1, 1, 3] }, /^RangeError: 3 numbers in x$/],
      [[Float32Array.of(1, 2)], /^RangeError: Expected dims \(pairs, 2\) for x\[0\] but received dims \[2\]/],
      [{ data: [], dims: [1, 1, 2, 0] }, /^RangeError: Expected dims \(groups, pairs, 2\) for x /],
      [{ data: [1], dims: [2] }, /^RangeError: Expected 2 elements for dims \[2\] for x\.data/],
      [{ data: 'ab', dims: [2] }, /^TypeError: .* x\.data/],
      [{ data: ['a', 'b'], dims: [1, 1, 2] }, /^TypeError: Expected a number for x\.data\[0\]/],
      [{ data: [1], dims: [-1] }, /^RangeError: .* x\.dims/],
      [new DataView(new ArrayBuffer(4)), /^TypeError: Expected a list/],
    ];
    for (const [value, message] of faults)
      assert.throws(
        () => new Rows(value, PAIRS),
        (error) => message.test(String(error)) || assert.fail(String(error)),
      );
    assert.throws(() => new Rows([[[1]]], SINGLES), /Expected a number for x\[0\]\[0\]/);
    assert.equal(dimsOf([1], 'x'), null);
    const gone = new Tensor('float32', [1, 2], [1, 1, 2]);
    gone.dispose();
    assert.throws(() => new Rows(gone, PAIRS), { code: 'DISPOSED' });
  });

  it('are fetched from other devices, each to its place', async () => {
    const tensor = onDevice(new Tensor('int64', [5, 6, 7, 8], [2, 2]));
    const rows = new Rows([[[1, 2]], tensor, [[3, 4]]], PAIRS);
    assert.equal(rows.isLoaded, false);
    await rows.load();
    assert.equal(rows.isLoaded, true);
    assert.deepEqual(
      listed(rows).map((row) => (row as unknown[])[0]),
      [
        [1, 2],
        [5, 6],
        [7, 8],
        [3, 4],
      ],
    );
  });
});

describe('readSizes', () => {
  it('reads every form, and waits only for other devices', async () => {
    const int64 = new Tensor('int64', [5, 6], [1, 2]);
    for (const value of [int64, [[5, 6]], [[5n, 6n]], [Int32Array.of(5, 6)], { data: [5, 6], dims: [1, 2] }])
      assert.deepEqual(readSizes(value, true), [[5, 6]]);
    const promised = readSizes(onDevice(int64), true);
    assert.ok(promised instanceof Promise);
    assert.deepEqual(await promised, [[5, 6]]);
    assert.deepEqual(readSizes([], true), []);
    assert.deepEqual(readSizes([[5.5, 6]], false), [[5.5, 6]]);
  });

  it('refuses sizes that are not positive, or no integers where they must be', () => {
    for (const side of [0, -1, NaN, Infinity])
      assert.throws(() => readSizes([[5, side]], false), /^RangeError.*original_sizes\[0\]\[1\] \(width\)/);
    assert.throws(() => readSizes([[5.5, 6]], true), /integer.*original_sizes\[0\]\[0\] \(height\)/);
  });
});
