/** What happens before and after the model, at facebook/sam3's sizes: 1800x1200 pixels in, 3 and 192 masks out. */
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { Sam3ImageProcessor, Sam3TrackerProcessor } from '../lib/index';
import { photoArray, randomArray } from './arrays';
import { barChecks, type Bar } from './bars';
import { IMAGE_SIZE, type Case } from './cases';
import { agreementChecks, compareCase, peakMemoryCheck } from './comparison';
import type { BenchOptions } from './options';
import { ROOT, type Timed } from './peer';
import { shown, type CaseResult, type Check, type PartResult } from './report';
import { withSides } from './sides';
import { summarize } from './statistics';

/** [height, width] of facebook/sam3's masks. */
const MASK_SIZE = [288, 288];

/** Masks of one segment-everything batch of 64 points. */
const MANY_MASKS = 192;

/** Ours may take at most this part of transformers' time. */
const LIMITS = { preprocess: 1, few: 0.4, many: 0.15 };

/** Extra memory for many masks, in sizes of the result. */
const MEMORY_LIMIT = 1.2;

async function makeCases(scratch: string, runs: number): Promise<Record<keyof typeof LIMITS, Case>> {
  const photo = path.join(ROOT, 'examples', 'images', 'coffee.png');
  const masks = (count: number, seed: number): ReturnType<typeof randomArray> =>
    randomArray(scratch, `pred_masks.${count}`, [1, count / 3, 3, ...MASK_SIZE], seed, [-10, 10]);
  const size = `${IMAGE_SIZE[1]}x${IMAGE_SIZE[0]}`;
  const postProcess = async (count: number, seed: number, times: number): Promise<Case> => ({
    name: `post-process ${count} masks to ${size}`,
    call: 'post_process',
    args: { pred_masks: await masks(count, seed), original_sizes: [IMAGE_SIZE] },
    runs: times,
    warmUp: true,
    onnxruntime: false,
  });
  return {
    preprocess: {
      name: `preprocess ${size}`,
      call: 'preprocess',
      args: { image: await photoArray(scratch, 'image', photo, IMAGE_SIZE) },
      runs,
      warmUp: true,
      onnxruntime: false,
    },
    few: await postProcess(3, 21, runs),
    many: await postProcess(MANY_MASKS, 22, Math.ceil(runs / 6)),
  };
}

/** Peak memory above what was there before the first call of a fresh process. */
async function extraMemory(
  { name, call, args }: Case,
  directory: string,
  threads: number,
): Promise<CaseResult | null> {
  const extra: number[] = [];
  await withSides(threads, async (sides) => {
    for (const side of sides) {
      await side.call('load_processor', { directory });
      await side.call('prepare', { args });
      const before = side.resetPeakMemory();
      await side.call<Timed>('run', { call, args, save: null });
      const peak = side.peakMemory();
      if (before !== null && peak !== null) extra.push((peak - before) / 2 ** 20);
    }
  });
  if (extra.length < 2) return null;
  const [ours, transformers] = extra.map((value) => summarize([value]));
  return {
    name: `extra memory, ${name}`,
    unit: 'MiB',
    ours,
    transformers,
    onnxruntime: null,
    agree: null,
    difference: '',
  };
}

function checksOf(cases: Record<keyof typeof LIMITS, CaseResult>, memory: CaseResult | null): Check[] {
  const bars = Object.entries(LIMITS).map(([key, limit]): Bar => ({
    case: cases[key as keyof typeof LIMITS].name,
    peer: 'transformers',
    limit,
  }));
  const checks = barChecks(bars, Object.values(cases));
  if (memory) {
    const output = (MANY_MASKS * IMAGE_SIZE[0] * IMAGE_SIZE[1]) / 2 ** 20;
    const found = (memory.ours?.median ?? NaN) / output;
    checks.push({
      name: `${memory.name} within ${MEMORY_LIMIT} of the result's size`,
      passed: found <= MEMORY_LIMIT,
      found: `${shown(found)} of ${shown(output)} MiB`,
    });
  }
  return checks;
}

/** Medians of preprocessing and post-processing, and the memory of many masks. */
export async function images({ quick, runs, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  const directory = path.join(scratch, 'processor');
  await mkdir(directory);
  await new Sam3TrackerProcessor(new Sam3ImageProcessor()).save_pretrained(directory);
  const cases = await makeCases(scratch, runs ?? (quick ? 12 : 60));
  const results: [string, CaseResult][] = [];
  await withSides(threads, async (sides) => {
    for (const side of sides) await side.call('load_processor', { directory });
    for (const [key, one] of Object.entries(cases)) {
      progress(one.name);
      results.push([key, await compareCase(sides, one, scratch)]);
    }
  });
  progress('extra memory');
  const memory = await extraMemory(cases.many, directory, threads);
  const found = Object.fromEntries(results) as Record<keyof typeof LIMITS, CaseResult>;
  const compared = results.map(([, result]) => result);
  return {
    title: "Images and masks (facebook/sam3's sizes)",
    cases: memory ? [...compared, memory] : compared,
    checks: [...agreementChecks(compared), ...checksOf(found, memory), peakMemoryCheck(compared)],
    tables: [],
  };
}
