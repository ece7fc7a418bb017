/** Where prompts of the command line may lie; how they are written is in cli.test.ts. */
import assert from 'node:assert/strict';
import { PromptCollector, checkInside } from '../../../lib/cli/prompts';

const IMAGE = { width: 600, height: 400 };

/** Objects of points and boxes as they are written, each an object of its own. */
function collect(points: readonly string[], boxes: readonly string[]): PromptCollector {
  const collector = new PromptCollector();
  for (const point of points) {
    collector.startObject();
    collector.addPoint(point);
  }
  for (const box of boxes) {
    collector.startObject();
    collector.addBox(box);
  }
  return collector;
}

describe('prompts and the image that they are for', () => {
  const outside: [what: string, points: string[], boxes: string[], named: string][] = [
    ['a point to the right', ['9999,1'], [], '--point 9999,1'],
    ['a point below', ['5,400.5'], [], '--point 5,400.5'],
    ['a point to the left', ['-1,5'], [], '--point -1,5'],
    ['a point above, beside the object', ['5,-0.1,0'], [], '--point 5,-0.1'],
    ['a point on the right edge', ['600,5'], [], '--point 600,5'],
    ['a point on the lower edge', ['5,400'], [], '--point 5,400'],
    ['a point of the second object', ['5,5', '601,5'], [], '--point 601,5'],
    ['a box that ends beyond', [], ['75,15,601,390'], '--box 75,15,601,390'],
    ['a box that begins above', [], ['75,-1,480,390'], '--box 75,-1,480,390'],
    ['a box after a point inside', ['5,5'], ['700,5,800,9'], '--box 700,5,800,9'],
  ];
  for (const [what, points, boxes, named] of outside)
    it(`refuses ${what}, and names the image's size`, () =>
      assert.throws(
        () => checkInside(collect(points, boxes).finish(), IMAGE),
        (error: Error) => {
          assert.ok(error instanceof RangeError);
          assert.equal(error.message, `${named} is not in the image of 600x400 pixels (width x height).`);
          return true;
        },
      ));

  it('takes what lies inside and on the edges', () =>
    checkInside(collect(['0,0', '599.9,399.9', '5.5,7'], ['0,0,600,400', '3,3,3,3']).finish(), IMAGE));
});
