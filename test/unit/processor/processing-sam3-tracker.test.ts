/** The processor compared with transformers: the same numbers, the same errors. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import sharp from 'sharp';
import type { BatchEncoding } from '../../../lib/processor/batch-encoding';
import { isDType, DTYPES } from '../../../lib/core/dtype';
import { Sam3ImageProcessor } from '../../../lib/image/image-processing-sam3';
import { Sam3TrackerProcessor } from '../../../lib/processor/processing-sam3-tracker';
import type { ImagesInput } from '../../../lib/image/inputs';
import { RawImage } from '../../../lib/image/raw-image';
import { Tensor } from '../../../lib/tensor';
import { withoutHint } from '../../support/image-assertions';
import { generatedCases, REFUSED, type Json, type ProcessingCase } from '../../support/processing-cases';
import { reference, type Reference } from '../../support/python';

type Options = Parameters<Sam3TrackerProcessor>[0];
interface Field {
  dtype: string;
  dims: number[];
  data: (number | string)[];
  /** Bytes of an image or an array, in place of `data`. */
  base64?: string;
}

/** What the generated calls have among their arguments. */
const ARGUMENTS = [
  'target_size',
  'point_pad_value',
  'images',
  'segmentation_maps',
  'original_sizes',
  'input_points',
  'input_labels',
  'input_boxes',
  'return_tensors pt',
  'return_tensors np',
  'return_tensors null',
  'size',
  'default_to_square true',
  'resample',
  'do_resize false',
  'do_resize null',
  'do_rescale true',
  'do_rescale false',
  'do_rescale null',
  'rescale_factor',
  'do_normalize true',
  'do_normalize false',
  'do_normalize null',
  'image_mean',
  'image_std',
  'do_convert_rgb true',
  'do_convert_rgb false',
  'do_convert_rgb null',
  'do_center_crop',
  'crop_size',
  'do_pad',
  'pad_size',
  'mask_size',
  'input_data_format',
  'data_format',
  'device cpu',
  'device null',
  'disable_grouping',
  'image_seq_length',
];

const SMALL = { size: { height: 24, width: 24 }, mask_size: { height: 8, width: 8 } };

function makeProcessor({
  target_size,
  point_pad_value,
}: ProcessingCase['settings'] = {}): Sam3TrackerProcessor {
  return new Sam3TrackerProcessor(new Sam3ImageProcessor(SMALL), target_size, point_pad_value);
}

/** The arguments that the JSON of a case stands for. */
function decode(value: Json): unknown {
  if (Array.isArray(value)) return value.map(decode);
  if (typeof value !== 'object' || value === null) return value;
  const content = (value.$tensor ?? value.$array ?? value.$image) as unknown as Field | undefined;
  if (!content) return value;
  const { base64, dims } = content;
  if (base64 !== undefined) {
    const data = new Uint8Array(Buffer.from(base64, 'base64'));
    return value.$image ? new RawImage(data, dims[1], dims[0], 3) : { data, dims };
  }
  assert.ok(isDType(content.dtype));
  if (value.$tensor) return new Tensor(content.dtype, content.data as number[], content.dims);
  const { array } = DTYPES[content.dtype];
  const items = content.dtype === 'int64' ? content.data.map(BigInt) : content.data;
  return { dims: content.dims, data: (array as unknown as typeof Float64Array).from(items as number[]) };
}

const decodeOptions = (options: Record<string, Json>): Options =>
  Object.fromEntries(Object.entries(options).map(([name, value]) => [name, decode(value)]));

const numbersOf = (field: { data: ArrayLike<number | bigint> }): number[] => Array.from(field.data, Number);

const isWhole = (data: readonly unknown[]): boolean => data.every(Number.isInteger);

describe('Sam3TrackerProcessor compared with transformers', () => {
  let python: Reference;

  before(function () {
    python = reference('test/support/processing_reference.py', this);
  });

  async function compare({ settings, options }: ProcessingCase): Promise<void> {
    const expected = (await python.result('process', { settings, options })) as Record<string, Field>;
    const inputs = (await makeProcessor(settings)(decodeOptions(options))) as BatchEncoding;
    assert.deepEqual([...inputs.keys()].sort(), Object.keys(expected).sort());
    for (const [name, field] of inputs.items()) {
      const isNumPy = options.return_tensors === 'np';
      assert.equal(Tensor.isTensor(field), !isNumPy, name);
      const theirs = expected[name];
      // Unset, transformers leaves images and sizes as lists: only their numbers can be compared.
      if (!Array.isArray(theirs)) {
        assert.deepEqual(field.dims, theirs.dims, name);
        // JavaScript's numbers do not say whether a size was a float: integers are int64.
        const dtype = name === 'original_sizes' && isWhole(theirs.data) ? 'int64' : theirs.dtype;
        if (Tensor.isTensor(field)) assert.equal(field.type, dtype, name);
      }
      const list: unknown[] = Array.isArray(theirs) ? theirs : [theirs];
      const numbers = list.flatMap((item) => (Array.isArray(item) ? item : (item as Field).data)) as number[];
      if (name === 'pixel_values') {
        const differences = numbersOf(field).map((value, index) => Math.abs(value - numbers[index]));
        assert.equal(differences.length, numbers.length);
        assert.ok(Math.max(...differences) <= 1e-6, `pixel_values differ by ${Math.max(...differences)}`);
      } else assert.deepEqual(numbersOf(field), numbers, name);
    }
    inputs.dispose();
  }

  generatedCases(160).forEach((one, index) =>
    it(`generated case ${index}: ${Object.keys(one.options).join(', ')}`, () => compare(one)),
  );

  it('draws every argument', () => {
    const cases = generatedCases(160);
    const drawn = cases.flatMap(({ settings, options }) => [
      ...Object.keys(settings),
      ...Object.entries(options).map(([name, value]) =>
        typeof value === 'object' && value !== null ? name : `${name} ${value}`,
      ),
      ...Object.keys(options),
    ]);
    for (const name of ARGUMENTS)
      assert.ok(drawn.filter((one) => one === name).length >= 2, `${name} is drawn less than twice`);
    const heights = cases.flatMap(
      ({ options }) => JSON.stringify(options.images ?? null).match(/"dims":\[\d+/g) ?? [],
    );
    const sides = heights.map((text) => Number(text.slice('"dims":['.length)));
    assert.ok(Math.min(...sides) === 1 && Math.max(...sides) > 1500);
  });

  const odd: [what: string, options: Record<string, Json>][] = [
    ['an empty point', { input_points: [[[[]]]] }],
    ['an object without points', { input_points: [[[[1, 2]], []]], input_labels: [[[1], []]] }],
    ['booleans for numbers', { input_points: [[[[true, false]]]], input_labels: [[[true]]] }],
    ['a point that has the padding value in x', { input_points: [[[[-10, 5]]]] }],
    ['a large integer', { input_points: [[[[2 ** 70, 1]]]] }],
    ['sizes that are no integers', { original_sizes: [[60.5, 90.25]], input_boxes: [[[1, 2, 3, 4]]] }],
    [
      'the same as Tensors',
      { original_sizes: [[60.5, 90.25]], input_boxes: [[[1, 2, 3, 4]]], return_tensors: 'pt' },
    ],
    [
      'a box of no area',
      {
        input_boxes: [
          [
            [5, 5, 5, 5],
            [9, 9, 1, 1],
          ],
        ],
      },
    ],
  ];
  for (const [what, options] of odd)
    it(what, () => compare({ settings: {}, options: { original_sizes: [[60, 90]], ...options } }));

  for (const options of REFUSED)
    it(`refuses as there: ${JSON.stringify(options).slice(0, 90)}`, async () => {
      const { error } = await python.call('process', { settings: {}, options });
      assert.ok(error, 'the reference takes these arguments');
      const kinds: Record<string, typeof Error> = {
        ValueError: RangeError,
        TypeError,
        ImportError: RangeError,
      };
      await assert.rejects(makeProcessor()(decodeOptions(options)), (ours: Error) => {
        assert.ok(ours instanceof kinds[error.type], `${error.type}: ${ours}`);
        assert.equal(withoutHint(ours.message), withoutHint(error.message));
        return true;
      });
    });

  it('writes and reads the processor_config.json of transformers', async () => {
    const settings = { target_size: 500, point_pad_value: -7 };
    const image = { size: { height: 32, width: 48 }, image_mean: [0.25, 0.5, 1.0], do_normalize: false };
    const theirs = (await python.result('save', { settings, image_settings: image })) as string;
    const ours = new Sam3TrackerProcessor(new Sam3ImageProcessor(image), 500, -7);
    assert.deepEqual(JSON.parse(ours.to_json_string()), JSON.parse(theirs));
    const plain = (await python.result('save', { settings: {}, image_settings: {} })) as string;
    assert.equal(new Sam3TrackerProcessor(new Sam3ImageProcessor()).to_json_string(), plain);
    assert.deepEqual(await python.result('load', { text: ours.to_json_string() }), JSON.parse(theirs));
    const directory = await mkdtemp(path.join(tmpdir(), 'sam3-tracker-processor-'));
    try {
      await writeFile(path.join(directory, 'processor_config.json'), theirs);
      const read = await Sam3TrackerProcessor.from_pretrained(directory);
      assert.equal(read.target_size, 500);
      assert.equal(read.point_pad_value, -7);
      assert.deepEqual(read.to_dict(), ours.to_dict());
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});

describe('Sam3TrackerProcessor', () => {
  const processor = makeProcessor({ target_size: 1008 });
  const image = { data: new Uint8Array(4 * 6 * 3), dims: [4, 6, 3] };
  const sizes = [[60, 90]];

  it('names what it gives', () => {
    assert.deepEqual(processor.model_input_names, ['pixel_values', 'original_sizes']);
    assert.equal(makeProcessor().target_size, 24);
    assert.equal(processor.point_pad_value, -10);
  });

  it('is called with one object, or as in transformers.js with the images first', async () => {
    const options = { input_points: [[[[3, 2]]]], input_labels: [[[1]]] };
    const one = await processor({ images: image, ...options });
    const two = await processor(image, options);
    const three = await processor([image]);
    assert.deepEqual(one.keys(), ['pixel_values', 'original_sizes', 'input_points', 'input_labels']);
    assert.deepEqual(two.keys(), one.keys());
    assert.deepEqual(three.keys(), ['pixel_values', 'original_sizes']);
    assert.deepEqual(two.input_points.tolist(), one.input_points.tolist());
    assert.deepEqual(one.original_sizes.tolist(), [[4n, 6n]]);
    await assert.rejects(processor(image, { images: image } as never), /images twice/);
  });

  it('passes image options on', async () => {
    const inputs = await processor({ images: image, size: { height: 5, width: 7 }, do_rescale: false });
    assert.deepEqual(inputs.pixel_values.dims, [1, 3, 5, 7]);
  });

  it('takes Tensors anywhere in the nesting, half precision too, and leaves them alive', async () => {
    const row = new Tensor('float16', [3, 2, 5, 4], [2, 2]);
    const label = new Tensor('int64', [1, 0], [2]);
    const inputs = await processor({
      original_sizes: new Tensor('int64', [1008, 504], [1, 2]),
      input_points: [[row]],
      input_labels: [[label]],
    });
    assert.deepEqual(inputs.input_points.tolist(), [
      [
        [
          [6, 2],
          [10, 4],
        ],
      ],
    ]);
    assert.deepEqual(inputs.input_labels.tolist(), [[[1n, 0n]]]);
    assert.equal(row.disposed, false);
    const typed = await processor({
      original_sizes: [[1008, 504]],
      input_points: [[[Float32Array.of(3, 2)]]],
    });
    assert.deepEqual(typed.input_points.tolist(), [[[[6, 2]]]]);
  });

  it('takes the sizes of the images beside the images', async () => {
    const inputs = await processor({ images: image, original_sizes: [[4, 6]] });
    assert.deepEqual(inputs.original_sizes.tolist(), [[4n, 6n]]);
  });

  it('needs an image processor, and integers', () => {
    assert.throws(() => new Sam3TrackerProcessor(5 as never), {
      name: 'TypeError',
      message: 'Received a number for argument image_processor, but a ImageProcessingMixin was expected.',
    });
    const image_processor = new Sam3ImageProcessor();
    assert.throws(() => new Sam3TrackerProcessor(image_processor, 0), RangeError);
    assert.throws(() => new Sam3TrackerProcessor(image_processor, 'a' as never), TypeError);
    assert.throws(() => new Sam3TrackerProcessor(image_processor, 8, 0.5), RangeError);
  });

  it('takes its settings by name, as Python does', () => {
    const image_processor = new Sam3ImageProcessor();
    const made = (...rest: unknown[]): string =>
      new Sam3TrackerProcessor(image_processor, ...(rest as [number])).to_json_string();
    assert.equal(made({ target_size: 500, point_pad_value: -7 }), made(500, -7));
    assert.equal(made({ point_pad_value: -7 }), made(null, -7));
    for (const rest of [[{}], [null, null], [{ target_size: null, point_pad_value: null }]])
      assert.equal(made(...rest), made());
    assert.throws(() => made({ targetSize: 3 }), { message: /Did you mean "target_size"/ });
    assert.throws(() => made({ target_size: 3 }, 4), TypeError);
    assert.throws(() => made({ target_size: 0 }), RangeError);
    assert.throws(() => made([500]), TypeError);
  });

  it('takes as an image whatever RawImage.read takes', async () => {
    const photo = path.join(__dirname, '..', '..', '..', 'examples', 'images', 'coffee.png');
    const bytes = await readFile(photo);
    const buffer = new Uint8Array(bytes).buffer;
    const sources = [
      bytes,
      new Uint8Array(bytes),
      buffer,
      new Blob([bytes]),
      sharp(bytes),
      pathToFileURL(photo),
    ];
    const pixels = async (images: ImagesInput): Promise<unknown> =>
      (await processor({ images })).pixel_values?.data;
    const expected = await pixels(await RawImage.read(photo));
    for (const source of sources) {
      assert.deepEqual(await pixels(source), expected, source.constructor.name);
      assert.deepEqual(await pixels([[source]]), expected, source.constructor.name);
      assert.deepEqual((await processor(source)).pixel_values.data, expected);
    }
  });

  it('says that points need a target_size where the image processor has none', async () => {
    const unsized = new Sam3TrackerProcessor(new Sam3ImageProcessor({ size: { shortest_edge: 8 } }));
    assert.equal(unsized.target_size, null);
    await assert.rejects(unsized({ original_sizes: sizes, input_points: [[[[1, 2]]]] }), /target_size/);
  });

  it('saves, and loads with other settings', async () => {
    const directory = await mkdtemp(path.join(tmpdir(), 'sam3-tracker-processor-'));
    try {
      const [file] = await processor.save_pretrained(path.join(directory, 'model'));
      assert.equal(await readFile(file, 'utf8'), processor.to_json_string());
      const model = path.dirname(file);
      assert.deepEqual((await Sam3TrackerProcessor.from_pretrained(model)).to_dict(), processor.to_dict());
      const other = await Sam3TrackerProcessor.from_pretrained(model, { target_size: 33, do_resize: false });
      assert.equal(other.target_size, 33);
      assert.equal(other.image_processor.do_resize, false);
      await assert.rejects(
        Sam3TrackerProcessor.from_pretrained(model, { target_sise: 3 } as never),
        /target_size/,
      );
      await rm(file);
      await assert.rejects(Sam3TrackerProcessor.from_pretrained(model), { code: 'FILE_NOT_FOUND' });
      await writeFile(
        path.join(model, 'preprocessor_config.json'),
        new Sam3ImageProcessor(SMALL).to_json_string(),
      );
      assert.equal((await Sam3TrackerProcessor.from_pretrained(model)).target_size, 24);
    } finally {
      await rm(directory, { recursive: true });
    }
  });
});
