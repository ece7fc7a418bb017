/** What the processor refuses by a name of its own, where the reference crashes, guesses or drops something. */
import assert from 'node:assert/strict';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import { Tensor } from '../../../lib/tensor';

type Options = Parameters<Sam3TrackerProcessor>[0];

describe('Sam3TrackerProcessor refuses', () => {
  const processor = new Sam3TrackerProcessor(
    new Sam3ImageProcessor({ size: { height: 24, width: 24 }, mask_size: { height: 8, width: 8 } }),
    1008,
  );
  const image = { data: new Uint8Array(4 * 6 * 3), dims: [4, 6, 3] };
  const sizes = [[60, 90]];

  const refusals: [
    what: string,
    options: object,
    kind: typeof RangeError | typeof TypeError,
    message: RegExp,
  ][] = [
    [
      'NaN',
      { original_sizes: sizes, input_points: [[[[NaN, 1]]]] },
      RangeError,
      /finite.*input_points\[0\]\[0\]\[0\]\[0\].*NaN/,
    ],
    [
      'an infinity',
      { original_sizes: sizes, input_boxes: [[[1, 1, Infinity, 2]]] },
      RangeError,
      /finite.*input_boxes\[0\]\[0\]\[2\]/,
    ],
    [
      'what float32 cannot hold',
      { original_sizes: sizes, input_points: [[[[1, 1e39]]]] },
      RangeError,
      /finite/,
    ],
    [
      'what overflows when normalised',
      { original_sizes: sizes, input_points: [[[[3e38, 1]]]] },
      RangeError,
      /the normalised/,
    ],
    [
      'an unknown label',
      { original_sizes: sizes, input_labels: [[[4]]] },
      RangeError,
      /-10, -1, 0, 1, 2, 3.*received 4/,
    ],
    ['a fractional label', { original_sizes: sizes, input_labels: [[[0.5]]] }, RangeError, /received 0\.5/],
    ['a label NaN', { original_sizes: sizes, input_labels: [[[NaN]]] }, RangeError, /received NaN/],
    ['labels without one', { original_sizes: sizes, input_labels: [[[]]] }, RangeError, /at least one/],
    [
      'boxes without one',
      { original_sizes: sizes, input_boxes: new Tensor('float32', [], [1, 0, 4]) },
      RangeError,
      /at least one box/,
    ],
    [
      'points without one',
      { original_sizes: sizes, input_points: new Tensor('float32', [], [1, 1, 0, 2]) },
      RangeError,
      /at least one/,
    ],
    [
      'three coordinates',
      { original_sizes: sizes, input_points: [[[[1, 2, 3]]]] },
      RangeError,
      /2 as the last dimension, got 3/,
    ],
    ['one coordinate', { original_sizes: sizes, input_points: [[[[1, 2], [3]]]] }, RangeError, /got 1/],
    [
      'a short box',
      { original_sizes: sizes, input_boxes: [[[1, 2, 3]]] },
      RangeError,
      /4 as the last dimension, got 3/,
    ],
    [
      'a number for a list',
      { original_sizes: sizes, input_points: [[[[1, 2]], [3]]] },
      TypeError,
      /input_points\[0\]\[1\]\[0\]/,
    ],
    [
      'a list for a number',
      { original_sizes: sizes, input_points: [[[[1, [2]]]]] },
      TypeError,
      /input_points\[0\]\[0\]\[0\]\[1\]/,
    ],
    [
      'null for a number',
      { original_sizes: sizes, input_points: [[[[null, 1]]]] },
      TypeError,
      /number.*null/,
    ],
    ['a number for points', { original_sizes: sizes, input_points: 5 }, TypeError, /input_points/],
    ['text for labels', { original_sizes: sizes, input_labels: 'a' }, TypeError, /input_labels/],
    [
      'points of more images',
      { original_sizes: sizes, input_points: [[[[1, 2]]], [[[1, 2]]]] },
      RangeError,
      /2 images.*is 1 image/,
    ],
    [
      'points of fewer images',
      { images: [image, image], input_points: [[[[1, 2]]]] },
      RangeError,
      /1 image,.*are 2 images/,
    ],
    [
      'boxes of more images',
      { images: image, input_boxes: [[[1, 2, 3, 4]], [[1, 2, 3, 4]]] },
      RangeError,
      /input_boxes is for 2/,
    ],
    ['a flat size', { original_sizes: [60, 90] }, TypeError, /original_sizes\[0\]/],
    ['three sides', { original_sizes: [[60, 90, 3]] }, RangeError, /\[height, width\]/],
    ['a size of zero', { original_sizes: [[0, 90]] }, RangeError, /positive/],
    ['no sizes', { original_sizes: [] }, RangeError, /at least one image/],
    [
      'sizes of other images',
      { images: image, original_sizes: [[6, 4]] },
      RangeError,
      /not the sizes of the images/,
    ],
    [
      'elements that do not fill the dims',
      { original_sizes: sizes, input_points: { data: [1], dims: [1, 1, 1, 2] } },
      RangeError,
      /2 elements/,
    ],
    [
      'an unknown option',
      { original_sizes: sizes, input_point: [] },
      TypeError,
      /"input_point".*Did you mean "input_points"/,
    ],
    ['a misspelt image option', { images: image, do_resise: true }, TypeError, /Did you mean "do_resize"/],
    [
      'an image option without images',
      { original_sizes: sizes, do_resize: true },
      RangeError,
      /do_resize.*no effect/,
    ],
    [
      'maps without images',
      { original_sizes: sizes, segmentation_maps: image },
      RangeError,
      /segmentation_maps.*no effect/,
    ],
    [
      'a number for return_tensors',
      { original_sizes: sizes, return_tensors: 5 },
      TypeError,
      /return_tensors/,
    ],
  ];
  for (const [what, options, kind, message] of refusals)
    it(what, () =>
      assert.rejects(processor(options as Options), (error: Error) => {
        assert.ok(error instanceof kind, String(error));
        assert.match(error.message, message);
        return true;
      }),
    );
});
