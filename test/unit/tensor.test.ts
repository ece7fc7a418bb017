import assert from 'node:assert/strict';
import { constants, PerformanceObserver } from 'node:perf_hooks';
import { inspect } from 'node:util';
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
import { full, ones, ones_like, zeros, zeros_like } from '../../lib/tensor-functions';

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
    assert.deepEqual(Array.from(data), [0, 1, 2]);
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
    await assert.rejects(
      tensor.to('float16' as never, 'float32'),
      /Expected a device before a dtype for Tensor\.to/,
    );
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
      const expected = (await floats.to(type)).tolist<number[]>();
      const rounded = floats.tolist<number[]>();
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

  it('shows dtype, dims, device and the first elements', () => {
    const shown = (value: unknown): string => inspect(value, { breakLength: Infinity });
    const tensor = new Tensor('float32', range(24), [2, 3, 4]);
    const rest = "device: 'cpu'";
    assert.equal(
      shown(tensor),
      `Tensor { dtype: 'float32', dims: [ 2, 3, 4 ], ${rest}, data: [ 0, 1, 2, 3, 4, 5, 6, 7, ... 16 more items ] }`,
    );
    assert.match(
      shown(tensor.permute(2, 1, 0)),
      /data: \[ 0, 12, 4, 16, 8, 20, 1, 13, \.\.\. 16 more items \]/,
    );
    assert.equal(
      shown(new Tensor('int64', [1, 2], [2])),
      `Tensor { dtype: 'int64', dims: [ 2 ], ${rest}, data: [ 1n, 2n ] }`,
    );
    assert.match(shown(new Tensor('bfloat16', [1.5, NaN], [2])), /data: \[ 1\.5, NaN \]/);
    assert.match(shown(new Tensor('bool', [true], [])), /dims: \[\], device: 'cpu', data: \[ true \]/);
    assert.match(shown(new Tensor('float32', [], [2, 0])), /dims: \[ 2, 0 \], device: 'cpu', data: \[\]/);
    assert.equal(
      shown({ a: { b: { c: tensor } } }),
      '{ a: { b: { c: [Tensor(float32, [2, 3, 4], cpu)] } } }',
    );
    tensor.dispose();
    assert.match(shown(tensor), /dims: \[ 2, 3, 4 \], device: 'cpu', disposed: true/);
  });

  it('goes through JSON and comes back, every dtype', () => {
    const floats = [0, 1.5, NaN, Infinity, -Infinity, -2];
    const integers = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, 7n];
    const tensors: Tensor[] = [
      ...(['float32', 'float16', 'bfloat16', 'float64'] as const).map(
        (type) => new Tensor(type, floats, [2, 3]),
      ),
      ...(['int32', 'int16', 'int8', 'uint8', 'bool'] as const).map(
        (type) => new Tensor(type, [0, 1], [2, 1]),
      ),
      new Tensor('int64', integers, [4]),
      new Tensor('float32', [3], []),
      new Tensor('float32', [], [0, 2]),
      new Tensor('float32', range(6), [2, 3]).permute(1, 0),
    ];
    for (const tensor of tensors) {
      const text = JSON.stringify({ tensor });
      const back = Tensor.fromJSON((JSON.parse(text) as { tensor: unknown }).tensor);
      assert.deepEqual(
        [back.type, back.dims, back.tolist()],
        [tensor.type, tensor.dims, tensor.tolist()],
        text,
      );
    }
    assert.equal(
      JSON.stringify(new Tensor('int64', [5n, 2n ** 62n], [2])),
      '{"dtype":"int64","dims":[2],"data":[5,"4611686018427387904"]}',
    );
    for (const json of [
      null,
      1,
      [],
      {},
      { dtype: 'float32', dims: [1] },
      { dtype: 'float32', dims: [1], data: ['1'] },
    ])
      assert.throws(() => Tensor.fromJSON(json), TypeError);
    assert.throws(
      () => Tensor.fromJSON({ dtype: 'int64', dims: [1], data: ['9223372036854775808'] }),
      RangeError,
    );
  });

  it('refuses structured clones aloud, and says what to send', () => {
    const tensor = new Tensor('float32', [1], [1]);
    const { port1, port2 } = new MessageChannel();
    for (const clone of [
      () => structuredClone(tensor),
      () => structuredClone({ a: [tensor] }),
      () => port1.postMessage(tensor),
    ])
      assert.throws(clone, { name: 'DataCloneError', message: /send \{ type, data, dims \}/ });
    port1.close();
    const { type, data, dims } = tensor;
    const sent = structuredClone({ type, data, dims });
    assert.deepEqual(new Tensor(sent.type, sent.data, sent.dims).tolist(), [1]);
    port2.close();
  });

  it('is indexed and iterated', async () => {
    const tensor = new Tensor('int32', [0, 1, 2, 3, 4, 5], [2, 3]);
    assert.deepEqual(tensor[1].tolist(), [3, 4, 5]);
    assert.equal(tensor[-1][0].item(), 3);
    for (const index of [2, -3]) assert.throws(() => tensor[index], RangeError);
    assert.throws(() => new Tensor('int32', [1], [])[0], RangeError);
    assert.deepEqual(
      [...tensor].map((row) => (row as Tensor).tolist()),
      [
        [0, 1, 2],
        [3, 4, 5],
      ],
    );
    assert.deepEqual([...tensor[0]], [0, 1, 2]);
    assert.deepEqual([...new Tensor('bool', [0, 1], [2])], [false, true]);
    assert.throws(() => [...new Tensor('int32', [1], [])], { name: 'TypeError', message: /0-d/ });
    assert.throws(() => Object.assign(tensor, { 0: 1 }), { name: 'TypeError', message: /write to its data/ });
    assert.equal(Reflect.get(tensor, 'then'), undefined);
    assert.equal(await Promise.resolve(tensor), tensor);
    assert.ok(!('0' in tensor) && Object.keys(tensor).every((key) => !/\d/.test(key)));
  });

  it('takes a bigint or a tensor of one integer wherever an index is taken', async () => {
    const tensor = new Tensor('float32', range(24), [2, 3, 4]);
    const scores = new Tensor('float32', [1, 9, 3], [3]);
    for (const one of [
      1,
      1n,
      await scores.argmax(),
      new Tensor('int32', [1], [1]),
      new Tensor('uint8', [1], []),
    ]) {
      assert.deepEqual(tensor.slice(null, one).tolist(), tensor.slice(null, 1).tolist());
      assert.deepEqual(tensor.slice([one, null]).tolist(), tensor.slice([1, null]).tolist());
      assert.deepEqual(tensor.select(one, one).tolist(), tensor.select(1, 1).tolist());
      assert.deepEqual(tensor.unsqueeze(one).dims, [2, 1, 3, 4]);
      assert.deepEqual((await tensor.sum(one)).dims, [2, 4]);
      assert.deepEqual((await tensor.argmax(one)).dims, [2, 4]);
      assert.deepEqual(tensor.reshape(one, 24).dims, [1, 24]);
    }
    for (const [wrong, error] of [
      [new Tensor('float32', [1], [1]), RangeError],
      [new Tensor('int64', [1, 2], [2]), RangeError],
      [scores.argmax(), /did you forget await\?/],
      [2n ** 70n, RangeError],
      ['1', TypeError],
    ] as const)
      assert.throws(() => tensor.slice(null, wrong as never), error);
  });

  it('says in which dtype a number does not fit, for every dtype', () => {
    const limits: [DType, (number | bigint)[], (number | bigint | boolean)[]][] = [
      [
        'int64',
        [-(2n ** 63n), 2n ** 63n - 1n, 2 ** 62],
        [2n ** 64n, 2n ** 63n, -(2n ** 63n) - 1n, 2 ** 63, 1.5, NaN],
      ],
      ['int32', [-(2 ** 31), 2n ** 31n - 1n], [2 ** 31, -(2n ** 31n) - 1n, Infinity, 0.5]],
      ['int16', [-32768, 32767], [32768, -32769n]],
      ['int8', [-128, 127], [128, -129]],
      ['uint8', [0, 255], [256, -1, 1n << 70n]],
      ['bool', [0, 1, 1n], [2, -1, 0.5, NaN, 2n]],
    ];
    for (const [type, right, wrong] of limits) {
      for (const value of right)
        assert.equal(Number(new Tensor(type, [value] as number[], [1]).item()), Number(value));
      for (const value of wrong)
        assert.throws(
          () => new Tensor(type, [0, value] as number[], [2]),
          { name: 'RangeError', message: new RegExp(`type ${type}\\) for data\\[1\\]`) },
          `${type} ${value}`,
        );
    }
    assert.throws(() => new Tensor('bool', Uint8Array.of(1, 2), [2]), {
      name: 'RangeError',
      message: /data\[1\]/,
    });
    // As torch: floating numbers round, to an infinity where they must.
    assert.deepEqual(new Tensor('float16', [70000, 1e-9], [2]).tolist(), [Infinity, 0]);
    assert.deepEqual(new Tensor('float32', [1e300, 2n ** 64n] as never, [2]).tolist(), [Infinity, 2 ** 64]);
  });

  it('reads buffers once, of every kind, or says that they are gone', () => {
    const values = [1, 2, 3, 4];
    const resizable = Reflect.construct(ArrayBuffer, [16, { maxByteLength: 64 }]) as ArrayBuffer & {
      resize(n: number): void;
    };
    const growable = Reflect.construct(SharedArrayBuffer, [
      16,
      { maxByteLength: 64 },
    ]) as SharedArrayBuffer & { grow(n: number): void };
    for (const buffer of [new ArrayBuffer(16), new SharedArrayBuffer(16), resizable, growable]) {
      const array = new Float32Array(buffer as ArrayBuffer);
      array.set(values);
      assert.deepEqual(new Tensor('float32', array, [4]).tolist(), values);
      assert.deepEqual(new Tensor('float32', array.subarray(1, 3), [2]).tolist(), [2, 3]);
    }
    const tracking = new Float32Array(resizable);
    const fixed = new Float32Array(resizable, 8, 2);
    resizable.resize(12);
    assert.deepEqual(new Tensor('float32', tracking, [3]).tolist(), [1, 2, 3]);
    growable.grow(20);
    assert.equal(new Tensor('float32', new Float32Array(growable as unknown as ArrayBuffer), [5]).size, 5);
    const detached = new Float32Array(4);
    structuredClone(detached, { transfer: [detached.buffer] });
    for (const gone of [fixed, detached])
      for (const dims of [[0], [2], [4]])
        assert.throws(() => new Tensor('float32', gone, dims), {
          name: 'TypeError',
          message: /transferred or shortened/,
        });
    // Dims whose reading shortens the buffer that was checked against them.
    const sly = Object.defineProperty([0], 0, { get: () => (resizable.resize(4), 3) });
    assert.throws(() => new Tensor('float32', tracking, sly), RangeError);
  });

  it('leaves no handle of a step between behind', () => {
    const tensor = new Tensor('float32', range(6), [2, 3]);
    const made: number[] = [];
    const view = Reflect.get(tensor.handle, 'view') as () => unknown;
    Object.defineProperty(tensor.handle, 'view', {
      value: (steps: unknown[]) => (made.push(steps.length), Reflect.apply(view, tensor.handle, [steps])),
    });
    tensor.slice(0, 0).dispose();
    assert.deepEqual(made, [2]);
    assert.throws(() => tensor.slice(0, 3), RangeError);
    assert.deepEqual(made, [2]);
  });

  it('says so where a method is called without its object', () => {
    const tensor = new Tensor('float32', [1], [1]);
    for (const name of ['slice', 'tolist', 'add', 'dispose'] as const) {
      const method = Reflect.get(tensor, name) as () => unknown;
      assert.throws(() => method(), {
        name: 'TypeError',
        message: `Tensor.${name} was called without its object: call it as object.${name}(...), or bind it.`,
      });
    }
    assert.equal([tensor, 1].filter(Tensor.isTensor).length, 1);
  });

  it('takes transformers.js names of dtypes', async () => {
    const tensor = new Tensor('fp32', [1.5], [1]);
    assert.equal(tensor.type, 'float32');
    assert.equal((await tensor.to('fp16')).type, 'float16');
    assert.equal((await tensor.to({ dtype: 'bf16' })).type, 'bfloat16');
    assert.equal((await tensor.to('cpu', 'bf16')).type, 'bfloat16');
    assert.equal(zeros([2], 'fp16').type, 'float16');
  });

  it('refuses lists of nothing that would fill the memory', () => {
    assert.throws(() => new Tensor('float32', [], [1, 500_000_000, 0, 2]).tolist(), RangeError);
    assert.deepEqual(new Tensor('float32', [], [2, 0]).tolist(), [[], []]);
  });

  it('maps elements in JavaScript, and fills tensors', () => {
    const tensor = new Tensor('int64', [1, 2, 3, 4], [2, 2]).permute(1, 0);
    assert.deepEqual(tensor.map((value, index) => value * 10n + BigInt(index)).tolist(), [
      [10n, 31n],
      [22n, 43n],
    ]);
    assert.throws(() => new Tensor('uint8', [200], [1]).map((value) => value * 2), RangeError);
    for (const [made, type, lists] of [
      [full([2], 1.5), 'float32', [1.5, 1.5]],
      [full([1], 2n), 'int64', [2n]],
      [full([], true), 'bool', true],
      [full([1], 2, 'bfloat16'), 'bfloat16', [2]],
      [ones([2]), 'float32', [1, 1]],
      [zeros([0, 3], 'int8'), 'int8', []],
      [
        ones_like(tensor),
        'int64',
        [
          [1n, 1n],
          [1n, 1n],
        ],
      ],
      [zeros_like(full([1], 3, 'float16')), 'float16', [0]],
    ] as const) {
      assert.equal(made.type, type);
      assert.deepEqual((made as Tensor).tolist(), lists);
    }
  });
});
