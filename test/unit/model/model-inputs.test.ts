/** What Sam3TrackerModel's methods refuse: transformers' errors with its wording, and named ones of ours. */
import assert from 'node:assert/strict';
import { Sam3TrackerModel } from '../../../lib/model/modeling-sam3-tracker';
import { Tensor } from '../../../lib/tensor';
import {
  BUNDLED_MODEL,
  assertSameBits,
  boxes,
  float32,
  labels,
  pixels,
  points,
} from '../../support/bundled-model';

describe('inputs of Sam3TrackerModel', () => {
  let model: Sam3TrackerModel;
  let embeddings: Tensor[];

  before(async () => {
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    embeddings = await model.get_image_embeddings(pixels());
  });
  after(() => model?.dispose());

  const refusals: [what: string, inputs: () => object, kind: typeof TypeError, message: string | RegExp][] = [
    [
      'no image',
      () => ({}),
      RangeError,
      /^Exactly one of pixel_values or image_embeddings must be provided\. .*forget await\?$/,
    ],
    [
      'pixel_values and image_embeddings',
      () => ({ pixel_values: pixels(), image_embeddings: embeddings }),
      RangeError,
      'Exactly one of pixel_values or image_embeddings must be provided.',
    ],
    [
      'both null',
      () => ({ pixel_values: null, image_embeddings: null }),
      RangeError,
      /^Exactly one of pixel_values or image_embeddings must be provided\./,
    ],
    [
      'points and boxes of different counts',
      () => ({ pixel_values: pixels(), input_points: points(1, 2), input_boxes: boxes(1, 3) }),
      RangeError,
      'You should provide as many bounding boxes as input points per box. Got 2 and 3.',
    ],
    ['a misspelt name', () => ({ pixel_value: pixels() }), TypeError, /"pixel_value".*"pixel_values"/],
    ['an unknown name', () => ({ pixel_values: pixels(), beam_width: 2 }), TypeError, /"beam_width"/],
    ['pixels of another size', () => ({ pixel_values: float32(1, 3, 96, 96) }), RangeError, /pixel_values/],
    [
      'pixels without an axis of images',
      () => ({ pixel_values: float32(3, 192, 192) }),
      RangeError,
      /pixel_values/,
    ],
    [
      'no image in pixel_values',
      () => ({ pixel_values: float32(0, 3, 192, 192) }),
      RangeError,
      /pixel_values/,
    ],
    [
      'pixels of integers',
      () => ({ pixel_values: new Tensor('uint8', new Uint8Array(3 * 192 * 192), [1, 3, 192, 192]) }),
      TypeError,
      /pixel_values/,
    ],
    ['an empty list of embeddings', () => ({ image_embeddings: [] }), RangeError, /image_embeddings/],
    ['one level too few', () => ({ image_embeddings: embeddings.slice(1) }), RangeError, /image_embeddings/],
    [
      'levels in another order',
      () => ({ image_embeddings: [...embeddings].reverse() }),
      RangeError,
      /image_embeddings\[0\]/,
    ],
    [
      'embeddings of a larger model',
      () => ({
        image_embeddings: [float32(1, 32, 96, 96), float32(1, 64, 48, 48), float32(1, 256, 24, 24)],
      }),
      RangeError,
      /image_embeddings\[0\]/,
    ],
    [
      'levels of different image counts',
      () => ({ image_embeddings: [embeddings[0], embeddings[1], float32(2, 64, 24, 24)] }),
      RangeError,
      /image_embeddings\[2\]/,
    ],
    [
      'prompts for another number of images',
      () => ({ image_embeddings: embeddings, input_points: points(2) }),
      RangeError,
      /input_points/,
    ],
    [
      'boxes for another number of images',
      () => ({ image_embeddings: embeddings, input_boxes: boxes(3) }),
      RangeError,
      /input_boxes/,
    ],
    [
      'masks for another number of images',
      () => ({ pixel_values: pixels(2), input_masks: float32(1, 1, 96, 96) }),
      RangeError,
      /input_masks/,
    ],
    [
      'no object',
      () => ({ pixel_values: pixels(), input_points: float32(1, 0, 1, 2) }),
      RangeError,
      /input_points/,
    ],
    [
      'no point',
      () => ({ pixel_values: pixels(), input_points: float32(1, 1, 0, 2) }),
      RangeError,
      /input_points/,
    ],
    [
      'three coordinates',
      () => ({ pixel_values: pixels(), input_points: float32(1, 1, 1, 3) }),
      RangeError,
      /input_points/,
    ],
    [
      'points of three axes',
      () => ({ pixel_values: pixels(), input_points: float32(1, 1, 2) }),
      RangeError,
      /input_points/,
    ],
    [
      'boxes of four axes',
      () => ({ pixel_values: pixels(), input_boxes: float32(1, 1, 1, 4) }),
      RangeError,
      /input_boxes/,
    ],
    [
      'masks for another number of objects',
      () => ({ pixel_values: pixels(), input_points: points(1, 2), input_masks: float32(1, 3, 96, 96) }),
      RangeError,
      /input_masks/,
    ],
    [
      'labels of another count',
      () => ({ pixel_values: pixels(), input_points: points(1, 2, 2), input_labels: labels([1, 2, 3]) }),
      RangeError,
      /input_labels/,
    ],
    [
      'labels of floats',
      () => ({ pixel_values: pixels(), input_points: points(), input_labels: float32(1, 1, 1) }),
      TypeError,
      /input_labels/,
    ],
    [
      'points of booleans',
      () => ({ pixel_values: pixels(), input_points: new Tensor('bool', new Uint8Array(2), [1, 1, 1, 2]) }),
      TypeError,
      /input_points/,
    ],
    [
      'masks of booleans',
      () => ({
        pixel_values: pixels(),
        input_masks: new Tensor('bool', new Uint8Array(9), [1, 1, 3, 3]),
      }),
      TypeError,
      /input_masks/,
    ],
    [
      'nested arrays for points',
      () => ({ pixel_values: pixels(), input_points: [[[[1, 2]]]] }),
      TypeError,
      /input_points/,
    ],
    ['a Float32Array for pixels', () => ({ pixel_values: new Float32Array(9) }), TypeError, /pixel_values/],
    ['a text for pixels', () => ({ pixel_values: 'photo.jpg' }), TypeError, /pixel_values/],
    ['one Tensor for the levels', () => ({ image_embeddings: embeddings[0] }), TypeError, /image_embeddings/],
    [
      'null among the levels',
      () => ({ image_embeddings: [null, null, null] }),
      TypeError,
      /image_embeddings\[0\]/,
    ],
    [
      'a number for a switch',
      () => ({ pixel_values: pixels(), multimask_output: 1 }),
      TypeError,
      /multimask_output/,
    ],
    ['a list for the inputs', () => [pixels()], TypeError, /./],
    ...([NaN, Infinity, -Infinity] as const).flatMap((number): (typeof refusals)[number][] => [
      [
        `${number} among points`,
        () => ({
          image_embeddings: embeddings,
          input_points: new Tensor('float32', [5, 6, 7, number], [1, 1, 2, 2]),
        }),
        RangeError,
        'Expected finite coordinates for input_points but received NaN or an infinity.',
      ],
      [
        `${number} among boxes`,
        () => ({
          image_embeddings: embeddings,
          input_boxes: new Tensor('float32', [20, number, 120, 150], [1, 1, 4]),
        }),
        RangeError,
        'Expected finite coordinates for input_boxes but received NaN or an infinity.',
      ],
    ]),
    ...[-11, -9, -2, 4, 7].map((label): (typeof refusals)[number] => [
      `the label ${label}, which has no embedding`,
      () => ({
        image_embeddings: embeddings,
        input_points: points(),
        input_labels: labels([1, 1, 1], label),
      }),
      RangeError,
      'Expected labels -10, -1 or 0 to 3 for input_labels but received others.',
    ]),
    [
      'an object that only looks like a Tensor',
      () => ({ pixel_values: { ...pixels() } }),
      TypeError,
      /pixel_values/,
    ],
    [
      'a Tensor with a handle that is not ours',
      () => {
        const stranger = Object.create(Tensor.prototype) as Tensor;
        return {
          pixel_values: Object.assign(stranger, { handle: {}, dims: [1, 3, 192, 192], type: 'float32' }),
        };
      },
      TypeError,
      /pixel_values/,
    ],
  ];

  for (const [what, inputs, kind, message] of refusals) {
    it(`refuses ${what}`, async () => {
      await assert.rejects(
        () => model(inputs()),
        (error: Error) => {
          assert.equal(error.constructor, kind, `${error.name}: ${error.message}`);
          if (typeof message === 'string') assert.equal(error.message, message);
          else assert.match(error.message, message);
          return true;
        },
      );
    });
  }

  it('takes labels of every whole dtype', async () => {
    const given = { image_embeddings: embeddings, input_points: points() };
    const expected = await model({ ...given, input_labels: labels([1, 1, 1]) });
    for (const type of ['int32', 'int16', 'int8', 'uint8'] as const)
      assertSameBits(await model({ ...given, input_labels: new Tensor(type, [1], [1, 1, 1]) }), expected);
  });

  it('refuses embeddings of another dtype, and says how to convert them', async () => {
    const image_embeddings = await Promise.all(embeddings.map((level) => level.to('bfloat16')));
    await assert.rejects(model({ image_embeddings }), {
      name: 'RangeError',
      message: /dtype float32.*\.to\(/s,
    });
  });

  it('ignores exactly what the processor returns beside the inputs', async () => {
    const sizes = new Tensor('int64', [100n, 200n], [1, 2]);
    const inputs = { image_embeddings: embeddings, input_boxes: boxes() };
    const plain = await model(inputs);
    const ignored = { original_sizes: sizes, reshaped_input_sizes: sizes, labels: sizes };
    assertSameBits(await model({ ...inputs, ...ignored }), plain);
  });

  it('refuses points without labels in get_prompt_embeddings, as transformers does', async () => {
    await assert.rejects(model.get_prompt_embeddings({ input_points: points() }), {
      name: 'RangeError',
      message: 'If points are provided, labels must also be provided.',
    });
  });

  it('refuses coordinates and labels in get_prompt_embeddings as in forward', async () => {
    const input_points = new Tensor('float32', [NaN, 1], [1, 1, 1, 2]);
    await assert.rejects(model.get_prompt_embeddings({ input_points, input_labels: labels([1, 1, 1]) }), {
      name: 'RangeError',
      message: 'Expected finite coordinates for input_points but received NaN or an infinity.',
    });
    await assert.rejects(
      model.get_prompt_embeddings({ input_points: points(), input_labels: labels([1, 1, 1], 7) }),
      {
        name: 'RangeError',
        message: 'Expected labels -10, -1 or 0 to 3 for input_labels but received others.',
      },
    );
  });

  it('refuses unknown options in the other methods', async () => {
    await assert.rejects(model.get_image_features(pixels(), { hidden_states: true } as object), TypeError);
    await assert.rejects(model.get_prompt_embeddings({ points: points() } as object), TypeError);
  });

  it('asks for pixel values in the words of transformers', async () => {
    const refused = { name: 'RangeError', message: 'You have to specify pixel_values' };
    await assert.rejects(model.get_image_embeddings({} as never), TypeError);
    await assert.rejects(model.get_image_embeddings(null as never), refused);
    await assert.rejects(model.get_image_features(null as never), refused);
    await assert.rejects(model.get_image_features(5 as never), TypeError);
  });
});
