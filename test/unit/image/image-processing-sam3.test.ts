import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PILImageResampling } from '../../../lib/image/options';
import { Sam3ImageProcessor, type ImageFeatures } from '../../../lib/image/image-processing-sam3';
import { type ImagesInput } from '../../../lib/image/inputs';
import { RawImage } from '../../../lib/image/raw-image';
import { Tensor } from '../../../lib/tensor';

describe('Sam3ImageProcessor', () => {
  let directory: string;
  const image = new RawImage(
    Uint8Array.from({ length: 30 * 40 * 3 }, (_, index) => (index * 37) % 256),
    40,
    30,
    3,
  );

  before(async () => {
    directory = await mkdtemp(path.join(tmpdir(), 'image-processor-'));
  });

  after(() => rm(directory, { recursive: true }));

  it('is a function and an instance of its class', async () => {
    const processor = new Sam3ImageProcessor();
    assert.ok(processor instanceof Sam3ImageProcessor);
    assert.equal(typeof processor, 'function');
    assert.equal((await processor(image)).pixel_values.dims.join(), '1,3,1008,1008');
    assert.deepEqual(JSON.parse(JSON.stringify(processor)), processor.to_dict());
    assert.deepEqual(processor.model_input_names, ['pixel_values']);
  });

  it('does not share its default settings', () => {
    const processor = new Sam3ImageProcessor();
    (processor.image_mean as number[])[0] = 9;
    assert.deepEqual(new Sam3ImageProcessor().image_mean, [0.5, 0.5, 0.5]);
  });

  it('keeps null through files, and takes the default for what is undefined', async () => {
    const processor = new Sam3ImageProcessor({ do_resize: null, return_tensors: null, size: undefined });
    assert.deepEqual([processor.do_resize, processor.size], [null, { height: 1008, width: 1008 }]);
    const [file] = await processor.save_pretrained(path.join(directory, 'nulls'));
    const read = await Sam3ImageProcessor.from_pretrained(path.dirname(file));
    assert.deepEqual([read.do_resize, read.return_tensors], [null, null]);
    assert.deepEqual(read.to_dict(), processor.to_dict());
    const changed = await Sam3ImageProcessor.from_pretrained(path.dirname(file), {
      do_rescale: null,
      do_resize: undefined,
    });
    assert.deepEqual([changed.do_resize, changed.do_rescale], [null, null]);
    assert.deepEqual((await processor(image, { return_tensors: 'pt' })).pixel_values.dims, [1, 3, 30, 40]);
  });

  it('honours data_format', async () => {
    const processor = new Sam3ImageProcessor({ size: [6, 7] });
    const planes = (await processor(image)).pixel_values;
    const pixels = (await processor(image, { data_format: 'channels_last' })).pixel_values;
    assert.deepEqual([...pixels.dims], [1, 6, 7, 3]);
    for (let channel = 0; channel < 3; channel++)
      assert.deepEqual(
        pixels.slice(0, null, null, channel).tolist(),
        planes.slice(0, channel).tolist(),
        `channel ${channel}`,
      );
  });

  it('returns what return_tensors asks for', async () => {
    const processor = new Sam3ImageProcessor({ size: [6, 7], mask_size: { height: 4, width: 5 } });
    const map = { data: new Uint8Array(1200).fill(3), dims: [30, 40] };
    const images = [image, image];
    const call = { segmentation_maps: [map, map] };
    const batch = await processor(images, { ...call, return_tensors: 'pt' });
    assert.deepEqual([...batch.labels!.dims, batch.labels!.type], [2, 4, 5, 'int64']);
    const arrays = await processor(images, { ...call, return_tensors: 'np' });
    assert.ok(arrays.pixel_values.data instanceof Float32Array);
    assert.deepEqual(arrays.pixel_values.data, batch.pixel_values.data);
    assert.deepEqual([...arrays.pixel_values.dims], [2, 3, 6, 7]);
    assert.ok(arrays.labels!.data instanceof BigInt64Array);
    const lists = await processor(images, { ...call, return_tensors: null });
    assert.deepEqual(
      lists.pixel_values.map(({ dims }) => dims.join()),
      ['3,6,7', '3,6,7'],
    );
    assert.deepEqual(lists.labels![1].tolist(), batch.labels!.slice(1).tolist());
    const ragged = await processor([image, new RawImage(new Uint8Array(3), 1, 1, 3)], {
      do_resize: false,
      return_tensors: null,
    });
    assert.deepEqual(
      ragged.pixel_values.map(({ dims }) => dims.join()),
      ['3,30,40', '3,1,1'],
    );
  });

  it('reads files and URLs that are given as images', async () => {
    const file = path.join(directory, 'image.png');
    await image.save(file);
    const processor = new Sam3ImageProcessor({ size: 5 });
    const expected = (await processor(image)).pixel_values.tolist();
    assert.deepEqual((await processor(file)).pixel_values.tolist(), expected);
    assert.deepEqual((await processor([[file]])).pixel_values.tolist(), expected);
    await assert.rejects(processor(path.join(directory, 'none.png')), { code: 'FILE_NOT_FOUND' });
  });

  it('prefers the settings nested in processor_config.json', async () => {
    const model = await mkdtemp(path.join(directory, 'model-'));
    await writeFile(path.join(model, 'preprocessor_config.json'), '{"size": 5}');
    assert.deepEqual((await Sam3ImageProcessor.from_pretrained(model)).size, { height: 5, width: 5 });
    await writeFile(path.join(model, 'processor_config.json'), '{"target_size": 6}');
    assert.deepEqual((await Sam3ImageProcessor.from_pretrained(model)).size, { height: 5, width: 5 });
    await writeFile(path.join(model, 'processor_config.json'), '{"image_processor": {"size": 7}}');
    assert.deepEqual((await Sam3ImageProcessor.from_pretrained(model)).size, { height: 7, width: 7 });
    const file = path.join(model, 'preprocessor_config.json');
    assert.deepEqual((await Sam3ImageProcessor.from_pretrained(file)).size, { height: 5, width: 5 });
    const changed = await Sam3ImageProcessor.from_pretrained(model, { size: 8, do_pad: true, pad_size: 9 });
    assert.deepEqual(
      [changed.size, changed.pad_size],
      [
        { height: 8, width: 8 },
        { height: 9, width: 9 },
      ],
    );
    await rm(model, { recursive: true });
    await assert.rejects(Sam3ImageProcessor.from_pretrained(model), { code: 'FILE_NOT_FOUND' });
  });

  it('refuses what it does not take, by name', async () => {
    const processor = new Sam3ImageProcessor();
    const table: [unknown, object, string, RegExp][] = [
      [image, { do_resiz: true }, 'TypeError', /^Unknown option "do_resiz" .* Did you mean "do_resize"\?$/],
      [
        image,
        { do_resize: 1 },
        'TypeError',
        /^Expected a boolean for do_resize but received 1 of type number\.$/,
      ],
      [image, { size: 20.5 }, 'RangeError', /^Expected an integer for size/],
      [image, { size: 'x' }, 'TypeError', /for size but received "x"/],
      [image, { size: [3] }, 'RangeError', /^Expected \[height, width\] for size/],
      [image, { resample: 6 }, 'RangeError', /^The resampling should be one of \[0, 1, 2, 3, 4, 5\]/],
      [image, { resample: 'bilinear' }, 'TypeError', /PILImageResampling/],
      [image, { rescale_factor: NaN }, 'RangeError', /^Expected a finite number for rescale_factor/],
      [image, { rescale_factor: 0 }, 'RangeError', /for rescale_factor/],
      [image, { image_mean: [] }, 'RangeError', /for image_mean/],
      [image, { image_std: [1, '2', 1] }, 'TypeError', /for image_std\[1\]/],
      [image, { image_std: 0 }, 'RangeError', /^std evaluated to zero, leading to division by zero\.$/],
      [image, { data_format: 'HWC' }, 'RangeError', /for data_format/],
      [image, { input_data_format: 'none' }, 'RangeError', /for input_data_format/],
      [image, { device: 'gpu' }, 'RangeError', /for device/],
      [image, { crop_size: 0, do_center_crop: true }, 'RangeError', /for crop_size\.height/],
      [image, { return_tensors: 3 }, 'TypeError', /for return_tensors/],
      [
        image,
        { return_tensors: 'mlx' },
        'RangeError',
        /^Unable to convert output to MLX tensors format, MLX is not installed\.$/,
      ],
      [
        image,
        { segmentation_maps: { data: new Uint8Array(4), dims: [2, 2] }, mask_size: null },
        'RangeError',
        /^`mask_size` must be specified for segmentation maps/,
      ],
      [image, { segmentation_maps: [] }, 'RangeError', /^Could not make a flat list of images from \[\]$/],
      [[], {}, 'RangeError', /^Could not make a flat list of images from \[\]$/],
      [[[]], {}, 'RangeError', /^Expected at least one image for images\.$/],
      [null, {}, 'TypeError', /^only a single or a list of entries is supported but got type=null\./],
      [[image, 3], {}, 'TypeError', /^only a single or a list .* type=number\. images\[1\] takes RawImages/],
      [new Array(2 ** 32 - 1), {}, 'TypeError', /type=undefined\. images\[0\] takes/],
      [[[[3]], '/nowhere'], {}, 'TypeError', /type=number\. images\[0\]\[0\]\[0\] takes/],
      [new Array(5000).fill([]), {}, 'RangeError', /^Expected at most 4096 images for images/],
      [
        [image, [image]],
        {},
        'RangeError',
        /^Could not make a flat list of images from \[RawImage, \[RawImage\]\]$/,
      ],
      [
        new Float32Array(3),
        {},
        'TypeError',
        /type=Float32Array\. images takes RawImages, Tensors, .* sharp instances\.$/,
      ],
      [Buffer.from('png'), {}, 'Sam3TrackerError', /corrupt or of a format/],
      [{ data: new Uint16Array(12), dims: [2, 2, 3] }, {}, 'TypeError', /for images\.data/],
      [
        { data: new Uint8Array(11), dims: [2, 2, 3] },
        {},
        'RangeError',
        /^Expected 12 elements for dims .* for images\.data/,
      ],
      [{ data: new Uint8Array(0), dims: [0, 2, 3] }, {}, 'RangeError', /^Expected images with pixels/],
      [{ data: new Uint8Array(4), dims: [2, 2] }, {}, 'RangeError', /^Could not make a flat list/],
    ];
    for (const [images, options, name, message] of table)
      await assert.rejects(processor(images as ImagesInput, options), { name, message }, `${message}`);
    assert.throws(() => new Sam3ImageProcessor({ do_rezise: true } as never), { name: 'TypeError' });
    const rgba = new RawImage(new Uint8Array(4), 1, 1, 4);
    await assert.rejects(processor(rgba, { do_convert_rgb: false }), {
      message: /^Unable to infer channel dimension format: the image has 4 channels\./,
    });
  });

  it('reads four images at a time, none before all are checked, and none after one has failed', async () => {
    const png = await image.toSharp().png().toBuffer();
    let [open, most, opened] = [0, 0, 0];
    class CountedBlob extends Blob {
      constructor(readonly isWhole = true) {
        super([new Uint8Array(png)]);
      }
      override async arrayBuffer(): Promise<ArrayBuffer> {
        opened += 1;
        most = Math.max(most, ++open);
        await nextTurn();
        open -= 1;
        if (!this.isWhole) throw new RangeError('half a blob');
        return super.arrayBuffer();
      }
    }
    const blobs = Array.from({ length: 20 }, () => new CountedBlob());
    const processor = new Sam3ImageProcessor({ size: { height: 8, width: 8 } });
    await assert.rejects(processor([...blobs, 3] as never), /images\[20\] takes/);
    assert.equal(opened, 0);
    const { pixel_values } = await processor(blobs);
    assert.deepEqual([pixel_values.dims[0], opened, most], [20, 20, 4]);
    await assert.rejects(processor([new CountedBlob(false), ...blobs]), /half a blob/);
    await nextTurn();
    assert.ok(opened <= 20 + 4, `${opened - 20} of 21 were opened`);
  });

  it('says when there is not enough memory, and goes on', async () => {
    const processor = new Sam3ImageProcessor();
    const masks = new Tensor('float32', new Float32Array(1200), [100, 3, 2, 2]);
    await assert.rejects(processor.post_process_masks([masks], [[40_000, 40_000]]), {
      name: 'Sam3TrackerError',
      code: 'OUT_OF_MEMORY',
      message:
        /^This call would run out of memory: a tensor of [\d.]+ GiB is more than the [\d.]+ GiB that .* has free/,
    });
    const [small] = await processor.post_process_masks([masks], [[4, 4]]);
    assert.deepEqual(small.dims, [100, 3, 4, 4]);
  });

  it('refuses a disposed tensor, and disposes none of its caller', async () => {
    const tensor = new Tensor('uint8', new Uint8Array(2 * 3 * 4 * 4), [2, 3, 4, 4]);
    await new Sam3ImageProcessor({ size: 4 })(tensor);
    assert.equal(tensor.disposed, false);
    tensor.dispose();
    await assert.rejects(new Sam3ImageProcessor()(tensor), { name: 'Sam3TrackerError', code: 'DISPOSED' });
  });

  it('names the resampling filters as Pillow does', () => {
    assert.deepEqual(
      { ...PILImageResampling },
      { NEAREST: 0, LANCZOS: 1, BILINEAR: 2, BICUBIC: 3, BOX: 4, HAMMING: 5 },
    );
  });
});

// What must not compile does not.
export async function typesOf(processor: Sam3ImageProcessor, image: RawImage): Promise<void> {
  const batch: ImageFeatures = await processor(image);
  const list: Tensor[] = (await processor(image, { return_tensors: null })).pixel_values;
  // @ts-expect-error an option that does not exist
  await processor(image, { do_resiz: true });
  // @ts-expect-error a batch is one Tensor
  const wrong: Tensor[] = batch.pixel_values;
  void [list, wrong];
}
