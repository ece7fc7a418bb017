/** Prompts without the addon: nesting, padding, and the rounding of normalised coordinates. */
import assert from 'node:assert/strict';
import {
  prepareBoxes,
  prepareLabels,
  preparePoints,
  type Normalization,
} from '../../../lib/processor/prompt-arrays';
import { checkPrompts, nestedDimensions, toNestedList, validatePrompt } from '../../../lib/processor/prompts';

const how: Normalization = { sizes: [[63, 126]], targetSize: 1008, padValue: -10, division: 'exact' };

describe('prompts', () => {
  it('become nested lists from any mix of forms', () => {
    const mixed = [[Float32Array.of(1, 2), [3n, true]], { data: Int16Array.of(5, 6, 7, 8), dims: [2, 2] }];
    assert.deepEqual(toNestedList(mixed, 'x'), [
      [
        [1, 2],
        [3, 1],
      ],
      [
        [5, 6],
        [7, 8],
      ],
    ]);
    assert.throws(() => toNestedList({ data: [1], dims: [2] }, 'x'), /2 elements for dims \[2\].*x\.data/);
    assert.throws(() => toNestedList({ data: 'ab', dims: [2] }, 'x'), TypeError);
    assert.throws(() => toNestedList({ data: [1], dims: [-1] }, 'x'), TypeError);
    assert.throws(() => toNestedList(new DataView(new ArrayBuffer(4)), 'x'), TypeError);
  });

  it('have the largest length at each level', () => {
    assert.deepEqual(nestedDimensions([[[1], [2, 3]], [], [[4]]]), [3, 2, 2]);
    assert.deepEqual(nestedDimensions([]), [0]);
  });

  it('are not changed by the checks', () => {
    const points = [[[[1, 2]]], [[[3, 4]], [[5, 6]]]];
    const before = structuredClone(points);
    const { points: checked } = checkPrompts(points, null, null);
    assert.ok(checked);
    preparePoints(checked, {
      ...how,
      sizes: [
        [63, 126],
        [6, 9],
      ],
    });
    assert.deepEqual(points, before);
    assert.equal(validatePrompt(null, 'boxes'), null);
  });

  it('are padded with the padding value, which is not normalised', () => {
    const { data, dims } = preparePoints(
      [
        [[[63, 31.5]], []],
        [
          [
            [1, 1],
            [2, 2],
          ],
        ],
      ],
      {
        ...how,
        sizes: [
          [63, 126],
          [1008, 1008],
        ],
      },
    );
    assert.deepEqual(dims, [2, 2, 2, 2]);
    assert.deepEqual([...data], [504, 504, -10, -10, -10, -10, -10, -10, 1, 1, 2, 2, -10, -10, -10, -10]);
    const labels = prepareLabels([[[1], []], [[0, 1]]], {
      sizes: [
        [1, 1],
        [1, 1],
      ],
      padValue: -10,
    });
    assert.deepEqual([...labels.data], [1n, -10n, -10n, -10n, 0n, 1n, -10n, -10n]);
  });

  it('are scaled by width in x and by height in y, boxes without regard to padding', () => {
    const { data, dims } = prepareBoxes(
      [
        [
          [0, 0, 126, 63],
          [-10, 31.5, 63, 10],
        ],
      ],
      how,
    );
    assert.deepEqual(dims, [1, 2, 4]);
    assert.deepEqual([...data], [0, 0, 1008, 1008, -80, 504, 504, 160]);
  });

  it('are rounded as torch rounds, by either division', () => {
    const one = { ...how, sizes: [[15, 15]] as [number, number][] };
    // float32(1008 / 15), and float32(float32(1 / 15) * 1008).
    assert.equal(preparePoints([[[[1, 1]]]], one).data[0], 67.19999694824219);
    assert.equal(preparePoints([[[[1, 1]]]], { ...one, division: 'reciprocal' }).data[0], 67.20000457763672);
  });
});
