/** Whether memory stays flat: 200 loads and disposals, 10,000 clicks, 1,000 images, on the small model. */
import path from 'node:path';
import { makeClick, makeImage } from './cases';
import type { Sample } from './memory_worker';
import type { BenchOptions } from './options';
import { Peer, ROOT } from './peer';
import { shown, type Check, type PartResult } from './report';
import { SMALL_MODEL } from './small';
import { slope } from './statistics';

const MIB = 2 ** 20;

/** In examples/images. */
const PHOTOS = ['astronaut.png', 'chelsea.png', 'coffee.png', 'rocket.jpg'];

/** Growth from the end of the first quarter to the end that counts as flat: below either of these. */
const FLAT = { part: 0.05, bytes: 20e6 };

/** From the end of the first quarter on; before it, allocators and caches warm up. */
function afterWarmUp(samples: readonly Sample[]): readonly Sample[] {
  const total = samples[samples.length - 1].count;
  return samples.slice(samples.findIndex(({ count }) => count >= total / 4));
}

function growth(samples: readonly Sample[], field: 'rss' | 'external'): { bytes: number; part: number } {
  const steady = afterWarmUp(samples);
  const bytes = steady[steady.length - 1][field] - steady[0][field];
  return { bytes, part: bytes / steady[0][field] };
}

const isFlat = ({ bytes, part }: { bytes: number; part: number }): boolean =>
  bytes < FLAT.bytes || part < FLAT.part;

function row(what: string, samples: readonly Sample[]): Record<string, string> {
  const steady = afterWarmUp(samples);
  const last = samples[samples.length - 1];
  const perThousand = slope(steady.map(({ count, rss }) => [count / 1000, rss / MIB]));
  return {
    'what, MiB': what,
    'RSS after 1': shown(samples[0].rss / MIB),
    'after a quarter': shown(steady[0].rss / MIB),
    'at the end': shown(last.rss / MIB),
    'slope per 1,000': shown(perThousand),
    'highest, garbage included': shown(Math.max(...samples.map(({ rssBefore }) => rssBefore)) / MIB),
    'external after a quarter': shown(steady[0].external / MIB),
    'external at the end': shown(last.external / MIB),
    'heap after a quarter': shown(steady[0].heap / MIB),
    'heap at the end': shown(last.heap / MIB),
  };
}

function check(what: string, samples: readonly Sample[]): Check {
  const [rss, external] = [growth(samples, 'rss'), growth(samples, 'external')];
  const described = ({ bytes, part }: typeof rss): string =>
    `${shown(bytes / MIB)} MiB (${shown(100 * part)} %)`;
  return {
    name: `memory flat over ${what}`,
    passed: isFlat(rss) && isFlat(external),
    found: `RSS grew by ${described(rss)}, external by ${described(external)} after the first quarter`,
  };
}

/** Each subject in a process of its own. */
export async function memory({ quick, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  const click = await makeClick(SMALL_MODEL, scratch);
  const directory = SMALL_MODEL;
  const loads = { count: quick ? 40 : 200, samples: 40 };
  const clicks = { count: quick ? 1000 : 10_000, samples: 40 };
  const images = { count: quick ? 200 : 1000, samples: 40 };
  const everything = { count: 50, samples: 25 };
  const photos = PHOTOS.map((name) => path.join(ROOT, 'examples', 'images', name));
  const files = await makeImage(SMALL_MODEL, scratch);
  const subjects: [string, string, Record<string, unknown>][] = [
    [`${loads.count} loads and disposals`, 'loads', { ...loads, directory, click: null }],
    [`${loads.count} loads, each with a click`, 'loads', { ...loads, directory, click }],
    [`${clicks.count} clicks, outputs disposed`, 'clicks', { ...clicks, directory, click, dispose: true }],
    [`${clicks.count} clicks, outputs left to gc`, 'clicks', { ...clicks, directory, click, dispose: false }],
    [`${images.count} images preprocessed, their masks made`, 'images', { ...images, directory, ...files }],
    [
      `everything segmented in ${everything.count} photos of 12 sizes`,
      'everything',
      { ...everything, directory, photos, points_per_crop: 16 },
    ],
  ];
  const rows: Record<string, string>[] = [];
  const checks: Check[] = [];
  for (const [what, method, args] of subjects) {
    progress(what);
    const worker = Peer.startNode('memory_worker.ts', { OMP_NUM_THREADS: String(threads) });
    try {
      const samples = await worker.call<Sample[]>(method, args);
      rows.push(row(what, samples));
      checks.push(check(what, samples));
    } finally {
      await worker.close();
    }
  }
  const title = 'Resident set, V8 external memory and V8 heap after garbage collection';
  return { title: 'Memory', cases: [], checks, tables: [{ title, rows }] };
}
