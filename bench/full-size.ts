/** facebook/sam3's own configuration, 458 M random weights, beside transformers: load, encode, click, peak memory. */
import { makeCases } from './cases';
import { agreementChecks, compareCase } from './comparison';
import { makeFullSizeModel, warmFileCache } from './full-size-model';
import type { BenchOptions } from './options';
import type { Peer } from './peer';
import { shown, type CaseResult, type Check, type PartResult } from './report';
import { withSides } from './sides';
import { summarize } from './statistics';

/** Longest load with a warm file cache, in seconds. */
const LOAD_LIMIT_S = 5;

type Sides = readonly [ours: Peer, transformers: Peer];

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
    return [...this.#bytes].map(([when, [ours, transformers]]) => ({
      name: `peak memory ${when}`,
      unit: 'MiB',
      ours: summarize(ours),
      transformers: summarize(transformers),
      agree: null,
      difference: '',
    }));
  }
}

/** Loads in fresh processes, since a second load in one process finds much of the work done. */
async function timeLoads(
  directory: string,
  runs: number,
  threads: number,
  peaks: Peaks,
): Promise<CaseResult> {
  const seconds: [ours: number[], transformers: number[]] = [[], []];
  for (let round = 0; round < runs; round++) {
    await withSides(threads, async (sides) => {
      for (const [index, side] of sides.entries())
        seconds[index].push((await side.call<{ seconds: number }>('load', { directory })).seconds);
      peaks.note('after load', sides);
    });
  }
  const [ours, transformers] = seconds.map(summarize);
  return { name: 'load, warm file cache', unit: 's', ours, transformers, agree: null, difference: '' };
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
  await warmFileCache(directory);
  const peaks = new Peaks();
  progress('load');
  const loads = await timeLoads(directory, runs ?? (quick ? 1 : 3), threads, peaks);
  const list = await makeCases(directory, scratch, {
    encode: runs ?? 1,
    warmUpEncode: false,
    other: quick ? 5 : 20,
  });
  const cases = [loads];
  await withSides(threads, async (sides) => {
    for (const side of sides) await side.call('load', { directory });
    for (const one of list) {
      progress(one.name);
      cases.push(await compareCase(sides, one, scratch));
      if (one.call === 'encode') peaks.note('after encode', sides);
    }
    peaks.note('after encode, clicks and masks', sides);
  });
  const memory = peaks.cases();
  return {
    title: 'Full size (facebook/sam3, 458 M random float32 weights)',
    cases: [...cases, ...memory],
    checks: [...agreementChecks(cases), ...checksOf(loads, memory)],
    tables: [],
  };
}
