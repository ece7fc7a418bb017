/** What Jest's own realm must not break; jest.test.ts starts it. */
/* global describe, test, expect, jest, afterEach */
const { mkdtempSync, readFileSync, rmSync, writeFileSync } = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const sam3 = require('sam3-tracker');

const root = path.join(__dirname, '..', '..', '..');
const coffee = path.join(root, 'examples', 'images', 'coffee.png');
const model = 'sam3-tracker-tiny';
const click = { input_points: [[[[235, 215]]]], input_labels: [[[1]]] };

test("README's ten lines", async () => {
  const [, program] = /```ts\n([^]*?)```/.exec(readFileSync(path.join(root, 'README.md'), 'utf8'));
  const [, names] = /^import \{([^}]*)\} from 'sam3-tracker';/m.exec(program);
  const print = jest.fn();
  const body = program.replace(/^import .*$/m, '');
  await new Function(names, 'console', `return (async () => { ${body} })();`)(
    ...names.split(',').map((name) => sam3[name.trim()]),
    { log: print },
  );
  expect(print).toHaveBeenCalledWith(
    [1, 1, expect.any(Number), expect.any(Number)],
    [[[expect.any(Number)]]],
  );
});

describe('segment everything', () => {
  const all = { points_per_crop: 4, output_rle_mask: true, output_bboxes_mask: true };

  test.each(['binary', 'coco_rle', 'polygons'])('%s', async (output_mode) => {
    const generator = await sam3.pipeline('mask-generation', model);
    const [one] = await generator([coffee], { ...all, output_mode });
    expect(one.masks.length).toBeGreaterThan(0);
    for (const list of [one.scores, one.rle_mask, one.bounding_boxes])
      expect(list).toHaveLength(one.masks.length);
    if (output_mode === 'binary') expect(one.masks[0].data).toBeInstanceOf(Uint8Array);
    generator.dispose();
  });

  test('a stream, clean-up of small regions and fake timers', async () => {
    const generator = await sam3.pipeline('mask-generation', model);
    jest.useFakeTimers();
    const found = [];
    for await (const one of generator.stream(coffee, { points_per_crop: 4, min_mask_region_area: 20 }))
      found.push(one);
    jest.useRealTimers();
    expect(found.length).toBeGreaterThan(0);
    generator.dispose();
  });
});

describe('tensors', () => {
  test('of every element type', async () => {
    const arrays = {
      float32: Float32Array,
      float64: Float64Array,
      bfloat16: Uint16Array,
      int64: BigInt64Array,
      int32: Int32Array,
      int16: Int16Array,
      int8: Int8Array,
      uint8: Uint8Array,
      bool: Uint8Array,
    };
    for (const [type, Class] of Object.entries(arrays)) {
      const tensor = new sam3.Tensor(type, new Class(2), [2]);
      expect(tensor.data).toBeInstanceOf(Class);
      expect(tensor.data).toEqual(new Class(2));
    }
    expect(new sam3.Tensor('float16', new Uint16Array([0x3c00]), [1]).tolist()).toEqual([1]);
  });
});

describe('errors', () => {
  const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-jest-'));
  const file = path.join(directory, 'file');
  writeFileSync(file, '{');
  afterEach(() => rmSync(directory, { recursive: true, force: true }));

  const load = () => sam3.Sam3TrackerModel.from_pretrained(model);
  const code = (name) => expect.objectContaining({ name: 'Sam3TrackerError', code: name });

  test('of every class', async () => {
    const tracker = await load();
    const processor = await sam3.Sam3TrackerProcessor.from_pretrained(model);
    const inputs = await processor({ images: coffee, ...click });
    const generator = await sam3.pipeline('mask-generation', model);
    await expect(sam3.RawImage.read(1)).rejects.toThrow(TypeError);
    await expect(sam3.RawImage.read(coffee, { limitInputPixels: 0 })).rejects.toThrow(RangeError);
    await expect(sam3.RawImage.read('none.png')).rejects.toThrow(sam3.Sam3TrackerError);
    await expect(sam3.RawImage.read('none.png')).rejects.toEqual(code('FILE_NOT_FOUND'));
    await expect(sam3.RawImage.read(Buffer.from('no image'))).rejects.toEqual(code('IMAGE_INVALID'));
    await expect(generator(['none.png'])).rejects.toThrow(sam3.MaskGenerationError);
    // Native code's.
    const labels = new sam3.Tensor('int64', [7], [1, 1, 1]);
    await expect(tracker({ ...inputs, input_labels: labels })).rejects.toThrow(RangeError);
    // The file system's.
    await expect(tracker.save_pretrained(path.join(file, 'below'))).rejects.toEqual(code('FILE_NOT_WRITTEN'));
    // JSON's.
    await expect(sam3.Sam3TrackerConfig.from_pretrained(directory)).rejects.toThrow(sam3.Sam3TrackerError);
    tracker.dispose();
    await expect(tracker(inputs)).rejects.toEqual(code('DISPOSED'));
    generator.dispose();
  });

  test('of an aborted call', async () => {
    const generator = await sam3.pipeline('mask-generation', model);
    const end = new AbortController();
    const call = generator(coffee, { signal: end.signal });
    end.abort();
    await expect(call).rejects.toHaveProperty('name', 'AbortError');
    generator.dispose();
  });
});

test('configurations as outside', () => {
  expect(new sam3.Sam3TrackerConfig().to_json_string()).toBe(process.env.EXPECTED_CONFIGURATION);
});

test('a download from the hub', async () => {
  const config = await sam3.Sam3TrackerConfig.from_pretrained('tests/tiny');
  expect(config.vision_config).toBeInstanceOf(sam3.Sam3VisionConfig);
  await expect(sam3.Sam3TrackerConfig.from_pretrained('tests/none')).rejects.toEqual(
    expect.objectContaining({ code: 'REPOSITORY_NOT_FOUND' }),
  );
});

test('two copies of the package', async () => {
  let other;
  jest.isolateModules(() => {
    other = require('sam3-tracker');
  });
  expect(other.Tensor).not.toBe(sam3.Tensor);
  const image = await other.RawImage.read(coffee);
  const processor = await sam3.Sam3TrackerProcessor.from_pretrained(model);
  const inputs = await processor({ images: image, ...click });
  const tracker = await other.Sam3TrackerModel.from_pretrained(model);
  const { masks } = await tracker.predict_masks(inputs);
  expect(sam3.Tensor.isTensor(masks[0])).toBe(true);
  tracker.dispose();
});
