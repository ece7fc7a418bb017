/** BatchEncoding: its fields, and what moves and disposes of them. */
import assert from 'node:assert/strict';
import { BatchEncoding, type BatchFields } from '../../../lib/processor/batch-encoding';
import type { DType } from '../../../lib/core/dtype';
import { Tensor } from '../../../lib/tensor';

describe('BatchEncoding', () => {
  const fields = (): BatchFields => ({
    original_sizes: new Tensor('int64', [4, 6], [1, 2]),
    input_points: new Tensor('float32', [1, 2], [1, 1, 1, 2]),
    labels: undefined,
  });

  it('holds its fields alone', () => {
    const inputs = new BatchEncoding<Tensor>(fields());
    assert.deepEqual(Object.keys({ ...inputs }), ['original_sizes', 'input_points']);
    assert.deepEqual(inputs.keys(), ['original_sizes', 'input_points']);
    assert.deepEqual(
      inputs.items().map(([name]) => name),
      inputs.keys(),
    );
    assert.equal(inputs.values()[1], inputs.input_points);
    assert.equal(inputs.get('input_points'), inputs.input_points);
    assert.equal(inputs.get('labels'), undefined);
    assert.equal('labels' in inputs, false);
    assert.equal(inputs.get('to' as never), undefined);
  });

  it('casts floating fields only, and returns itself', async () => {
    const inputs = new BatchEncoding<Tensor>(fields());
    const before = inputs.input_points;
    for (const target of ['bfloat16' as DType, { dtype: 'float16' as DType }]) {
      assert.equal(await inputs.to(target), inputs);
      assert.equal(inputs.input_points?.type, typeof target === 'string' ? target : target.dtype);
      assert.equal(inputs.original_sizes.type, 'int64');
    }
    assert.equal(before?.disposed, false);
    await inputs.to('cpu');
    assert.equal(inputs.original_sizes.device, 'cpu');
    for (const target of ['nowhere', 'auto', 1.5, null, undefined])
      await assert.rejects(
        inputs.to(target as never),
        (error) => error instanceof RangeError || error instanceof TypeError,
      );
  });

  it('lets go of its Tensors, twice without harm', () => {
    const inputs = new BatchEncoding<Tensor>(fields());
    inputs.dispose();
    inputs[Symbol.dispose]();
    assert.ok(inputs.input_points?.disposed && inputs.original_sizes.disposed);
  });
});
