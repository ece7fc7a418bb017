/**
 * Loading facebook/sam3's sizes from a warm file cache, alone and out of a file with the other parts' weights as the
 * hub's is: time, peak memory, and what a second process adds.
 */
import path from 'node:path';
import { makeFullSizeModel, makeVideoCheckpoint, warmFileCache } from './full-size-model';
import type { BenchOptions } from './options';
import { Peer } from './peer';
import { shown, type CaseResult, type Check, type PartResult } from './report';
import { withSides } from './sides';
import { summarize } from './statistics';

/** What a second process on the same file may keep for itself, in MiB. */
const PRIVATE_LIMIT = 300;
const MIB = 2 ** 20;

/** Seconds and peak MiB of loads in one dtype, each in processes of its own; one case for each. */
async function timeLoads(
  what: string,
  directory: string,
  dtype: string,
  runs: number,
  threads: number,
): Promise<CaseResult[]> {
  const seconds: [ours: number[], theirs: number[]] = [[], []];
  const peaks: [ours: number[], theirs: number[]] = [[], []];
  for (let round = 0; round < runs; round++) {
    await withSides(threads, async (sides) => {
      for (const [index, side] of sides.entries()) {
        seconds[index].push((await side.call<{ seconds: number }>('load', { directory, dtype })).seconds);
        peaks[index].push((side.peakMemory() ?? NaN) / MIB);
      }
    });
  }
  const result = (name: string, unit: CaseResult['unit'], [ours, theirs]: typeof seconds): CaseResult => ({
    name,
    unit,
    ours: summarize(ours),
    transformers: summarize(theirs),
    onnxruntime: null,
    agree: null,
    difference: '',
  });
  return [
    result(`load ${what} in ${dtype}`, 's', seconds),
    result(`peak memory of loading ${what} in ${dtype}`, 'MiB', peaks),
  ];
}

/** Private MiB of a second process that has loaded what a first one holds; null where the system does not tell. */
async function secondProcess(directory: string, threads: number): Promise<number | null> {
  const processes = [Peer.start('ours', threads), Peer.start('ours', threads)];
  try {
    for (const one of processes) await one.call('load', { directory, dtype: 'float32' });
    const bytes = processes[1].privateMemory();
    return bytes === null ? null : bytes / MIB;
  } finally {
    await Promise.all(processes.map((one) => one.close()));
  }
}

/** Both sides with the same threads; transformers reads the same file. */
export async function load({ quick, runs, threads, progress }: BenchOptions): Promise<PartResult> {
  const fullSize = await makeFullSizeModel();
  const video = await makeVideoCheckpoint(fullSize);
  const directories = { "the tracker's weights": fullSize, 'a whole sam3_video checkpoint': video };
  const cases: CaseResult[] = [];
  for (const [what, directory] of Object.entries(directories)) {
    await warmFileCache(path.join(directory, 'model.safetensors'));
    for (const dtype of ['float32', 'bfloat16']) {
      progress(`load ${what} in ${dtype}`);
      cases.push(...(await timeLoads(what, directory, dtype, runs ?? (quick ? 1 : 3), threads)));
    }
  }
  progress('second process');
  const own = await secondProcess(video, threads);
  const checks: Check[] = cases.map(({ name, ours, transformers }) => ({
    name: `${name} not above transformers'`,
    passed: (ours?.median ?? NaN) <= (transformers?.median ?? NaN),
    found: `${shown(ours?.median ?? NaN)}, transformers ${shown(transformers?.median ?? NaN)}`,
  }));
  checks.push({
    name: `a second process adds less than ${PRIVATE_LIMIT} MiB`,
    passed: own !== null && own < PRIVATE_LIMIT,
    found: own === null ? 'the system does not tell' : `${shown(own)} MiB private`,
  });
  return {
    title: "Load (facebook/sam3's shapes, random float32 weights, warm file cache)",
    cases,
    checks,
    tables: [],
  };
}
