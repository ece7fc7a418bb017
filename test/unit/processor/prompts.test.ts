/** Prompts: nesting, padding, and the rounding of normalised coordinates. */
import assert from 'node:assert/strict';
import {
  prepareCoordinates,
  prepareLabels,
  readPrompt,
  readPrompts,
  type Normalization,
  type PromptKind,
} from '../../../lib/processor/prompts';
import type { Rows } from '../../../lib/image/nested-numbers';

const how: Normalization = { sizes: [[63, 126]], targetSize: 1008, padValue: -10, division: 'exact' };
const two: [number, number][] = [
  [63, 126],
  [1008, 1008],
];
const read = (value: unknown, kind: PromptKind): Rows => readPrompt(value, kind) as Rows;

describe('prompts', () => {
  it('are not changed', () => {
    const points = [[[[1, 2]]], [[[3, 4]], [[5, 6]]]];
    const before = structuredClone(points);
    prepareCoordinates(read(points, 'points'), 'points', { ...how, sizes: two });
    assert.deepEqual(points, before);
    assert.equal(readPrompt(null, 'boxes'), null);
  });

  it('are padded with the padding value, which is not normalised', () => {
    const second = [
      [1, 1],
      [2, 2],
    ];
    const points = read([[[[63, 31.5]], []], [second]], 'points');
    const { data, dims } = prepareCoordinates(points, 'points', { ...how, sizes: two });
    assert.deepEqual(dims, [2, 2, 2, 2]);
    assert.deepEqual([...data], [504, 504, -10, -10, -10, -10, -10, -10, 1, 1, 2, 2, -10, -10, -10, -10]);
    const labels = prepareLabels(read([[[1], []], [[0, 1]]], 'labels'), { ...how, sizes: two });
    assert.deepEqual([...labels.data], [1n, -10n, -10n, -10n, 0n, 1n, -10n, -10n]);
  });

  it('are scaled by width in x and by height in y, boxes without regard to padding', () => {
    const boxes = [
      [0, 0, 126, 63],
      [-10, 31.5, 63, 10],
    ];
    const { data, dims } = prepareCoordinates(read([boxes], 'boxes'), 'boxes', how);
    assert.deepEqual(dims, [1, 2, 4]);
    assert.deepEqual([...data], [0, 0, 1008, 1008, -80, 504, 504, 160]);
  });

  it('are rounded as torch rounds, by either division', () => {
    const one = { ...how, sizes: [[15, 15]] as [number, number][] };
    const first = (division: Normalization['division']): number =>
      prepareCoordinates(read([[[[1, 1]]]], 'points'), 'points', { ...one, division }).data[0];
    // float32(1008 / 15), and float32(float32(1 / 15) * 1008).
    assert.equal(first('exact'), 67.19999694824219);
    assert.equal(first('reciprocal'), 67.20000457763672);
  });

  it('are refused at once where dims promise what no element fills', () => {
    const empty = (...dims: number[]): object => ({ data: [], dims });
    const few = /Expected at least one .* but received dims \[1, 500000000, 0\]\.$/;
    assert.throws(() => readPrompts(empty(1, 500_000_000, 0, 2), null, null), few);
    assert.throws(() => readPrompts(null, empty(1, 500_000_000, 0), null), few);
    const many = /Expected at most 4194304 numbers of padding for input_.* dims \[2, 500000000/;
    assert.throws(() => readPrompts([[[[1, 2]]], empty(500_000_000, 0, 2)], null, null), many);
    assert.throws(() => readPrompts([[[[1, 2]]], empty(500_000_000, 1, 0)], null, null), many);
    assert.throws(() => readPrompts(null, [[[1]], empty(500_000_000, 0)], null), many);
    assert.throws(() => readPrompts(null, null, [[[1, 2, 3, 4]], empty(2 ** 52, 0)]), /got 0\.$/);
    assert.throws(() => readPrompts(new Array(2 ** 31), null, null), /Got 1 levels/);
  });
});
