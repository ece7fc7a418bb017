/** What of a list of images, or of very many masks, is the call's matter. */
import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import {
  MaskGenerationError,
  RLEMask,
  mask_area,
  write_coco_annotations,
  type Box,
  type GeneratedMask,
  type MaskBatch,
  type MaskBatchResult,
  type MaskGenerationOptions,
  type Sam3TrackerModel,
} from '../../../lib/index';
import { batchMemory } from '../../../lib/model/generate-masks';
import { addon, type NativeBinding } from '../../../lib/native/binding';
import { mapInTurns } from '../../../lib/core/async';
import { FindingStub, ModelStub, makeImage, pipelineOf } from '../../support/mask-generation';

/** Runs with other functions in the place of the addon's. */
async function withNative(other: Partial<NativeBinding>, run: () => Promise<void>): Promise<void> {
  const native = addon();
  const own = { ...native };
  Object.assign(native, other);
  try {
    await run();
  } finally {
    Object.assign(native, own);
  }
}

/** Finds the same masks in every batch. */
class GivenMasks extends ModelStub {
  constructor(private readonly given: GeneratedMask[]) {
    super();
  }

  override async generate_masks(batch: MaskBatch): Promise<MaskBatchResult> {
    return { ...(await super.generate_masks(batch)), masks: this.given };
  }
}

function given(mask: RLEMask, count: number): GeneratedMask[] {
  const [height, width] = mask.dims;
  const box: Box = [0, 0, width - 1, height - 1];
  return Array.from({ length: count }, () => ({ mask, box, score: 0.9, stability_score: 1, point: 0 }));
}

/** Rows alternating inside and outside, `thickness` each: many runs and long outlines. */
function stripes(width: number, height: number, thickness: number): RLEMask {
  const column = Array<number>(height / thickness).fill(thickness);
  const counts = Array.from({ length: width }, () => column).flat();
  return new RLEMask([height, width], Uint32Array.from(counts));
}

describe('mask generation of lists and of many masks', () => {
  const TWO = [makeImage(40, 30), makeImage(30, 40)];
  const ONE: [Box, number][] = [[[5, 5, 20, 20], 0.9]];

  describe('errors of the call', () => {
    const broken = new Error('the progress bar is broken');
    const ofCall: [what: string, options: MaskGenerationOptions, error: Error | object, encoded: number][] = [
      [
        'what its progress_callback throws',
        {
          progress_callback: () => {
            throw broken;
          },
        },
        broken,
        1,
      ],
      ['a limit below one point', { max_memory: 1000 }, { name: 'RangeError', message: /max_memory/ }, 0],
      [
        'layers without points',
        { crops_n_layers: 2, crop_n_points_downscale_factor: 2 },
        { name: 'RangeError', message: /Layer 2 would have no points/ },
        0,
      ],
    ];
    for (const [what, options, error, encoded] of ofCall)
      it(`end it for a list, too: ${what}`, async () => {
        const stub = new FindingStub(ONE, []);
        const run = pipelineOf(stub)(TWO, { points_per_crop: 2, ...options });
        await assert.rejects(run, (thrown: Error) => {
          assert.ok(!(thrown instanceof MaskGenerationError));
          return true;
        });
        await assert.rejects(pipelineOf(stub)(TWO, { points_per_crop: 2, ...options }), error);
        assert.equal(stub.encoded, 2 * encoded);
      });

    for (const [what, options, error] of ofCall)
      it(`end an annotation file: ${what}`, async () => {
        const directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-lists-'));
        try {
          const images = ['a.png', 'b.png'].map((name) => path.join(directory, name));
          for (const [index, image] of images.entries()) await TWO[index].save(image);
          const file = path.join(directory, 'annotations.json');
          const generation = { points_per_crop: 2, ...options };
          const refused: string[] = [];
          const run = write_coco_annotations(pipelineOf(new FindingStub(ONE, [])), images, file, {
            generation,
            on_error: (name) => refused.push(name),
          });
          await assert.rejects(run, error);
          assert.deepEqual(refused, []);
          assert.ok(!existsSync(file));
        } finally {
          rmSync(directory, { recursive: true });
        }
      });
  });

  it('keeps more masks of an image than a call has room for arguments', async () => {
    const count = 200_000;
    const stub = new GivenMasks(given(new RLEMask([1, 1], Uint32Array.of(0, 1)), count));
    const all = ({ boxes }: { boxes: number[][] }): Promise<number[]> =>
      Promise.resolve(boxes.map((_, index) => index));
    await withNative({ suppressOverlaps: all }, async () => {
      const { masks } = await pipelineOf(stub)(makeImage(1, 1), { points_per_crop: 1 });
      assert.equal(masks.length, count);
    });
  });

  describe('its end by a signal', () => {
    const aborted = (options: MaskGenerationOptions, controller: AbortController): Promise<unknown> =>
      pipelineOf(new FindingStub(ONE, []))(makeImage(40, 30), {
        points_per_crop: 1,
        signal: controller.signal,
        ...options,
      });

    // Jobs that never end.
    for (const [what, job, options] of [
      ['the suppression of overlaps', 'suppressOverlaps', {}],
      ['the removal of small regions', 'removeSmallRegions', { min_mask_region_area: 9 }],
    ] as const)
      it(`does not wait for ${what}`, async () => {
        const controller = new AbortController();
        const never = (): Promise<never> => new Promise(() => setImmediate(() => controller.abort()));
        await withNative({ [job]: never }, () =>
          assert.rejects(aborted(options, controller), { name: 'AbortError' }),
        );
      });
  });

  describe('the event loop', () => {
    it('has a turn between items once some milliseconds are used, and the signal is looked at', async () => {
      const spin = (milliseconds: number): void => {
        for (const end = performance.now() + milliseconds; performance.now() < end;);
      };
      const seen: number[] = [];
      let turns = 0;
      const count = (): void => {
        turns++;
        if (seen.length < 4) setImmediate(count);
      };
      setImmediate(count);
      await mapInTurns([0, 1, 2, 3], null, () => {
        seen.push(turns);
        spin(10);
      });
      assert.equal(new Set(seen).size, 4, seen.join());
      const controller = new AbortController();
      let done = 0;
      const run = mapInTurns([0, 1, 2], controller.signal, () => {
        done++;
        controller.abort();
        spin(10);
      });
      await assert.rejects(run, { name: 'AbortError' });
      assert.equal(done, 1);
    });

    // So many that every conversion takes several turns, on a fast machine too.
    const masks = given(stripes(1800, 1200, 30), 120);
    for (const options of [
      { output_mode: 'polygons' },
      { output_mode: 'coco_rle' },
      { output_rle_mask: true },
    ] as const)
      it(`turns while masks of 1800 x 1200 become ${Object.entries(options).join()}`, async () => {
        let turns = 0;
        let ended = false;
        const count = (): void => {
          if (ended) return;
          turns++;
          setImmediate(count);
        };
        let told = 0;
        const { masks: found } = await pipelineOf(new GivenMasks(masks))(makeImage(1800, 1200), {
          ...options,
          points_per_crop: 1,
          crops_nms_thresh: 1,
          // The last of two comes when all is done but the outputs.
          progress_callback: () => ++told === 2 && setImmediate(count),
        });
        ended = true;
        assert.equal(found.length, masks.length);
        assert.ok(turns >= 2, `${turns} turns`);
      });
  });

  it('says how many pixels a mask has, as it is found and in its runs', async () => {
    const stub = new FindingStub([[[5, 5, 20, 14], 0.9], [[30, 2, 30, 2], 0.8]], []); // prettier-ignore
    const areas: number[] = [];
    for await (const { area, mask } of pipelineOf(stub).stream(makeImage(40, 30), { points_per_crop: 1 })) {
      assert.equal(area, mask.data.filter((inside) => inside !== 0).length);
      assert.equal(mask.area, area);
      assert.equal(mask_area(mask), area);
      areas.push(area);
    }
    assert.deepEqual(areas, [160, 1]);
    assert.equal(new RLEMask([2, 2], Uint32Array.of(4)).area, 0);
  });

  describe('stream', () => {
    const HALF: Box = [5, 5, 24, 24];
    const collect = async (
      options: MaskGenerationOptions<'binary'>,
    ): Promise<{ scores: number[]; crops: Box[]; stub: FindingStub }> => {
      const stub = new FindingStub([[HALF, 0.9], [[40, 5, 50, 30], 0.8]], [[[5, 5, 25, 24], 0.6], [[5, 27, 9, 30], 0.5]]); // prettier-ignore
      const scores: number[] = [];
      const crops: Box[] = [];
      for await (const found of pipelineOf(stub).stream(makeImage(60, 40), {
        points_per_crop: 2,
        ...options,
      })) {
        scores.push(found.score);
        crops.push(found.crop_box);
      }
      return { scores, crops, stub };
    };

    it('goes through crops: of masks that overlap the one found first stays', async () => {
      const { scores, crops } = await collect({ crops_n_layers: 1 });
      assert.deepEqual(scores, [0.9, 0.8, 0.5]);
      assert.deepEqual(crops[0], [0, 0, 60, 40]);
      assert.ok(crops[2][2] < 60 && crops[2][3] < 40, crops[2].join());
    });

    it("lays points and counts overlaps as transformers with reference: 'transformers'", async () => {
      const whole = await collect({});
      const { stub, scores } = await collect({ reference: 'transformers' });
      assert.deepEqual(scores, [0.9, 0.8]);
      const lowest = ({ points }: ModelStub): number => Math.max(...points.map(([, y]) => y));
      assert.ok(lowest(stub) < lowest(whole.stub), 'the points reach as low as otherwise');
    });

    it('takes fewer points at once within max_memory, and refuses one that is too small', async () => {
      const sizes = ({ batches }: ModelStub): number[] => batches.map(({ points }) => points.length / 2);
      const { stub } = await collect({});
      const max_memory = Math.ceil(batchMemory(stub as unknown as Sam3TrackerModel, 0).least);
      assert.deepEqual(sizes(stub), [4]);
      assert.deepEqual(sizes((await collect({ max_memory })).stub), [1, 1, 1, 1]);
      await assert.rejects(collect({ max_memory: 1000 }), /^RangeError: .*max_memory/);
    });

    it('gives encodings or outlines where they are asked for', async () => {
      const stub = (): FindingStub => new FindingStub(ONE, []);
      const options = { points_per_crop: 1 };
      for await (const { mask } of pipelineOf(stub()).stream(makeImage(40, 30), {
        ...options,
        output_mode: 'coco_rle',
      })) {
        assert.deepEqual(mask.size, [30, 40]);
        assert.equal(mask_area(mask), 256);
      }
      const outlines = [];
      for await (const { mask } of pipelineOf(stub()).stream(makeImage(40, 30), {
        ...options,
        output_mode: 'polygons',
      }))
        outlines.push(mask);
      assert.deepEqual(outlines, [[[[21, 5, 21, 21, 5, 21, 5, 5].flat()]].flat()]);
    });
  });
});
