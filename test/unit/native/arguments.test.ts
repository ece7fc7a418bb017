/** What native code says of fields that are missing or wrong: each by its one name. */
import assert from 'node:assert/strict';
import { addon, makeNativeTensor, type NativeBinding } from '../../../lib/native/binding';

const batch = {
  device: 'cpu',
  dtype: 'float32',
  eager_attention: false,
  backbone_feature_sizes: [[96, 96], [48, 48], [24, 24]], // prettier-ignore
  hidden_size: 64,
  num_multimask_outputs: 3,
  max_memory: 1e9,
};

const pixels = makeNativeTensor('uint8', [12], new Uint8Array(12));
const image = { data: pixels, size: [2, 2], channels: 3, layout: 'HWC', convert_rgb: false };
const preprocess = {
  ...{ images: [image], resize: null, center_crop: null, scale: null, mean: null, std: null, pad: null },
  ...{ output_layout: 'CHW', output_dtype: null, device: 'cpu' },
};

describe('fields of native options', () => {
  for (const [name, options, message] of [
    ['batchMemory', null, 'Expected an object for options.'],
    ['batchMemory', { ...batch, device: 0 }, 'Expected a string for device.'],
    ['batchMemory', { ...batch, hidden_size: '64' }, 'Expected a number for hidden_size.'],
    ['batchMemory', { ...batch, hidden_size: 64.5 }, 'Expected an integer for hidden_size.'],
    ['batchMemory', { ...batch, hidden_size: 2 ** 60 }, 'Expected an integer for hidden_size.'],
    ['batchMemory', { ...batch, eager_attention: 1 }, 'Expected a boolean for eager_attention.'],
    [
      'batchMemory',
      { ...batch, backbone_feature_sizes: [[96]] },
      'Expected [height, width] for backbone_feature_sizes.',
    ],
    ['postProcessMasks', { masks: [{}] }, 'Expected a Tensor for masks.'],
    ['suppressOverlaps', { scores: [1], boxes: [[1, 2, 3]] }, 'Expected [x1, y1, x2, y2] for boxes.'],
    ['removeSmallRegions', { masks: [[1]] }, 'Expected a Uint32Array for masks.'],
    ['preprocessImages', { ...preprocess, center_crop: 3 }, 'Expected an array for center_crop.'],
    ['preprocessImages', { ...preprocess, scale: undefined }, 'Expected a number for scale.'],
    ['preprocessImages', { ...preprocess, images: [1] }, 'Expected an object for images.'],
    [
      'preprocessImages',
      { ...preprocess, images: [{ ...image, convert_rgb: null }] },
      'Expected a boolean for convert_rgb.',
    ],
    [
      'preprocessImages',
      { ...preprocess, images: [{ ...image, data: new Uint8Array(12) }] },
      'Expected a Tensor for data.',
    ],
    ['loadTrackerModel', {}, 'Expected a string for vision_encoder.'],
  ] as [keyof NativeBinding, object | null, string][])
    it(`are named: ${message}`, () => {
      assert.throws(() => (addon()[name] as (options: unknown) => unknown)(options), {
        name: 'TypeError',
        message,
      });
    });

  it('are read', async () => {
    const { least, points } = addon().batchMemory(batch as never);
    // With the decoder's kernels or without.
    assert.ok([1769472, 1843200].includes(least), String(least));
    assert.equal(points, Infinity);
    const [values] = await addon().preprocessImages(preprocess as never);
    assert.deepEqual(values.dims, [1, 3, 2, 2]);
  });
});
