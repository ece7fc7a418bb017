/** Values of another realm, and of another copy of this package, do what our own do. */
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import path from 'node:path';
import vm from 'node:vm';
import * as sam3 from '../../../lib';
import { isAbortSignal, isArrayOf, isBlob, isError, isURL } from '../../../lib/core/kinds';

const ROOT = path.join(__dirname, '..', '..', '..');
const COFFEE = path.join(ROOT, 'examples', 'images', 'coffee.png');

/** A realm with classes of its own for everything that JavaScript has; `bytes` are of this realm. */
const realm = vm.createContext({ bytes: readFileSync(COFFEE) });
const foreign = (code: string): never => vm.runInContext(`(${code})`, realm) as never;

const ARRAYS = [
  Int8Array,
  Uint8Array,
  Uint8ClampedArray,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
];

describe('kinds', () => {
  it('tell typed arrays of any realm by their class', () => {
    for (const one of ARRAYS)
      for (const other of ARRAYS) {
        assert.equal(isArrayOf(foreign(`new ${one.name}(1)`), other), one === other);
        assert.equal(isArrayOf(new one(1), other), one === other);
      }
    assert.ok(isArrayOf(Buffer.alloc(1), Uint8Array));
    for (const value of [null, undefined, 1, [], { [Symbol.toStringTag]: 'Uint8Array' }, new ArrayBuffer(1)])
      assert.equal(isArrayOf(value, ...ARRAYS), false);
    assert.equal(isArrayOf(new DataView(new ArrayBuffer(1)), ...ARRAYS), false);
  });

  it('tell errors of any realm', () => {
    for (const name of ['Error', 'TypeError', 'RangeError', 'SyntaxError', 'AggregateError']) {
      const error: unknown = foreign(
        name === 'AggregateError' ? 'new AggregateError([])' : `new ${name}('')`,
      );
      assert.ok(!(error instanceof Error) && isError(error));
    }
    assert.ok(isError(new DOMException('')) && isError(new sam3.Sam3TrackerError('DISPOSED', '')));
    for (const value of [null, undefined, 'Error', { name: 'Error', message: '' }])
      assert.ok(!isError(value));
  });

  it('tell the classes of the web by their tags', () => {
    const tagged = (name: string, methods: object = {}): object => ({
      [Symbol.toStringTag]: name,
      ...methods,
    });
    const method = (): void => undefined;
    assert.ok(isURL(new URL('file:///a')) && isURL(tagged('URL')) && !isURL('file:///a'));
    assert.ok(
      isBlob(new Blob([])) && isBlob(tagged('File', { arrayBuffer: method })) && !isBlob(tagged('Blob')),
    );
    assert.ok(isAbortSignal(AbortSignal.abort()) && !isAbortSignal(tagged('AbortSignal')));
  });
});

describe('values of another realm', () => {
  const same = async (call: (value: never) => unknown, theirs: string, own: unknown): Promise<void> =>
    assert.deepEqual(
      JSON.stringify(await call(foreign(theirs)), (_, value) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ),
      JSON.stringify(await call(own as never), (_, value) =>
        typeof value === 'bigint' ? `${value}n` : value,
      ),
      theirs,
    );
  const pixels = (image: sam3.RawImage): unknown => [
    image.size,
    Buffer.from(image.rgb().data).toString('base64'),
  ];
  const bytes = readFileSync(COFFEE);
  let processor: sam3.Sam3TrackerProcessor;
  before(async () => {
    processor = await sam3.Sam3TrackerProcessor.from_pretrained('sam3-tracker-tiny');
  });

  it('make tensors', async () => {
    const tensor = (type: sam3.DType) => (data: never) => new sam3.Tensor(type, data, [2]).tolist();
    for (const [type, array] of Object.entries({
      float32: Float32Array,
      float64: Float64Array,
      float16: Uint16Array,
      bfloat16: Uint16Array,
      int64: BigInt64Array,
      int32: Int32Array,
      int16: Int16Array,
      int8: Int8Array,
      uint8: Uint8ClampedArray,
      bool: Uint8Array,
    } as const)) {
      await same(
        tensor(type as sam3.DType),
        `new ${array.name}(2).fill(${type === 'int64' ? '1n' : 1})`,
        (new array(2) as Int8Array).fill((type === 'int64' ? 1n : 1) as number),
      );
      await same(tensor(type as sam3.DType), '[1, 0]', [1, 0]);
    }
    const shared = foreign('new Float32Array(new SharedArrayBuffer(8))');
    assert.deepEqual(tensor('float32')(shared), [0, 0]);
    assert.throws(() => tensor('float32')(foreign('new Float64Array(2)')), TypeError);
  });

  it('are images', async () => {
    const read = async (input: never): Promise<unknown> => pixels(await sam3.RawImage.read(input));
    await same(read, 'new Uint8Array(bytes)', bytes);
    await same(read, 'new Uint8Array(bytes).buffer', new Uint8Array(bytes).buffer);
    const wrap = (data: never): unknown => pixels(new sam3.RawImage(data, 2, 1, 3));
    await same(wrap, 'new Uint8Array(6)', new Uint8Array(6));
    await same(wrap, 'new Uint8ClampedArray(6)', new Uint8ClampedArray(6));
    const prepare = async (images: never): Promise<unknown> => {
      const inputs = await processor({ images });
      const { pixel_values, original_sizes } = inputs;
      return [
        pixel_values.dims,
        original_sizes.tolist(),
        Array.from(pixel_values.data as Float32Array).slice(0, 99),
      ];
    };
    const array = '{ data: new Uint8Array(48).fill(7), dims: [3, 4, 4] }';
    await same(prepare, array, { data: new Uint8Array(48).fill(7), dims: [3, 4, 4] });
    await same(prepare, `[[${array}]]`, [[{ data: new Uint8Array(48).fill(7), dims: [3, 4, 4] }]]);
  });

  it('are prompts and sizes', async () => {
    const encode = async (options: never): Promise<unknown> => {
      const inputs = await processor(options);
      return [inputs.keys(), inputs.values().map((field) => field.tolist())];
    };
    const cases: [theirs: string, own: object][] = [
      ['[[[[1, 2]]]]', { input_points: [[[[1, 2]]]] }],
      ['[[[new Float32Array([1, 2])]]]', { input_points: [[[new Float32Array([1, 2])]]] }],
      [
        '{ data: new Float64Array([1, 2]), dims: [1, 1, 1, 2] }',
        { input_points: { data: new Float64Array([1, 2]), dims: [1, 1, 1, 2] } },
      ],
    ];
    for (const [points, own] of cases)
      await same(
        encode,
        `{ original_sizes: [new Int32Array([40, 60])], input_points: ${points}, input_labels: [[[1]]] }`,
        { original_sizes: [[40, 60]], input_labels: [[[1]]], ...own },
      );
  });

  it('are masks and encodings', async () => {
    const mask = (value: never): unknown => [
      sam3.mask_to_rle(value),
      sam3.mask_to_box(value),
      sam3.mask_to_polygons(value),
      sam3.mask_area(value),
    ];
    for (const array of ['Uint8Array', 'Uint8ClampedArray'])
      await same(mask, `{ data: new ${array}([0, 1, 1, 0]), dims: [2, 2] }`, {
        data: new Uint8Array([0, 1, 1, 0]),
        dims: [2, 2],
      });
    await same(
      (rle: never) => [sam3.mask_area(rle), sam3.coco_encode_rle(rle)],
      '{ size: [2, 2], counts: [1, 2, 1] }',
      { size: [2, 2], counts: [1, 2, 1] },
    );
    await same(
      (counts: never) => new sam3.RLEMask([2, 2], counts),
      'new Uint32Array([1, 2, 1])',
      new Uint32Array([1, 2, 1]),
    );
  });

  it('are configurations', async () => {
    const write = (fields: never): string => new sam3.Sam3TrackerConfig(fields).to_json_string();
    const defaults = new sam3.Sam3TrackerConfig().to_dict();
    await same(write, JSON.stringify(defaults), defaults);
    assert.equal(write(foreign(JSON.stringify(defaults))), write({} as never));
    await same(write, '{ vision_config: { fpn_hidden_size: 128 } }', {
      vision_config: { fpn_hidden_size: 128 },
    });
  });
});

describe('another copy of this package', () => {
  /** The library again, from its files: what Jest's registry and a bundle beside node_modules bring. */
  const other = ((): typeof sam3 => {
    const lib = path.join(ROOT, 'lib') + path.sep;
    const own = Object.entries(require.cache).filter(([file]) => file.startsWith(lib));
    for (const [file] of own) delete require.cache[file];
    // eslint-disable-next-line @typescript-eslint/no-require-imports -- a second time
    const copy = require('../../../lib') as typeof sam3;
    Object.assign(require.cache, Object.fromEntries(own));
    return copy;
  })();

  it('is known by instanceof, its subclasses and other objects are not', () => {
    const make = (from: typeof sam3): object[] => [
      new from.Tensor('uint8', [1], [1]),
      new from.RawImage(new Uint8Array(3), 1, 1, 3),
      new from.RLEMask([1, 1], new Uint32Array([1])),
      new from.Sam3ImageProcessor(),
      new from.Sam3TrackerError('DISPOSED', ''),
      new from.Sam3TrackerConfig(),
      new from.Sam3VisionConfig(),
    ];
    const [own, theirs] = [make(sam3), make(other)];
    own.forEach((ours, index) =>
      theirs.forEach((their, position) => {
        const Class = ours.constructor as new () => object;
        assert.notEqual(Class, their.constructor);
        assert.equal(their instanceof Class, index === position);
      }),
    );
    class Own extends sam3.Tensor {}
    assert.ok(!(theirs[0] instanceof Own) && !(own[0] instanceof Own));
    assert.ok(new Own('uint8', [1], [1]) instanceof sam3.Tensor);
    for (const value of [null, undefined, 1, {}] as unknown[]) assert.ok(!(value instanceof sam3.Tensor));
  });

  it('mixes with this one in a click, in segment everything and on masks', async () => {
    const image = await other.RawImage.read(COFFEE);
    const image_processor = await other.Sam3ImageProcessor.from_pretrained('sam3-tracker-tiny');
    const processor = new sam3.Sam3TrackerProcessor(image_processor);
    const inputs = await processor({ images: image, input_points: [[[[235, 215]]]], input_labels: [[[1]]] });
    const model = await other.Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
    const ours = await sam3.Sam3TrackerModel.from_pretrained('sam3-tracker-tiny');
    const outputs = await model({ ...inputs, multimask_output: false });
    const expected = await ours({ ...inputs, multimask_output: false });
    assert.deepEqual(outputs.iou_scores.tolist(), expected.iou_scores.tolist());
    const [mask] = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
    const [plane] = other.mask_planes(mask);
    assert.ok(
      sam3.mask_area(new other.RLEMask(plane.dims, new Uint32Array(sam3.mask_to_rle(plane).counts))) > 0,
    );
    await sam3.draw_overlay(image, mask);
    const generator = await sam3.pipeline('mask-generation', { model, image_processor });
    assert.ok(
      (await generator(image, { points_per_crop: 8, pred_iou_thresh: 0.5, stability_score_thresh: 0.5 }))
        .masks.length > 0,
    );
    for (const one of [model, ours]) one.dispose();
  });

  it('gives configurations', () => {
    const mixed = new sam3.Sam3TrackerConfig({
      vision_config: new other.Sam3VisionConfig({ fpn_hidden_size: 128 }),
    });
    const own = new sam3.Sam3TrackerConfig({ vision_config: { fpn_hidden_size: 128 } });
    assert.equal(mixed.to_json_string(), own.to_json_string());
    assert.equal(
      new sam3.Sam3TrackerConfig(new other.Sam3VisionConfig({ fpn_hidden_size: 128 })).to_json_string(),
      own.to_json_string(),
    );
  });
});
