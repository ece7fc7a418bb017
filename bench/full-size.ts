/** facebook/sam3's own configuration, 458 M random weights, beside its peers: load, encode, clicks, peak memory. */
import path from 'node:path';
import { barChecks, type Bar } from './bars';
import { makeCases } from './cases';
import { agreementChecks, compareCase } from './comparison';
import { makeFullSizeModel, makeOnnxGraphs, warmFileCache } from './full-size-model';
import type { BenchOptions } from './options';
import type { Side } from './peer';
import { shown, type CaseResult, type Check, type PartResult } from './report';
import { withSides, type Sides } from './sides';
import { summarize } from './statistics';

const LOAD = 'load, warm file cache';

/** Longest load with a warm file cache, in seconds. */
const LOAD_LIMIT_S = 5;

const SINGLE_PROMPTS = ['one point to logits', 'one box to logits', 'one point and a mask prompt to logits'];

/** The project's own bars, not to be moved. */
const BARS: Bar[] = [
  ...SINGLE_PROMPTS.flatMap((name): Bar[] => [
    { case: name, peer: 'transformers', limit: 0.35 },
    { case: name, peer: 'onnxruntime', limit: 0.5 },
  ]),
  { case: '16 points to logits', peer: 'transformers', limit: 0.2 },
  { case: '64 points to logits', peer: 'transformers', limit: 0.2 },
  { case: '64 points to logits', peer: 'onnxruntime', limit: 0.35 },
  { case: 'one point to a mask of 2 megapixels', peer: 'transformers', limit: 0.35 },
  { case: 'one point to a mask of 50 megapixels', peer: 'transformers', limit: 0.2 },
  { case: 'encode one picture', peer: 'transformers', limit: 1 },
  { case: 'encode one picture', peer: 'onnxruntime', limit: 1 },
  { case: LOAD, peer: 'transformers', limit: 1 },
  { case: LOAD, peer: 'onnxruntime', limit: 1 },
];

/** Peak memory of every side so far, one list a side. */
class Peaks {
  readonly #bytes = new Map<string, number[][]>();

  note(when: string, sides: Sides): void {
    const found = sides.map((side) => side.peakMemory());
    if (found.includes(null)) return;
    const lists = this.#bytes.get(when) ?? sides.map(() => []);
    lists.forEach((list, index) => list.push((found[index] as number) / 2 ** 20));
    this.#bytes.set(when, lists);
  }

  cases(): CaseResult[] {
    return [...this.#bytes].map(([when, bytes]) => {
      const [ours, transformers, onnxruntime] = bytes.map(summarize);
      const name = `peak memory ${when}`;
      return { name, unit: 'MiB', ours, transformers, onnxruntime, agree: null, difference: '' };
    });
  }
}

/** Loads in fresh processes, since a second load in one process finds much of the work done. */
async function timeLoads(
  directories: Directories,
  runs: number,
  threads: number,
  peaks: Peaks,
): Promise<CaseResult> {
  const seconds: number[][] = [[], [], []];
  const load = async (sides: Sides): Promise<void> => {
    for (const [index, { seconds: taken }] of (await loadAll(sides, directories)).entries())
      seconds[index].push(taken);
    peaks.note('after load', sides);
  };
  for (let round = 0; round < runs; round++) await withSides(threads, load, ['onnxruntime']);
  const [ours, transformers, onnxruntime] = seconds.map(summarize);
  return { name: LOAD, unit: 's', ours, transformers, onnxruntime, agree: null, difference: '' };
}

type Directories = Readonly<Record<Side, string>>;

/** Loads on one side after the other; the seconds of each. */
async function loadAll(sides: Sides, directories: Directories): Promise<{ seconds: number }[]> {
  const taken: { seconds: number }[] = [];
  for (const side of sides) taken.push(await side.call('load', { directory: directories[side.side] }));
  return taken;
}

function checksOf(loads: CaseResult, peaks: readonly CaseResult[]): Check[] {
  const slowest = loads.ours?.max ?? NaN;
  return [
    {
      name: `load under ${LOAD_LIMIT_S} s`,
      passed: slowest < LOAD_LIMIT_S,
      found: `the slowest took ${shown(slowest)} s`,
    },
    ...peaks.map(({ name, ours, transformers }) => ({
      name: `${name} not above transformers'`,
      passed: (ours?.max ?? NaN) <= (transformers?.max ?? NaN),
      found: `${shown(ours?.max ?? NaN)} MiB, transformers ${shown(transformers?.max ?? NaN)} MiB`,
    })),
  ];
}

/** Times and peaks of the full size. An encode takes most of a minute on two cores, and is run once unless told. */
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
  const peaks = new Peaks();
  progress('load');
  const loads = await timeLoads(directories, runs ?? (quick ? 1 : 3), threads, peaks);
  const list = await makeCases(directory, scratch, {
    encode: runs ?? 1,
    warmUpEncode: false,
    other: quick ? 5 : 20,
  });
  const cases = [loads];
  const run = async (sides: Sides): Promise<void> => {
    await loadAll(sides, directories);
    for (const one of list) {
      progress(one.name);
      cases.push(await compareCase(sides, one, scratch));
      if (one.call === 'encode') peaks.note('after encode', sides);
    }
    peaks.note('after encode, clicks and masks', sides);
  };
  await withSides(threads, run, ['onnxruntime']);
  const memory = peaks.cases();
  return {
    title: 'Full size (facebook/sam3, 458 M random float32 weights)',
    cases: [...cases, ...memory],
    checks: [...agreementChecks(cases), ...barChecks(BARS, cases), ...checksOf(loads, memory)],
    tables: [],
  };
}
