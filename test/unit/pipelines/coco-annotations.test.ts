import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import {
  CocoDatasetBuilder,
  RawImage,
  mask_area,
  mask_to_box,
  pipeline,
  write_coco_annotations,
  type CocoDataset,
  type CocoRLE,
  type MaskGenerationPipeline,
} from '../../../lib/index';
import { cocoFileNames } from '../../../lib/pipelines/coco-annotations';
import { FEW, makeImage } from '../../support/mask-generation';
import { ROOT, reference } from '../../support/python';

const PHOTOS = path.join(__dirname, '..', '..', '..', 'examples', 'images');

describe('write_coco_annotations', () => {
  let generator: MaskGenerationPipeline;
  let directory: string;
  let file: string;
  before(async () => {
    generator = await pipeline('mask-generation', 'sam3-tracker-tiny', { device: 'cpu' });
  });
  after(() => generator.dispose());
  beforeEach(() => {
    directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-coco-'));
    file = path.join(directory, 'made', 'annotations.json');
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  const read = (): CocoDataset => JSON.parse(readFileSync(file, 'utf8')) as CocoDataset;
  const named = (...names: string[]): string[] => names.map((name) => path.join(directory, name));

  /** Small images of these sizes, in the test's own folder. */
  async function save(images: Record<string, [width: number, height: number]>): Promise<void> {
    for (const [name, size] of Object.entries(images))
      await makeImage(...size).save(path.join(directory, name));
  }

  it('is refused for no image, two of one name, and what is no pipeline, and leaves an old file', async () => {
    const target = path.join(directory, 'kept.json');
    writeFileSync(target, 'old');
    const one = { name: 'x', image: new RawImage(new Uint8Array(3), 1, 1, 3) };
    await assert.rejects(write_coco_annotations(generator, [], target), RangeError);
    await assert.rejects(write_coco_annotations(generator, [one, one], target), RangeError);
    await assert.rejects(
      write_coco_annotations('sam3-tracker-tiny' as never, [one], target),
      /a mask-generation pipeline/,
    );
    assert.equal(readFileSync(target, 'utf8'), 'old');
  });

  it('leaves an earlier file as it is where every image fails', async () => {
    await save({ 'a.png': [40, 30] });
    const options = { generation: FEW, on_error: () => undefined };
    await write_coco_annotations(generator, named('a.png'), file, options);
    const before = read();
    await write_coco_annotations(generator, named('missing.png'), file, options);
    assert.deepEqual(read(), before);
    await assert.rejects(write_coco_annotations(generator, named('missing.png'), file, { generation: FEW }), {
      name: 'AggregateError',
    });
    assert.deepEqual(read(), before);
  });

  it('refuses a folder that is not there, and one without images', async () => {
    await assert.rejects(write_coco_annotations(generator, path.join(directory, 'missing'), file), {
      code: 'FILE_NOT_FOUND',
      message: /There is no folder .*missing/,
    });
    await assert.rejects(write_coco_annotations(generator, directory, file), {
      name: 'RangeError',
      message: /a folder with images for images/,
    });
    assert.ok(!existsSync(file));
  });

  it('does a folder in the order of its names, without what is no image', async () => {
    await save({ 'b.png': [60, 40], 'a.JPG': [50, 30] });
    writeFileSync(path.join(directory, 'notes.txt'), 'no image');
    const seen: unknown[] = [];
    const dataset = await write_coco_annotations(generator, directory, file, {
      generation: { ...FEW, pred_iou_thresh: 0 },
      on_start: (...one) => seen.push(one),
    });
    assert.deepEqual(dataset.images, [
      { id: 1, file_name: 'a.JPG', width: 50, height: 30 },
      { id: 2, file_name: 'b.png', width: 60, height: 40 },
    ]);
    assert.deepEqual(seen, [
      ['a.JPG', 0, 2],
      ['b.png', 1, 2],
    ]);
    assert.deepEqual(read(), JSON.parse(JSON.stringify(dataset)));
  });

  it('says of each mask what COCO says of an object', async () => {
    const photo = path.join(PHOTOS, 'astronaut.png');
    const { masks, scores } = await generator(photo, FEW);
    const { annotations, categories } = await write_coco_annotations(generator, [photo], file, {
      generation: FEW,
    });
    assert.deepEqual(categories, [{ id: 1, name: 'object' }]);
    assert.equal(annotations.length, masks.length);
    annotations.forEach((annotation, index) => {
      const [x1, y1, x2, y2] = mask_to_box(masks[index]);
      assert.deepEqual(annotation, {
        id: index + 1,
        image_id: 1,
        category_id: 1,
        segmentation: masks[index].coco_rle,
        area: mask_area(masks[index]),
        bbox: [x1, y1, x2 - x1 + 1, y2 - y1 + 1],
        iscrowd: 0,
        score: scores[index],
      });
    });
    const outlined = await write_coco_annotations(generator, [photo], file, {
      generation: { ...FEW, output_mode: 'coco_rle' },
      segmentation: 'polygons',
    });
    assert.equal(outlined.annotations.length, masks.length);
    for (const { segmentation } of outlined.annotations)
      assert.ok((segmentation as number[][]).every((polygon) => polygon.length >= 8));
    assert.equal((read().annotations[0].segmentation as CocoRLE).counts, undefined);
  });

  it('leaves out what fails, and rejects once the file is written', async () => {
    await save({ 'first.png': [60, 40], 'small.png': [20, 20], 'last.png': [60, 40] });
    writeFileSync(path.join(directory, 'corrupt.png'), 'no image');
    const images = named('first.png', 'corrupt.png', 'missing.png', 'small.png', 'last.png');
    // The smallest image does not have all of it.
    const generation = { ...FEW, box_of_interest: [10, 10, 50, 40] };
    await assert.rejects(write_coco_annotations(generator, images, file, { generation }), (error) => {
      assert.ok(error instanceof AggregateError);
      assert.match(error.message, /^3 of 5 images failed: The image/);
      assert.match(String(error.errors[1]), /There is no image file/);
      assert.match(String(error.errors[2]), /^RangeError: .*box_of_interest/);
      return true;
    });
    assert.deepEqual(
      read().images.map(({ id, file_name }) => [id, path.basename(file_name)]),
      [
        [1, 'first.png'],
        [2, 'last.png'],
      ],
    );
  });

  it('hands images and errors to callbacks, and leaves out images whose callback fails', async () => {
    await save({ 'a.png': [60, 40], 'b.png': [60, 40] });
    const errors: string[] = [];
    const dataset = await write_coco_annotations(generator, named('a.png', 'none.png', 'b.png'), file, {
      generation: FEW,
      on_image: async (name, { size }, { masks, scores }) => {
        await Promise.resolve();
        assert.deepEqual(size, [60, 40]);
        assert.equal(masks.length, scores.length);
        if (name.endsWith('b.png')) throw new Error('the disk is full');
      },
      on_error: (name, error) => errors.push(`${path.basename(name)}: ${error.message.slice(0, 16)}`),
    });
    assert.deepEqual(errors, ['none.png: There is no imag', 'b.png: the disk is full']);
    assert.equal(dataset.images.length, 1);
    assert.ok(dataset.annotations.every(({ image_id }) => image_id === 1));
  });

  it('ends with its signal, also while an image is fetched, and writes nothing then', async () => {
    await save({ 'a.png': [60, 40] });
    const controller = new AbortController();
    const generation = { ...FEW, signal: controller.signal };
    const server = createServer(() => controller.abort()).listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/photo.png`;
    try {
      const run = write_coco_annotations(generator, [...named('a.png'), url], file, { generation });
      await assert.rejects(run, { name: 'AbortError' });
      const limited = { ...FEW, timeout: 0.05 };
      const late = write_coco_annotations(generator, [url], file, { generation: limited });
      // The timeout is the image's failure, not the call's.
      await assert.rejects(late, {
        name: 'AggregateError',
        message: /1 of 1 images failed: .*within the timeout of 0\.05 seconds/,
      });
    } finally {
      server.closeAllConnections();
      server.close();
    }
    assert.equal(existsSync(file), false);
  });

  it('writes what it has when it is ended, where it shall', async () => {
    await save({ 'a.png': [60, 40], 'b.png': [40, 60], 'c.png': [30, 30] });
    const images = ['a.png', 'missing.png', 'b.png', 'c.png'];
    const end = async (at: string, write_partial: boolean): Promise<void> => {
      const controller = new AbortController();
      const run = write_coco_annotations(generator, named(...images), file, {
        generation: { ...FEW, signal: controller.signal },
        write_partial,
        on_start: (name) => path.basename(name) === at && controller.abort(),
        on_error: () => undefined,
      });
      await assert.rejects(run, { name: 'AbortError' });
    };
    await end('c.png', false);
    await end('a.png', true);
    assert.equal(existsSync(file), false);
    await end('c.png', true);
    const { images: written, annotations } = read();
    assert.deepEqual(
      written.map(({ file_name }) => path.basename(file_name)),
      ['a.png', 'b.png'],
    );
    assert.ok(annotations.length > 0);
    assert.ok(annotations.every(({ image_id }) => image_id === 1 || image_id === 2));
  });

  it('refuses wrong arguments before it reads an image', async () => {
    const call = write_coco_annotations as (...args: unknown[]) => Promise<unknown>;
    const refused: [unknown[], RegExp][] = [
      [[['a.png'], file, { generation: { pred_iou_thresh: 3 } }], /^RangeError: .*pred_iou_thresh/],
      [[['a.png'], file, { generation: { points: 3 } }], /^TypeError: Unknown option "points"/],
      [[['a.png'], file, { segmentation: 'png' }], /^RangeError: .*segmentation/],
      [[['a.png'], file, { format: 'png' }], /^TypeError: Unknown option "format"/],
      [[['a.png'], 7], /^TypeError: .*file/],
      [[7, file], /^TypeError: .*a folder or a list of paths/],
      [[[7], file], /^TypeError: .*an image/],
      [[path.join(directory, 'none'), file], /There is no folder .*none/],
    ];
    for (const [args, message] of refused)
      await assert.rejects(call(generator, ...args), (error) => {
        assert.match(String(error), message);
        return true;
      });
    assert.equal(existsSync(file), false);
  });

  it('takes categories by name and id, for each mask, and images that are no files; pycocotools reads it', async function () {
    const python = reference(path.join(ROOT, 'test', 'support', 'annotation_reference.py'), this);
    await save({ 'a.png': [40, 30] });
    const image = await RawImage.read(path.join(PHOTOS, 'astronaut.png'));
    const sources = [...named('a.png'), { name: 'shot', image }];
    let count = 0;
    const dataset = await write_coco_annotations(generator, sources, file, {
      generation: FEW,
      categories: ['thing', { id: 7, name: 'large', supercategory: 'kind' }],
      category_of: (mask, score, name) => {
        assert.ok(score > 0 && (name === 'shot' || name.endsWith('a.png')));
        return mask_area(mask) > 9000 ? (count++ % 2 ? 'large' : 7) : undefined;
      },
    });
    const areas = (wanted: number): number[] =>
      dataset.annotations.filter(({ category_id }) => category_id === wanted).map(({ area }) => area);
    assert.ok(areas(1).length > 0 && areas(7).length > 1);
    assert.ok(areas(7).every((area) => area > 9000) && areas(1).every((area) => area <= 9000));
    assert.deepEqual(await python.result('annotations', { file }), {
      images: ['a.png', 'shot'],
      areas: { thing: areas(1), large: areas(7) },
    });
    const unknown = { generation: FEW, categories: ['thing'], category_of: () => 'other' };
    await assert.rejects(write_coco_annotations(generator, [{ name: 'shot', image }], file, unknown), {
      message: /1 of 1 images failed: .*the name or id of a category.*There are: 1 thing\./,
    });
  });

  it('names files relative to the folder that has all of them', () => {
    const cases: [string[], string[]][] = [
      [['/data/a.png'], ['a.png']],
      [
        ['/data/a/1.png', '/data/b/1.png'],
        ['a/1.png', 'b/1.png'],
      ],
      [
        ['/data/a/1.png', '/data/ab/1.png', '/data/2.png'],
        ['a/1.png', 'ab/1.png', '2.png'],
      ],
      [
        ['/a.png', '/b/c.png'],
        ['a.png', 'b/c.png'],
      ],
      [
        ['x/a.png', './x/y/../b.png'],
        ['a.png', 'b.png'],
      ],
      [
        ['https://host/a.png', '/data/b.png', 'data:image/png;base64,AA'],
        ['https://host/a.png', 'b.png', 'image'],
      ],
      [[], []],
    ];
    for (const [paths, names] of cases) assert.deepEqual(cocoFileNames(paths), names);
  });

  it('gives files and folders that cannot be used the codes of this package', async () => {
    await save({ 'a.png': [40, 30] });
    const [image] = named('a.png');
    const notWritten = { code: /^FILE_(INVALID|NOT_WRITTEN)$/ };
    await assert.rejects(write_coco_annotations(generator, image, file, { generation: FEW }), {
      code: 'FILE_INVALID',
      message: /a\.png is no folder: a list takes single images/,
    });
    await assert.rejects(
      write_coco_annotations(generator, path.join(image, 'b'), file, { generation: FEW }),
      { code: 'FILE_INVALID' },
    );
    for (const target of [path.join(image, 'x.json'), path.join(image, 'deep', 'x.json'), directory])
      await assert.rejects(
        write_coco_annotations(generator, [image], target, { generation: FEW }),
        notWritten,
      );
  });
});

describe('CocoDatasetBuilder', () => {
  const mask = { type: 'bool', data: new Uint8Array(12).fill(1), dims: [3, 4] } as const;

  it('gives categories the ids that are free, and masks the first', () => {
    const dataset = new CocoDatasetBuilder(['cup', { id: 9, name: 'spoon' }]);
    assert.equal(dataset.addCategory('plate'), 10);
    const ids = [dataset.addImage('a.png', [3, 4]), dataset.addImage('b.png', [3, 4])];
    assert.deepEqual(ids, [1, 2]);
    for (const category of [undefined, 'spoon', 10, 1])
      dataset.addMask(2, mask, category === undefined ? {} : { category });
    assert.deepEqual(
      dataset.annotations.map(({ id, image_id, category_id }) => [id, image_id, category_id]),
      [
        [1, 2, 1],
        [2, 2, 9],
        [3, 2, 10],
        [4, 2, 1],
      ],
    );
    assert.deepEqual(JSON.parse(JSON.stringify(dataset)).categories, dataset.categories);
    assert.deepEqual(new CocoDatasetBuilder().categories, [{ id: 1, name: 'object' }]);
  });

  it('refuses what would make a file that says something else', () => {
    const made = (categories: unknown) => (): unknown => new CocoDatasetBuilder(categories as never);
    const dataset = new CocoDatasetBuilder(['cup']);
    dataset.addImage('a.png', [3, 4]);
    const add =
      (...args: unknown[]) =>
      (): unknown =>
        (dataset.addMask as (...all: unknown[]) => unknown).apply(dataset, args);
    const refused: [() => unknown, RegExp][] = [
      [made('cup'), /^TypeError: .*a list of categories/],
      [made([]), /^RangeError: .*at least one category/],
      [made(['cup', 'cup']), /^RangeError: .*an id and a name of its own/],
      [
        made([
          { id: 1, name: 'a' },
          { id: 1, name: 'b' },
        ]),
        /^RangeError: .*an id and a name of its own/,
      ],
      [made([{ id: 1.5, name: 'a' }]), /^RangeError: .*category\.id/],
      [made([{ id: 1 }]), /^TypeError: .*category\.name/],
      [made(['']), /^RangeError: .*category\.name/],
      [made([{ name: 'a', colour: 'red' }]), /^TypeError: Unknown option "colour"/],
      [add(2, mask), /^RangeError: .*the id of an image/],
      [add(1, { ...mask, dims: [4, 3] }), /^RangeError: .*image's size \(3 x 4\)/],
      [add(1, mask, { category: 'spoon' }), /^RangeError: .*There are: 1 cup/],
      [add(1, mask, { category: [] }), /^TypeError: .*category/],
      [add(1, mask, { score: NaN }), /^RangeError: .*score/],
      [add(1, mask, { segmentation: 'png' }), /^RangeError: .*segmentation/],
    ];
    for (const [call, message] of refused)
      assert.throws(call, (error) => (assert.match(String(error), message), true));
    assert.equal(dataset.annotations.length, 0);
  });
});
