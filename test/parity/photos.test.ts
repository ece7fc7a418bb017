/** From a photo and a click to masks: our processor, model and post-processing against transformers', live. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { Sam3TrackerModel } from '../../lib/model/modeling-sam3-tracker';
import { Sam3TrackerProcessor } from '../../lib/processor/processing-sam3-tracker';
import { RawImage } from '../../lib/image/raw-image';
import type { Tensor } from '../../lib/tensor';
import { BUNDLED_MODEL } from '../support/bundled-model';
import { reference } from '../support/python';
import type { Reference } from '../support/python';
import { readTensors } from '../support/safetensors';
import { LIMITS, agreement, difference, sameBits } from './compare';
import { report, shown, shownPercent } from './report';
import type { Row } from './report';

const PHOTOS = path.join(__dirname, '..', '..', 'examples', 'images');

/** Prompts in pixels of the photos, nested as in transformers. */
interface Prompts {
  input_points?: number[][][][];
  input_labels?: number[][][];
  input_boxes?: number[][][];
}

interface PhotoCase {
  name: string;
  photos: string[];
  prompts: Prompts;
  multimask_output?: false;
}

/** Largest difference of normalised pixel values, which lie between -1 and 1. */
const PIXEL_LIMIT = 1e-6;

const CASES: readonly PhotoCase[] = [
  {
    name: 'a click on the cup',
    photos: ['coffee.png'],
    prompts: { input_points: [[[[235, 215]]]], input_labels: [[[1]]] },
  },
  {
    name: 'the cup without its saucer, one mask',
    photos: ['coffee.png'],
    prompts: {
      input_points: [
        [
          [
            [235, 215],
            [150, 300],
          ],
        ],
      ],
      input_labels: [[[1, 0]]],
    },
    multimask_output: false,
  },
  { name: 'a box around the cup', photos: ['coffee.png'], prompts: { input_boxes: [[[80, 60, 400, 370]]] } },
  {
    name: 'two objects with different numbers of points',
    photos: ['coffee.png'],
    prompts: {
      input_points: [
        [
          [[235, 215]],
          [
            [500, 120],
            [540, 180],
          ],
        ],
      ],
      input_labels: [[[1], [1, 1]]],
    },
  },
  {
    name: "a click between the cat's eyes",
    photos: ['chelsea.png'],
    prompts: { input_points: [[[[230, 110]]]], input_labels: [[[1]]] },
  },
  {
    name: 'two boxes on the cat, one mask each',
    photos: ['chelsea.png'],
    prompts: {
      input_boxes: [
        [
          [90, 5, 330, 290],
          [150.5, 80.25, 310, 180.75],
        ],
      ],
    },
    multimask_output: false,
  },
  {
    name: 'clicks without labels',
    photos: ['astronaut.png'],
    prompts: { input_points: [[[[220, 110]], [[400, 300]], [[60, 400]]]] },
  },
  {
    name: 'a box and a click on the astronaut',
    photos: ['astronaut.png'],
    prompts: {
      input_points: [
        [
          [
            [220, 110],
            [20, 20],
          ],
        ],
      ],
      input_labels: [[[1, 0]]],
      input_boxes: [[[100, 10, 360, 480]]],
    },
  },
  {
    name: 'a click on the rocket',
    photos: ['rocket.jpg'],
    prompts: { input_points: [[[[322, 190]]]], input_labels: [[[1]]] },
  },
  { name: 'no prompt', photos: ['rocket.jpg'], prompts: {} },
  {
    name: 'a click in each of four photos',
    photos: ['coffee.png', 'chelsea.png', 'astronaut.png', 'rocket.jpg'],
    prompts: {
      input_points: [[[[235, 215]]], [[[230, 110]]], [[[220, 110]]], [[[322, 190]]]],
      input_labels: [[[1]], [[1]], [[1]], [[1]]],
    },
  },
  {
    name: 'different numbers of objects and points in two photos, one mask each',
    photos: ['rocket.jpg', 'coffee.png'],
    prompts: {
      input_points: [
        [
          [
            [322, 190],
            [300, 400],
          ],
        ],
        [[[235, 215]], [[500, 120]], [[10, 10]]],
      ],
      input_labels: [[[1, 0]], [[1], [1], [0]]],
    },
    multimask_output: false,
  },
];

describe('parity with transformers on photos', () => {
  let judge: Reference;
  let scratch: string;
  let model: Sam3TrackerModel;
  let processor: Sam3TrackerProcessor;
  const rows: Row[] = [];

  before(async function () {
    judge = reference(path.join(__dirname, 'photos_reference.py'), this);
    scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-photos-'));
    model = await Sam3TrackerModel.from_pretrained(BUNDLED_MODEL, { device: 'cpu' });
    processor = await Sam3TrackerProcessor.from_pretrained(BUNDLED_MODEL);
  });

  after(async () => {
    model?.dispose();
    if (scratch) await rm(scratch, { recursive: true });
    report('Photos on the bundled model, float32', rows);
  });

  for (const { name, photos, prompts, multimask_output } of CASES) {
    it(name, async () => {
      const files = photos.map((photo) => path.join(PHOTOS, photo));
      const file = path.join(scratch, 'photos.safetensors');
      await judge.result('segment', {
        photos: files,
        prompts,
        multimask_output: multimask_output ?? true,
        file,
      });
      const theirs = readTensors(file);
      const theirOwn = (output: string): Tensor => {
        const tensor = theirs.get(output);
        assert.ok(tensor, `transformers gives no ${output}`);
        return tensor;
      };

      const images = await Promise.all(files.map((photo) => RawImage.read(photo)));
      const inputs = await processor({ images, ...prompts, return_tensors: 'pt' });
      for (const input of ['input_points', 'input_labels', 'input_boxes', 'original_sizes'] as const) {
        const own = (inputs as Partial<Record<typeof input, Tensor>>)[input];
        assert.equal(own !== undefined, theirs.has(input), input);
        if (own) assert.ok(sameBits(own, theirOwn(input)), `${input} differ`);
      }
      const pixels = await difference(inputs.pixel_values, theirOwn('pixel_values'), 'pixel_values');
      assert.ok(pixels.max < PIXEL_LIMIT, `pixel_values are ${shown(pixels.max)} apart`);

      const outputs = await model({ ...inputs, multimask_output });
      const masks = await processor.post_process_masks(outputs.pred_masks, inputs.original_sizes);
      const logits = await difference(outputs.pred_masks, theirOwn('pred_masks'), 'pred_masks');
      const scores = await difference(outputs.iou_scores, theirOwn('iou_scores'), 'iou_scores');
      const objects = await difference(
        outputs.object_score_logits,
        theirOwn('object_score_logits'),
        'objects',
      );
      const theirMasks = photos.map((_, index) => theirOwn(`masks.${index}`));
      const equal = agreement(masks, theirMasks);
      assert.ok(logits.max < LIMITS.relative * logits.scale, `logits are ${shown(logits.max)} apart`);
      assert.ok(
        objects.max < LIMITS.relative * objects.scale,
        `object scores are ${shown(objects.max)} apart`,
      );
      assert.ok(scores.max < LIMITS.iouScores, `iou_scores are ${shown(scores.max)} apart`);
      assert.ok(equal >= LIMITS.agreement, `only ${shownPercent(equal)} % of the masks' pixels agree`);
      rows.push({
        case: name,
        pixel_values: shown(pixels.max),
        logits: shown(logits.max),
        'of scale': logits.scale.toPrecision(3),
        iou_scores: shown(scores.max),
        'equal pixels, %': shownPercent(equal),
      });
    });
  }
});
