/**
 * Segment everything against transformers' pipeline, with `reference: 'transformers'`: the same masks in the same order.
 * Without crops live; with crops, which transformers 5.8 cannot, against a recorded run of 5.23.0, which
 * `PYTHONPATH=test/support python test/parity/mask_generation_reference.py FILE` makes in an environment with it.
 */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import {
  MaskGenerationPipeline,
  Sam3ImageProcessor,
  Sam3TrackerModel,
  type Box,
  type MaskGenerationOptions,
  type RLE,
} from '../../lib/index';
import { rle_to_mask } from '../../lib/masks/masks';
import { addon } from '../../lib/native/binding';
import { reference, type Reference } from '../support/python';
import { LIMITS } from './compare';
import { report, type Row } from './report';
import type { Files } from './subject';

const ROOT = path.join(__dirname, '..', '..');
const BUNDLED = path.join(ROOT, 'models', 'sam3-tracker-tiny');
const RECORDED = path.join(ROOT, 'test', 'fixtures', 'mask-generation-5.23.0.json');

/** Sides of the models' inputs in pixels. */
const SIDES: Record<string, number> = { 'sam3-tracker-tiny': 192, 'relu-two-scales': 96, 'three-scales': 80 };

/** [height, width]; the fourth is so small that ATen upsamples masks to it by another kernel. */
const SIZES = [
  [200, 300],
  [300, 200],
  [97, 131],
  [50, 60],
  [240, 240],
  [60, 400],
];

/** Thresholds at which tens of masks survive. */
const THRESHOLDS: Record<string, MaskGenerationOptions<'binary'>> = {
  'sam3-tracker-tiny': {
    points_per_crop: 8,
    pred_iou_thresh: 0.3,
    stability_score_thresh: 0.6,
    crops_nms_thresh: 1,
  },
  'relu-two-scales': {
    // 5.8 ends in an error unless the points fill all batches.
    points_per_crop: 6,
    points_per_batch: 9,
    pred_iou_thresh: 0.6,
    stability_score_thresh: 0.4,
    stability_score_offset: 0.3,
    crops_nms_thresh: 1,
  },
  'three-scales': {
    points_per_crop: 6,
    points_per_batch: null,
    pred_iou_thresh: 0.2,
    stability_score_thresh: 0.5,
    mask_threshold: 0.4,
    crops_nms_thresh: 1,
  },
};

/** Thresholds at which the default of crops_nms_thresh leaves at least 20 masks in images of SUPPRESSED_SIZES. */
const SUPPRESSED: Record<string, MaskGenerationOptions<'binary'>> = {
  'sam3-tracker-tiny': {
    points_per_crop: 16,
    pred_iou_thresh: 0.01,
    stability_score_thresh: 0.2,
    mask_threshold: 2,
    crops_nms_thresh: 0.7,
  },
  'relu-two-scales': {
    points_per_crop: 8,
    pred_iou_thresh: 0.01,
    stability_score_thresh: 0.1,
    mask_threshold: 40,
    crops_nms_thresh: 0.7,
  },
  'three-scales': {
    points_per_crop: 8,
    pred_iou_thresh: 0.01,
    stability_score_thresh: 0.1,
    mask_threshold: 60,
    crops_nms_thresh: 0.7,
  },
};

/** As positions in SIZES. */
const SUPPRESSED_SIZES: Record<string, number[]> = {
  'sam3-tracker-tiny': [2],
  'relu-two-scales': [1, 3],
  'three-scales': [3],
};

interface Answer {
  scores: number[];
  bounding_boxes: Box[];
  /** In COCO's text form. */
  counts: string[];
  /** Not recorded: it is what rleOf makes of `counts`. */
  rle_mask?: RLE[];
}

interface Case {
  model: string;
  size: [height: number, width: number];
  seed: number;
  options: MaskGenerationOptions<'binary'>;
}

describe('mask generation compared with transformers', () => {
  let judge: Reference;
  let scratch: string;
  const rows: Row[] = [];
  const files = new Map<string, Files>([['sam3-tracker-tiny', { model: BUNDLED, checkpoint: BUNDLED }]]);
  const { threads } = addon().runtimeInfo();

  before(async function () {
    judge = reference(path.join(__dirname, 'mask_generation_reference.py'), this);
    // As many threads as the reference has: how many share a sum changes its last bits.
    addon().setThreads(1);
    scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-everything-'));
    for (const name of Object.keys(SIDES))
      if (!files.has(name))
        files.set(
          name,
          (await judge.result('create', { name, seed: 0, folder: path.join(scratch, name) })) as Files,
        );
  });

  after(async () => {
    report('Segment everything', rows);
    addon().setThreads(threads);
    if (scratch) await rm(scratch, { recursive: true });
  });

  async function compare(
    { model: name, size, seed, options }: Case,
    answer: (file: string) => Promise<Answer>,
    atLeast = 10,
  ): Promise<void> {
    const file = path.join(scratch, 'image.png');
    await judge.result('image', { height: size[0], width: size[1], seed, file });
    const theirs = await answer(file);
    using model = await Sam3TrackerModel.from_pretrained(files.get(name)!.model, {
      device: 'cpu',
      dtype: 'float32',
    });
    const side = SIDES[name];
    const image_processor = new Sam3ImageProcessor({ size: { height: side, width: side } });
    const generator = new MaskGenerationPipeline({ model, image_processor });
    const ours = await generator(file, {
      ...options,
      reference: 'transformers',
      output_rle_mask: true,
      output_bboxes_mask: true,
    });
    assert.equal(ours.masks.length, theirs.scores.length, 'number of masks');
    assert.ok(ours.masks.length >= atLeast, `only ${ours.masks.length} masks to compare`);
    let [score, pixels, sameRuns] = [0, 1, 0];
    ours.masks.forEach((mask, index) => {
      score = Math.max(score, Math.abs(ours.scores[index] - theirs.scores[index]));
      const expected = rle_to_mask({ size, counts: theirs.counts[index] }).data;
      const { data } = mask;
      const equal = data.reduce((sum, pixel, at) => sum + (pixel === expected[at] ? 1 : 0), 0);
      pixels = Math.min(pixels, equal / data.length);
      const runs = theirs.rle_mask?.[index] ?? rleOf(theirs.counts[index], size);
      if (equal === data.length) assert.deepEqual(ours.rle_mask![index], runs, `rle_mask[${index}]`);
      if (isDeepStrictEqual(ours.rle_mask![index], runs)) sameRuns++;
    });
    if (options.crops_nms_thresh! < 1) {
      const all = await generator(file, { ...options, reference: 'transformers', crops_nms_thresh: 1 });
      assert.ok(all.masks.length > ours.masks.length, 'no mask is suppressed');
    }
    rows.push({
      case: `${name}, ${size.join(' x ')}${options.crops_n_layers ? ', crops' : ''}`,
      crops_nms_thresh: String(options.crops_nms_thresh),
      masks: String(ours.masks.length),
      'with equal rle_mask': String(sameRuns),
      'scores apart': score.toExponential(1),
      'pixels apart, of a million': ((1 - pixels) * 1e6).toFixed(1),
    });
    assert.ok(score <= LIMITS.iouScores, `scores are ${score} apart`);
    assert.ok(pixels >= LIMITS.agreement, `${pixels} of the pixels agree`);
    assert.deepEqual(ours.bounding_boxes, theirs.bounding_boxes);
  }

  async function live(one: Case, atLeast?: number): Promise<void> {
    const { model: name, size, options } = one;
    await compare(
      one,
      async (file) => {
        const { checkpoint } = files.get(name)!;
        const answer = await judge.result('generate', { checkpoint, side: SIDES[name], file, options });
        const { rle_mask, counts } = answer as Required<Answer>;
        assert.deepEqual(rle_mask[0], rleOf(counts[0], size));
        return answer as Answer;
      },
      atLeast,
    );
  }

  for (const name of Object.keys(SIDES))
    SIZES.forEach(([height, width], index) => {
      const one = { model: name, size: [height, width] as Case['size'], seed: index };
      it(`${name}, ${height} x ${width}`, () => live({ ...one, options: THRESHOLDS[name] }));
      if (!SUPPRESSED_SIZES[name].includes(index)) return;
      it(`${name}, ${height} x ${width}, without masks that overlap`, () =>
        live({ ...one, options: SUPPRESSED[name] }, 20));
    });

  it('with a layer of crops, as recorded', async () => {
    const recorded = JSON.parse(await readFile(RECORDED, 'utf8')) as { cases: (Case & Answer)[] };
    for (const one of recorded.cases) await compare(one, () => Promise.resolve(one));
  });
});

/** transformers' uncompressed runs are those of COCO's text. */
function rleOf(counts: string, size: RLE['size']): RLE {
  const runs: number[] = [];
  let last = 0;
  let length = 0;
  for (const pixel of columnMajor(rle_to_mask({ size, counts }).data, size)) {
    if (pixel !== last) {
      runs.push(length);
      length = 0;
      last = pixel;
    }
    length++;
  }
  return { size, counts: [...runs, length] };
}

function columnMajor(data: Uint8Array, [height, width]: RLE['size']): number[] {
  return Array.from(
    { length: data.length },
    (_, at) => data[(at % height) * width + Math.floor(at / height)],
  );
}
