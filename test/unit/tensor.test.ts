import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import {
  bfloat16ToNumber,
  DTYPES,
  float16ToNumber,
  numberToBfloat16,
  numberToFloat16,
} from '../../lib/core/dtype';
import type { DType } from '../../lib/core/dtype';
import { addon } from '../../lib/native/binding';
import { Tensor } from '../../lib/tensor';

const range = (count: number) => Float32Array.from({ length: count }, (_, index) => index);

describe('Tensor', () => {
  it('keeps type, dims and elements of every dtype', () => {
    for (const type of Object.keys(DTYPES) as DType[]) {
      const tensor = new Tensor(type, [0, 1, 1, 0, 1, 1], [2, 3]);
      assert.equal(tensor.type, type);
      assert.equal(tensor.dtype, type);
      assert.deepEqual(tensor.dims, [2, 3]);
      assert.deepEqual(tensor.shape, [2, 3]);
      assert.equal(tensor.size, 6);
      assert.equal(tensor.device, 'cpu');
      assert.ok(tensor.data instanceof DTYPES[type].array);
      const expected = type === 'bool' ? [false, true] : type === 'int64' ? [0n, 1n] : [0, 1];
      const [zero, one] = expected;
      assert.deepEqual(tensor.tolist(), [
        [zero, one, one],
        [zero, one, one],
      ]);
    }
  });

  it('copies what it is given and hands its data out without a copy', () => {
    const source = range(4);
    const tensor = new Tensor('float32', source, [4]);
    source[0] = 9;
    assert.equal(tensor.data[0], 0);
    assert.equal(tensor.data, tensor.data);
    tensor.data[1] = 7;
    assert.deepEqual(tensor.slice([1, 2]).tolist(), [7]);
  });

  it('reads a typed array that is a part of its buffer', () => {
    assert.deepEqual(new Tensor('float32', range(6).subarray(2, 4), [2]).tolist(), [2, 3]);
  });

  it('keeps data alive after the handle was disposed', () => {
    const tensor = new Tensor('float32', range(3), [3]);
    const { data } = tensor;
    tensor.dispose();
    tensor.dispose();
    assert.equal(tensor.disposed, true);
    assert.deepEqual(Array.from(data as Float32Array), [0, 1, 2]);
    assert.deepEqual(tensor.dims, [3]);
    for (const use of [
      () => tensor.data,
      () => tensor.tolist(),
      () => tensor.slice(0),
      () => tensor.reshape(3),
    ])
      assert.throws(use, {
        name: 'Sam3TrackerError',
        code: 'DISPOSED',
        message: 'This tensor has been disposed.',
      });
  });

  it('rejects asynchronous calls after dispose', async () => {
    const tensor = new Tensor('float32', range(3), [3]);
    tensor.dispose();
    await assert.rejects(tensor.to('float16'), { code: 'DISPOSED' });
    await assert.rejects(tensor.argmax(), { code: 'DISPOSED' });
  });

  it('slices by index, range and null, with negatives, as torch does', () => {
    const tensor = new Tensor('float32', range(24), [2, 3, 4]);
    assert.deepEqual(tensor.slice(null, null, 1).tolist(), [
      [1, 5, 9],
      [13, 17, 21],
    ]);
    assert.deepEqual(tensor.slice(-1, [1, null], [0, -2]).tolist(), [
      [16, 17],
      [20, 21],
    ]);
    assert.deepEqual(tensor.slice(0, 2, 3).tolist(), 11);
    assert.deepEqual(tensor.slice([1, 1]).dims, [0, 3, 4]);
    assert.deepEqual(tensor.slice(null, [-2, 99]).dims, [2, 2, 4]);
    assert.throws(() => tensor.slice(2), RangeError);
    assert.throws(() => tensor.slice(0, 0, 0, 0), RangeError);
    assert.throws(() => tensor.slice('a' as never), TypeError);
    assert.throws(() => tensor.slice(0.5), RangeError);
  });

  it('reshapes, squeezes and unsqueezes', () => {
    const tensor = new Tensor('int32', [1, 2, 3, 4], [1, 2, 2]);
    assert.deepEqual(tensor.reshape(4, -1).dims, [4, 1]);
    assert.deepEqual(tensor.squeeze().dims, [2, 2]);
    assert.deepEqual(tensor.squeeze(1).dims, [1, 2, 2]);
    assert.deepEqual(tensor.unsqueeze(-1).dims, [1, 2, 2, 1]);
    assert.throws(() => tensor.reshape(3), RangeError);
    assert.throws(() => tensor.reshape(-1, -1), RangeError);
    assert.throws(() => tensor.squeeze(3), RangeError);
  });

  it('finds the largest element', async () => {
    const tensor = new Tensor('float32', [3, 9, 1, 4, 5, 6], [2, 3]);
    assert.equal((await tensor.argmax()).item(), 1n);
    assert.deepEqual((await tensor.argmax(1)).tolist(), [1n, 2n]);
    assert.deepEqual((await tensor.argmax(-2, true)).dims, [1, 3]);
    await assert.rejects(tensor.argmax(2), RangeError);
    await assert.rejects(new Tensor('float32', [], [0]).argmax(), RangeError);
  });

  it('converts between dtypes as torch does', async () => {
    const tensor = new Tensor('float32', [1.5, -2.25, 70000, 0.1], [4]);
    assert.deepEqual((await tensor.to('int64')).tolist(), [1n, -2n, 70000n, 0n]);
    assert.deepEqual((await tensor.to('bool')).tolist(), [true, true, true, true]);
    assert.deepEqual((await tensor.to({ dtype: 'float16' })).tolist(), [
      1.5,
      -2.25,
      Infinity,
      0.0999755859375,
    ]);
    assert.deepEqual((await tensor.to('bfloat16')).tolist(), [1.5, -2.25, 70144, 0.10009765625]);
    assert.equal((await tensor.to('cpu', 'float16')).type, 'float16');
    await assert.rejects(tensor.to('float16', 'float32'), /Expected a device before a dtype for Tensor\.to/);
    await assert.rejects(tensor.to('cpu', 'float17' as never), RangeError);
    assert.equal((await tensor.cpu()).type, 'float32');
    await assert.rejects(tensor.to('float8' as never), RangeError);
    await assert.rejects(tensor.to('auto' as never), RangeError);
  });

  it('encodes half precision as the addon decodes it', async () => {
    const numbers = [
      0,
      -0,
      1,
      -1,
      65504,
      65519,
      65520,
      6e-8,
      2 ** -24,
      2 ** -25,
      1 / 3,
      1e-5,
      Infinity,
      -Infinity,
      2049,
      0.1,
    ];
    for (let index = 0; index < 500; index++)
      numbers.push((Math.random() - 0.5) * 10 ** (Math.random() * 14 - 8));
    const floats = new Tensor('float32', numbers, [numbers.length]);
    for (const [type, encode, decode] of [
      ['float16', numberToFloat16, float16ToNumber],
      ['bfloat16', numberToBfloat16, bfloat16ToNumber],
    ] as const) {
      const expected = (await floats.to(type)).tolist() as number[];
      const rounded = floats.tolist() as number[];
      assert.deepEqual(
        rounded.map((value) => decode(encode(value))),
        expected,
        type,
      );
    }
    assert.ok(Number.isNaN(float16ToNumber(numberToFloat16(NaN))));
    assert.ok(Number.isNaN(bfloat16ToNumber(numberToBfloat16(NaN))));
  });

  it('refuses wrong elements, types and dims by name', () => {
    assert.throws(() => new Tensor('float99' as never, [1], [1]), { name: 'TypeError', message: /for type/ });
    assert.throws(() => new Tensor('float32', [1, 2], [3]), {
      name: 'RangeError',
      message: /3 elements for dims \[3\]/,
    });
    assert.throws(() => new Tensor('float32', new Float64Array(2), [2]), {
      name: 'TypeError',
      message: /Float32Array/,
    });
    assert.throws(() => new Tensor('float32', ['a'] as never, [1]), {
      name: 'TypeError',
      message: /data\[0\]/,
    });
    assert.throws(() => new Tensor('float32', [1], 1 as never), { name: 'TypeError', message: /dims/ });
    assert.throws(() => new Tensor('float32', [1], [-1]), RangeError);
    assert.throws(() => new Tensor('float32', [], [1.5]), RangeError);
    assert.throws(() => new Tensor('float32', null as never, [1]), TypeError);
    assert.throws(() => new Tensor('float32', [1, 2], [2]).item(), RangeError);
  });

  it('gives every view a handle of its own', () => {
    const tensor = new Tensor('float32', [1, 2, 3], [3]);
    for (const view of [tensor.slice(), tensor.slice(null), tensor.slice([0, 3]), tensor.reshape(3)])
      view.dispose();
    assert.deepEqual(tensor.tolist(), [1, 2, 3]);
    const scalar = tensor.slice(0);
    scalar.slice().dispose();
    assert.equal(scalar.item(), 1);
  });

  it('tells V8 of memory once, however many handles keep it', async () => {
    const collections: number[] = [];
    const observer = new PerformanceObserver((list) =>
      (list.getEntries() as unknown as { detail: { kind: number } }[]).forEach(({ detail }) =>
        collections.push(detail.kind),
      ),
    );
    observer.observe({ entryTypes: ['gc'] });
    // Larger than what V8 takes before it looks for garbage.
    const large = new Tensor('uint8', new Uint8Array(2 ** 26), [16, 2 ** 22]);
    const views: Tensor[] = [];
    for (let index = 0; index < 64; index++) {
      views.push(large.slice(index % 16), large.reshape(2 ** 26));
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    observer.disconnect();
    [large, ...views].forEach((tensor) => tensor.dispose());
    const major = collections.filter((kind) => kind === constants.NODE_PERFORMANCE_GC_MAJOR);
    assert.ok(major.length <= 8, `128 handles of one tensor made V8 collect ${major.length} times`);
  });

  it('takes integers of their range only for integer dtypes', () => {
    for (const [type, value] of [
      ['uint8', 300],
      ['uint8', -1],
      ['int8', 128],
      ['int32', 1.7],
      ['int32', NaN],
      ['int16', 40000],
    ] as const)
      assert.throws(
        () => new Tensor(type, [value], [1]),
        { name: 'RangeError', message: /data\[0\]/ },
        `${type} ${value}`,
      );
    assert.deepEqual(new Tensor('int8', [-128, 127], [2]).tolist(), [-128, 127]);
  });

  it('reads shared memory by a copy', () => {
    const shared = new Float32Array(new SharedArrayBuffer(8));
    shared.set([4, 5]);
    assert.deepEqual(new Tensor('float32', shared, [2]).tolist(), [4, 5]);
  });

  it('refuses a target of to() that names nothing, or something unknown', async () => {
    const tensor = new Tensor('float32', [1], [1]);
    for (const target of [undefined, null, {}, { devcie: 'cpu' }, true])
      await assert.rejects(tensor.to(target as never), TypeError);
  });

  it('says DEVICE_UNAVAILABLE for a device that is not there', async function () {
    if (addon().runtimeInfo().cudaDevices > 0) return this.skip();
    await assert.rejects(new Tensor('float32', [1], [1]).to('cuda'), {
      name: 'Sam3TrackerError',
      code: 'DEVICE_UNAVAILABLE',
      message: /Device cuda:0 is not available/,
    });
  });

  it('refuses objects of others where a handle belongs', () => {
    const handle = new Tensor('float32', [1], [1]).handle;
    const options = { device: 'cpu', dtype: 'float32' as const };
    const to = Reflect.get(handle, 'to') as (options: object) => unknown;
    for (const stranger of [
      {},
      new Map(),
      Buffer.from('x'),
      Object.create(Object.getPrototypeOf(handle) as object) as object,
    ])
      assert.throws(() => Reflect.apply(to, stranger, [options]), TypeError);
    assert.throws(() => addon().postProcessMasks({ masks: [{}] } as never), {
      name: 'TypeError',
      message: 'Expected a Tensor for masks.',
    });
  });
});
