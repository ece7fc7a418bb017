/** The image processor compared with transformers, live. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Sam3ImageProcessor, type ImageFeatures } from '../../../lib/image/image-processing-sam3';
import { type ImagesInput } from '../../../lib/image/inputs';
import { type Sam3ImageProcessorOptions } from '../../../lib/image/options';
import type { TensorData } from '../../../lib/core/dtype';
import { RawImage } from '../../../lib/image/raw-image';
import { Tensor } from '../../../lib/tensor';
import type { ArrayWithDims } from '../../../lib/core/types';
import { assertSame, assertSameError, settled, type WrittenArray } from '../../support/image-assertions';
import { Draw, ours, sample, theirs, theirsInFile, type Case, type Sample } from '../../support/image-cases';
import { ARGUMENTS, COUNT, describeCall, drawCall } from '../../support/image-calls';
import { reference, type Answer, type Reference } from '../../support/python';

type Values = Tensor | Tensor[] | ArrayWithDims<TensorData>;

interface ReferenceFeatures<T = WrittenArray> {
  pixel_values: T;
  original_sizes: [number, number][];
  labels: WrittenArray | null;
}

describe('Sam3ImageProcessor compared with transformers', () => {
  let directory: string;
  const draw = new Draw(7);
  const small = sample(draw, 'image', 'uint8', [30, 40, 3]);
  const image = ours(small) as RawImage;

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'image-processor-'));
  });

  let python: Reference | undefined;

  before(function () {
    python = reference(path.join(__dirname, '..', '..', 'support', 'image_reference.py'), this);
  });

  after(async () => {
    await rm(directory, { recursive: true });
  });

  function ask(
    images: unknown,
    options: object,
    maps: unknown = null,
    settings: object = {},
  ): Promise<Answer> {
    return python!.call('preprocess', { images, options, maps, settings });
  }

  async function compare({ images, maps, options }: Case, what: string): Promise<boolean> {
    const write = (image: Sample): unknown => theirsInFile(image, directory);
    const answer = await ask(images.map(write), options, maps?.map(write) ?? null);
    const call = { return_tensors: 'pt', ...options, segmentation_maps: maps?.map(ours) ?? null } as const;
    const features = await settled(
      new Sam3ImageProcessor()(images.map(ours), call as never) as Promise<ImageFeatures<Values>>,
    );
    if (answer.error) {
      assertSameError(features, answer, what);
      return false;
    }
    if (features instanceof Error) throw new Error(`${what}: ${features.stack}`);
    const expected = answer.result as ReferenceFeatures<WrittenArray | WrittenArray[]>;
    const { pixel_values, labels } = features;
    assert.equal(Array.isArray(pixel_values), Array.isArray(expected.pixel_values), what);
    const [own, wanted] = [[pixel_values].flat(), [expected.pixel_values].flat()];
    assert.equal(own.length, wanted.length, what);
    own.forEach((values, index) => assertSame(values, wanted[index], what));
    assert.deepEqual(features.original_sizes, expected.original_sizes, what);
    assert.equal(labels === undefined, expected.labels === null, what);
    if (labels && expected.labels) assertSame(labels as Tensor, expected.labels, `${what}: labels`);
    for (const values of [...own, labels]) if (Tensor.isTensor(values)) values.dispose();
    return true;
  }

  it(`gives the same numbers, or the same error, in ${COUNT} random calls of every argument`, async () => {
    let equal = 0;
    const drawn: string[] = [];
    for (let index = 0; index < COUNT; index++) {
      const call = drawCall(index);
      drawn.push(...describeCall(call));
      const [{ kind, dtype, dims }] = call.images;
      const what = `case ${index}: ${kind} ${dtype} [${dims.join(', ')}] ${JSON.stringify(call.options)}`;
      if (await compare(call, what)) equal++;
    }
    assert.ok(equal >= 150, `${equal} calls gave numbers`);
    for (const name of ARGUMENTS)
      assert.ok(drawn.filter((one) => one === name).length >= 2, `${name} is drawn less than twice`);
  });

  it('gives the same numbers with the default settings for 50 random images, from 1x1 to 3000x2000', async () => {
    const sizes = [
      [1, 1],
      [1, 700],
      [1008, 1008],
      [3000, 2000],
    ];
    while (sizes.length < 50) sizes.push([draw.integer(1, 900), draw.integer(1, 600)]);
    for (const [width, height] of sizes) {
      const image = sample(draw, 'image', 'uint8', [height, width, 3]);
      assert.ok(await compare({ images: [image], maps: null, options: {} }, `${width}x${height}`));
    }
  });

  it('gives the same numbers for photos', async () => {
    const photos = path.join(__dirname, '..', '..', '..', 'examples', 'images');
    const names = (await readdir(photos)).filter((name) => /\.(jpg|png)$/.test(name));
    assert.ok(names.length > 0, `no photo in ${photos}`);
    for (const name of names) {
      const { data, width, height } = (await RawImage.read(path.join(photos, name))).rgb();
      const image: Sample = { kind: 'image', dtype: 'uint8', dims: [height, width, 3], data };
      assert.ok(await compare({ images: [image], maps: null, options: {} }, name));
    }
  });

  it('gives the same numbers for batches', async () => {
    const batch = (sizes: [number, number][]): Sample[] =>
      sizes.map(([height, width]) => sample(draw, 'image', 'uint8', [height, width, 3]));
    const mixed = batch([
      [30, 40],
      [50, 20],
      [30, 40],
    ]);
    const maps = mixed.map(({ dims }) => sample(draw, 'array', 'uint8', dims.slice(0, 2)));
    const options = { size: 64, mask_size: { height: 20, width: 24 } };
    assert.ok(await compare({ images: mixed, maps, options }, 'resized'));
    assert.ok(
      await compare({ images: mixed, maps: null, options: { do_resize: false, do_pad: true } }, 'padded'),
    );
    const crop = { do_resize: false, do_center_crop: true, crop_size: [35, 35] as const };
    assert.ok(await compare({ images: mixed, maps, options: crop }, 'cropped'));
    assert.ok(!(await compare({ images: mixed, maps: null, options: { do_resize: false } }, 'ragged')));
    assert.ok(
      await compare({ images: [mixed[0], mixed[2]], maps: null, options: { do_resize: false } }, 'alike'),
    );
  });

  it('flattens what comes nested, in lists or in one array', async () => {
    const batch = sample(draw, 'array', 'uint8', [2, 3, 8, 9]);
    const tensor = sample(draw, 'tensor', 'float32', [2, 8, 9, 3]);
    const one = sample(draw, 'array', 'uint8', [8, 9, 3]);
    const map = sample(draw, 'array', 'int64', [8, 9]);
    const maps = sample(draw, 'tensor', 'uint8', [3, 8, 9]);
    const forms: [Sample | Sample[] | Sample[][], Sample | Sample[]][] = [
      [batch, maps],
      [tensor, [map]],
      [[batch, batch], map],
      [one, [maps, maps]],
      [[[one], [one, one]], map],
      [[[one], []], map],
    ];
    const convert = (images: unknown, form: (image: Sample) => unknown): unknown =>
      Array.isArray(images) ? images.map((item) => convert(item, form)) : form(images as Sample);
    for (const [index, [images, segmentation_maps]] of forms.entries()) {
      const options = { size: [5, 6] as const, mask_size: { height: 4, width: 3 } };
      const answer = await ask(convert(images, theirs), options, convert(segmentation_maps, theirs));
      assert.ok(answer.result, answer.error?.message);
      const expected = answer.result as ReferenceFeatures;
      const features = await new Sam3ImageProcessor(options)(convert(images, ours) as ImagesInput, {
        segmentation_maps: convert(segmentation_maps, ours) as ImagesInput,
      });
      assertSame(features.pixel_values, expected.pixel_values, `form ${index}`);
      assertSame(features.labels!, expected.labels!, `form ${index}: labels`);
      assert.deepEqual(features.original_sizes, expected.original_sizes);
    }
  });

  it('takes settings from the constructor, and changes them for one call', async () => {
    const settings = { size: 20, default_to_square: false, image_mean: [0.1, 0.2, 0.3], do_rescale: false };
    const processor = new Sam3ImageProcessor(settings);
    for (const options of [{}, { do_resize: null }, { do_rescale: true, size: { height: 9, width: 8 } }]) {
      const expected = (await ask([theirs(small)], options, null, settings)).result as ReferenceFeatures;
      assertSame(
        (await processor(image, options)).pixel_values,
        expected.pixel_values,
        JSON.stringify(options),
      );
    }
    processor.do_rescale = true;
    const changed = (await ask([theirs(small)], { do_rescale: true }, null, settings))
      .result as ReferenceFeatures;
    assertSame((await processor(image)).pixel_values, changed.pixel_values, 'a changed field');
  });

  it('keeps null, and leaves such a step out', async () => {
    const table: Sam3ImageProcessorOptions[] = [
      { do_resize: null },
      { do_rescale: null },
      { do_normalize: null },
      { do_convert_rgb: null },
      { do_center_crop: null, crop_size: null, do_pad: null, pad_size: null },
      { size: null },
      { size: null, do_resize: null },
      { resample: null },
      { resample: null, do_resize: false },
      { rescale_factor: null },
      { rescale_factor: null, do_rescale: null },
      { image_mean: null },
      { image_mean: null, image_std: null, do_normalize: null },
      { image_std: null },
      { mask_size: null },
      { default_to_square: null, size: 12 },
      { input_data_format: null, data_format: null, device: null, disable_grouping: null },
    ];
    for (const given of table) {
      const settings = { size: 20, ...given };
      const what = JSON.stringify(given);
      const answer = await ask([theirs(small)], {}, null, settings);
      const saved = Sam3ImageProcessor.from_dict(new Sam3ImageProcessor(settings).to_dict());
      for (const processor of [
        new Sam3ImageProcessor(settings),
        Sam3ImageProcessor.from_dict(settings),
        saved,
      ]) {
        for (const [name, value] of Object.entries(given))
          if (value === null) assert.equal(processor[name as keyof Sam3ImageProcessorOptions], null, what);
        const features = await settled(processor(image));
        if (answer.error) assertSameError(features, answer, what);
        else if (features instanceof Error) throw new Error(`${what}: ${features.stack}`);
        else assertSame(features.pixel_values, (answer.result as ReferenceFeatures).pixel_values, what);
      }
    }
  });

  it("raises the reference's errors with their messages", async () => {
    const table: object[] = [
      { rescale_factor: null },
      { image_mean: null },
      { image_std: null },
      { size: null },
      { resample: null },
      { do_center_crop: true },
      { image_std: [0, 1, 1], do_rescale: false },
      { size: { height: 3 } },
      { size: { width: 3, shortest_edge: 4 } },
      { size: { longest_edge: 20 } },
      { size: 0 },
      { size: -3 },
      { size: { height: 0, width: 5 } },
      { mask_size: { shortest: 3 } },
      { crop_size: { height: 3 }, do_center_crop: true },
      { pad_size: 20, do_pad: true },
      { pad_size: { shortest_edge: 5 }, do_pad: true },
      { pad_size: 0, do_pad: true },
      { resample: 4 },
      { resample: 5 },
      { image_mean: [0.5, 0.5] },
      { image_std: [0.5, 0.5] },
      { return_tensors: 'tf' },
    ];
    for (const options of table) {
      const answer = await ask([theirs(small)], options);
      assertSameError(
        await settled(new Sam3ImageProcessor()(image, options)),
        answer,
        JSON.stringify(options),
      );
    }
    const arrays: [Sample, object][] = [
      [sample(draw, 'array', 'uint8', [30, 40, 4]), {}],
      [sample(draw, 'array', 'uint8', [2, 4, 5]), {}],
      [sample(draw, 'array', 'uint8', [4, 4, 4]), { input_data_format: 'channels_last' }],
    ];
    for (const [image, options] of arrays)
      assertSameError(
        await settled(new Sam3ImageProcessor()([ours(image)], options)),
        await ask([theirs(image)], options),
        `${image.dims.join('x')} ${JSON.stringify(options)}`,
      );
  });

  it('resizes nothing with a filter that is refused where sizes agree', async () => {
    const image = sample(draw, 'image', 'uint8', [6, 7, 3]);
    assert.ok(await compare({ images: [image], maps: null, options: { resample: 4, size: [6, 7] } }, 'BOX'));
  });

  it('writes the files that transformers writes, and the other way round', async () => {
    const texts = [
      '{}',
      '{"size": 5, "pad_size": [3, 4], "do_pad": true, "do_rescale": false, "image_mean": 0.5, "data_format": "channels_last"}',
      '{"size": {"shortest_edge": 7}, "rescale_factor": 1.0, "image_std": [1.0, 2.0, 0.25], "do_center_crop": true, "crop_size": 9}',
      '{"default_to_square": false, "size": 30, "resample": 0, "some_unknown_field": {"a": [1, "\\u00e9"]}, "processor_class": "X"}',
      '{"do_resize": null, "do_rescale": null, "do_normalize": null, "do_convert_rgb": null, "do_pad": null}',
      '{"size": null, "mask_size": null, "resample": null, "rescale_factor": null, "image_mean": null, "image_std": null}',
      '{"default_to_square": null, "size": 30, "crop_size": null, "device": null, "data_format": null}',
      '{"input_data_format": "channels_first", "device": "cpu", "disable_grouping": true, "image_seq_length": 4}',
    ];
    for (const text of texts) {
      const processor = Sam3ImageProcessor.from_dict(JSON.parse(text) as Record<string, unknown>);
      assert.equal(processor.to_json_string(), await python!.result('saved', { settings: text }), text);
      const target = path.join(directory, 'saved');
      const [file] = await processor.save_pretrained(target);
      assert.equal(file, path.join(target, 'preprocessor_config.json'));
      assert.equal(await readFile(file, 'utf8'), processor.to_json_string());
      assert.equal(await python!.result('loaded', { directory: target }), processor.to_json_string(), text);
      const again = await Sam3ImageProcessor.from_pretrained(target);
      assert.deepEqual(again.to_dict(), processor.to_dict());
    }
  });
});
