/** Whether the event loop stays free while the model computes: the gaps of a 10 ms timer. */
import path from 'node:path';
import { mkdir } from 'node:fs/promises';
import type { ArrayFile } from './arrays';
import { makePixels } from './cases';
import { makeFullSizeModel } from './full-size-model';
import type { BenchOptions } from './options';
import { Peer } from './peer';
import { shown, type Check, type PartResult } from './report';
import { describeSides } from './sides';
import { SMALL_MODEL } from './small';
import { quantile } from './statistics';
import { PERIOD_MS, type TimerGaps } from './timer';

/** Longest gap that counts as a free event loop, in milliseconds. */
const LONGEST_GAP_MS = 30;

/** Shortest time to watch, in seconds. */
const WATCHED_S = 5;

/** What the host took of the longest gap. */
const stolenOfLongest = ({ gaps, stolen }: TimerGaps): number => stolen[gaps.indexOf(quantile(gaps, 1))];

function row(what: string, found: TimerGaps): Record<string, string> {
  const { gaps, runs } = found;
  const late = gaps.filter((gap) => gap > LONGEST_GAP_MS).length;
  return {
    meanwhile: what,
    'took, ms':
      runs.length === 1 ? shown(runs[0]) : `${shown(quantile(runs, 0.5))} each, ${runs.length} times`,
    gaps: String(gaps.length),
    'median, ms': shown(quantile(gaps, 0.5)),
    '99 %': shown(quantile(gaps, 0.99)),
    '99.9 %': shown(quantile(gaps, 0.999)),
    longest: shown(quantile(gaps, 1)),
    'of it the host took': shown(stolenOfLongest(found)),
    [`above ${LONGEST_GAP_MS} ms`]: String(late),
  };
}

function check(what: string, found: TimerGaps): Check {
  const longest = quantile(found.gaps, 1);
  return {
    name: `a ${PERIOD_MS} ms timer fires within ${LONGEST_GAP_MS} ms during ${what}`,
    passed: longest <= LONGEST_GAP_MS,
    found: `the longest gap is ${shown(longest)} ms, of which the host took ${shown(stolenOfLongest(found))}`,
  };
}

/** Gaps with nothing to do, which is what the machine itself allows; during encodes of the small model; of the full size. */
export async function eventLoop({ quick, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  const rows: Record<string, string>[] = [];
  const checks: Check[] = [];
  const models: [string, string][] = [['encodes of the small model', SMALL_MODEL]];
  if (!quick) models.push(['an encode of the full size', await makeFullSizeModel()]);
  for (const [index, [what, directory]] of models.entries()) {
    progress(what);
    const folder = path.join(scratch, String(index));
    await mkdir(folder);
    const worker = Peer.start('ours', threads);
    const watch = (pixel_values: ArrayFile | null): Promise<TimerGaps> =>
      worker.call<TimerGaps>('gaps', { seconds: WATCHED_S, pixel_values });
    try {
      await describeSides([worker], threads);
      if (index === 0) rows.push(row('nothing', await watch(null)));
      await worker.call('load', { directory });
      const found = await watch(await makePixels(directory, folder));
      rows.push(row(what, found));
      checks.push(check(what, found));
    } finally {
      await worker.close();
    }
  }
  return {
    title: 'Event loop',
    cases: [],
    checks,
    tables: [{ title: `Times between the calls of a ${PERIOD_MS} ms timer`, rows }],
  };
}
