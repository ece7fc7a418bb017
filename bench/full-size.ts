/** facebook/sam3's own configuration, 458 M random weights, compared with its peers: load, encode, clicks, peak memory. */
import path from 'node:path';
import { barChecks, type Bar } from './bars';
import { makeCases } from './cases';
import { agreementChecks, compareCase, deviationCheck, peakMemoryCheck } from './comparison';
import { makeFullSizeModel, makeOnnxGraphs, warmFileCache } from './full-size-model';
import type { BenchOptions } from './options';
import type { Side } from './peer';
import { shown, type CaseResult, type Check, type PartResult, type PeakMemory } from './report';
import { withSides, type Sides } from './sides';
import { summarize } from './statistics';

const LOAD = 'load, warm file cache';

/** Longest load with a warm file cache, in seconds. */
const LOAD_LIMIT_S = 5;

/** How far float32 may be from transformers', as a part of the scale: the decoder has its operations in another order. */
const DEVIATION_LIMIT = 1e-5;

const SINGLE_PROMPTS = ['one point', 'one box', 'one point and a mask prompt'];

/** The project's own bars, not to be moved. */
const BARS: Bar[] = [
  ...SINGLE_PROMPTS.flatMap((name): Bar[] => [
    { case: `${name} to logits`, peer: 'transformers', limit: 0.35 },
    { case: `${name} to logits`, peer: 'onnxruntime', limit: 0.5 },
    { case: `${name} to a mask of 2 megapixels`, peer: 'transformers', limit: 0.35 },
    { case: `${name} to a mask of 50 megapixels`, peer: 'transformers', limit: 0.2 },
  ]),
  { case: '16 points to logits', peer: 'transformers', limit: 0.2 },
  { case: '64 points to logits', peer: 'transformers', limit: 0.2 },
  { case: '64 points to logits', peer: 'onnxruntime', limit: 0.35 },
  { case: 'one point to a mask of 2 megapixels in one job', peer: 'transformers', limit: 0.35 },
  { case: 'one point to a mask of 50 megapixels in one job', peer: 'transformers', limit: 0.2 },
  { case: 'encode one image', peer: 'transformers', limit: 1 },
  { case: 'encode one image', peer: 'onnxruntime', limit: 1 },
  { case: LOAD, peer: 'transformers', limit: 1 },
  { case: LOAD, peer: 'onnxruntime', limit: 1 },
];

/** Seconds and peaks of loads in fresh processes, since a second load in one process finds much of the work done. */
async function timeLoads(directories: Directories, runs: number, threads: number): Promise<CaseResult> {
  const seconds: number[][] = [[], [], []];
  const peakMemory: PeakMemory = { ours: null, transformers: null, onnxruntime: null };
  const load = async (sides: Sides): Promise<void> => {
    for (const [index, { seconds: taken }] of (await loadAll(sides, directories)).entries())
      seconds[index].push(taken);
    for (const side of sides) {
      const peak = side.peakMemory();
      if (peak !== null) peakMemory[side.side] = Math.max(peakMemory[side.side] ?? 0, peak / 2 ** 20);
    }
  };
  for (let round = 0; round < runs; round++) await withSides(threads, load, ['onnxruntime']);
  const [ours, transformers, onnxruntime] = seconds.map(summarize);
  return { name: LOAD, unit: 's', ours, transformers, onnxruntime, agree: null, difference: '', peakMemory };
}

type Directories = Readonly<Record<Side, string>>;

/** Loads on one side after the other; the seconds of each. */
async function loadAll(sides: Sides, directories: Directories): Promise<{ seconds: number }[]> {
  const taken: { seconds: number }[] = [];
  for (const side of sides) taken.push(await side.call('load', { directory: directories[side.side] }));
  return taken;
}

/** How fast torch multiplies and copies here, which bounds every side. */
async function machineRates([, transformers]: Sides): Promise<Record<string, string>> {
  const { gigaflops, gigabytes } = await transformers.call<Record<string, number>>('machine_rates');
  return {
    'float32 products, GFLOP/s': shown(gigaflops),
    'copying, GB/s read and written': shown(gigabytes),
  };
}

function loadCheck(loads: CaseResult): Check {
  const slowest = loads.ours?.max ?? NaN;
  return {
    name: `load under ${LOAD_LIMIT_S} s`,
    passed: slowest < LOAD_LIMIT_S,
    found: `the slowest took ${shown(slowest)} s`,
  };
}

/** Times and peaks of the full size. An encode takes half a minute on two cores: three a side unless told, none to warm up. */
export async function fullSize({
  quick,
  runs,
  threads,
  scratch,
  progress,
}: BenchOptions): Promise<PartResult> {
  const directory = await makeFullSizeModel();
  const onnxruntime = await makeOnnxGraphs(directory);
  const directories = { ours: directory, transformers: directory, onnxruntime };
  await warmFileCache(path.join(directory, 'model.safetensors'));
  await warmFileCache(path.join(onnxruntime, 'vision_encoder.onnx.data'));
  progress('load');
  const loads = await timeLoads(directories, runs ?? (quick ? 1 : 3), threads);
  const list = await makeCases(directory, scratch, {
    encode: runs ?? (quick ? 1 : 3),
    warmUpEncode: false,
    other: quick ? 5 : 20,
  });
  const cases = [loads];
  const rates: Record<string, string>[] = [];
  const run = async (sides: Sides): Promise<void> => {
    rates.push(await machineRates(sides));
    await loadAll(sides, directories);
    for (const one of list) {
      progress(one.name);
      cases.push(await compareCase(sides, one, scratch));
    }
  };
  await withSides(threads, run, ['onnxruntime']);
  // What was loaded computes the same.
  loads.agree = cases.every(({ agree }) => agree !== false);
  return {
    title: 'Full size (facebook/sam3, 458 M random float32 weights)',
    cases,
    checks: [
      ...agreementChecks(cases),
      deviationCheck(cases, DEVIATION_LIMIT),
      ...barChecks(BARS, cases),
      loadCheck(loads),
      peakMemoryCheck(cases),
    ],
    tables: [{ title: 'What the machine gave torch, with these threads', rows: rates }],
  };
}
