/** Segment everything, compared with transformers' pipeline: 1,024 points on a photo, the decoder of facebook/sam3's size. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { RawImage } from '../lib/image/raw-image';
import { LIMITS } from '../test/parity/compare';
import { findPython } from '../test/support/python';
import { differenceOf, type ArrayFile } from './arrays';
import { IMAGE_SIZE } from './cases';
import { peakMemoryCheck, type Agreement } from './comparison';
import type { Answer } from './everything_worker';
import type { BenchOptions } from './options';
import { Peer, ROOT } from './peer';
import { shown, shownSummary, type CaseResult, type PartResult } from './report';
import { summarize, type Summary } from './statistics';

const MODEL = path.join(ROOT, '.cache', 'bench', 'decoder');
const STAGES = ['encode', 'decode', 'filter', 'upsample', 'suppress'] as const;
/** The stages as the table names them. */
const TITLES: Record<(typeof STAGES)[number], string> = {
  encode: 'encode',
  decode: 'decode',
  filter: 'filter',
  upsample: 'upsample and RLE',
  suppress: 'NMS',
};
const BARS = { whole: 0.17, faster: 15, memory: 1 / 10 };
/** Largest difference of a score from transformers'; random weights magnify rounding. */
const SCORE_LIMIT = 1e-4;
/** Of each side, unless told. One of transformers' takes two minutes. */
const RUNS = 3;
const MIB = 2 ** 20;

/** Random weights give masks of noise: thresholds at which about one in ten gets as far as being upsampled. */
const OPTIONS = {
  points_per_batch: 64,
  pred_iou_thresh: 0.5,
  stability_score_thresh: 0.5,
  stability_score_offset: 0.5,
};

/** Peaks in bytes. */
interface Peaks {
  /** Until the image is encoded. */
  encode: number;
  /** From then on. */
  after: number;
}

/** One run. */
interface Run extends Pick<Answer, 'scores' | 'seconds'> {
  /** Largest resident sets; null where the system does not tell. */
  peaks: Peaks | null;
}

async function makeModel(): Promise<void> {
  const { python, reason } = findPython();
  if (python === null) throw new Error(`The model cannot be made: ${reason}`);
  const script = path.join(__dirname, 'make_decoder_model.py');
  const [code] = (await once(spawn(python, [script, MODEL], { stdio: ['ignore', 2, 2] }), 'close')) as [
    number,
  ];
  if (code !== 0) throw new Error(`make_decoder_model.py ended with code ${code}`);
}

/** One side with all its runs. */
class Measured {
  readonly runs: Run[] = [];
  readonly #peer: Peer;
  readonly #loaded: number | null;

  /** @param peer which has loaded its model. */
  constructor(peer: Peer) {
    this.#peer = peer;
    this.#loaded = peer.resetPeakMemory();
  }

  async run(args: Record<string, unknown>): Promise<void> {
    this.#peer.resetPeakMemory();
    const { encodePeak, ...found } = await this.#peer.call<Answer>('everything', args);
    const after = this.#peer.peakMemory();
    this.runs.push({
      ...found,
      peaks: encodePeak === null || after === null ? null : { encode: encodePeak, after },
    });
  }

  /** Of the last run, best first. */
  get scores(): number[] {
    return this.runs[this.runs.length - 1].scores;
  }

  /** Largest resident set in bytes over all runs from the encoder's end on; null where the system does not tell. */
  get peakAfterEncoder(): number | null {
    const peak = this.#largest('after');
    return Number.isNaN(peak) ? null : peak;
  }

  /** Largest of all runs in bytes beyond the loaded model; NaN where the system does not tell. */
  extra(part: keyof Peaks): number {
    return this.#largest(part) - (this.#loaded ?? NaN);
  }

  /** Seconds, of whatever `part` takes of a run's. */
  seconds(part: (run: Run) => number): Summary {
    return summarize(this.runs.map(part));
  }

  #largest(part: keyof Peaks): number {
    return Math.max(...this.runs.map(({ peaks }) => peaks?.[part] ?? NaN));
  }
}

/** Bytes beyond the loaded model at most, encoder included; NaN where the system does not tell. */
const peakOf = (side: Measured): number => Math.max(side.extra('encode'), side.extra('after'));

const secondsWithoutEncoder = ({ seconds }: Run): number => seconds.all - (seconds.encode ?? 0);

/** Everything but encoder and decoder: reading the image, filter, upsampling, suppression, and what no stage holds. */
const ownSeconds = ({ seconds }: Run): number => seconds.all - (seconds.encode ?? 0) - (seconds.decode ?? 0);

/** What no stage holds. */
const otherSeconds = ({ seconds }: Run): number =>
  STAGES.reduce((rest, stage) => rest - (seconds[stage] ?? 0), seconds.all);

function rows(sides: Record<string, Measured>): Record<string, string>[] {
  const shownPeak = (bytes: number): string => (Number.isNaN(bytes) ? '-' : shown(bytes / MIB));
  return Object.entries(sides).map(([side, measured]) => {
    const of = (part: (run: Run) => number): string => shownSummary(measured.seconds(part));
    return {
      side,
      ...Object.fromEntries(
        STAGES.map((stage) => [`${TITLES[stage]}, s`, of(({ seconds }) => seconds[stage] ?? 0)]),
      ),
      'other, s': of(otherSeconds),
      'all, s': of(({ seconds }) => seconds.all),
      masks: String(measured.scores.length),
      'peak up to the encoder, MiB': shownPeak(measured.extra('encode')),
      'peak after it, MiB': shownPeak(measured.extra('after')),
    };
  });
}

/** Largest difference between scores, best first; Infinity where there are more on one side. */
function scoresApart(own: readonly number[], other: readonly number[]): number {
  if (own.length !== other.length) return Infinity;
  return Math.max(0, ...own.map((score, index) => Math.abs(score - other[index])));
}

/**
 * Scores and masks of a run in which none is suppressed: of the timed ones few masks are left, since masks of noise
 * overlap.
 */
async function compareMasks(sides: readonly [Peer, Peer], file: string, scratch: string): Promise<Agreement> {
  const args = { file, options: { ...OPTIONS, points_per_crop: 8, crops_nms_thresh: 1 }, keep: true };
  const scores: number[][] = [];
  for (const side of sides) scores.push((await side.call<Answer>('everything', args)).scores);
  const count = scores[0].length;
  if (count !== scores[1].length)
    return { agree: false, difference: `${count} and ${scores[1].length} masks before suppression` };
  const folders = sides.map(({ side }) => path.join(scratch, side));
  for (const folder of folders) await mkdir(folder);
  let [same, close, least] = [0, 0, 1];
  for (let index = 0; index < count; index++) {
    const masks: ArrayFile[] = [];
    for (const [side, peer] of sides.entries())
      masks.push(await peer.call<ArrayFile>('mask', { index, save: folders[side] }));
    const { equal } = await differenceOf(masks[0], masks[1]);
    least = Math.min(least, equal);
    if (equal === 1) same += 1;
    if (equal >= LIMITS.agreement) close += 1;
  }
  const apart = scoresApart(scores[0], scores[1]);
  return {
    agree: count > 0 && close === count && apart <= SCORE_LIMIT,
    difference:
      `before suppression, of 64 points: ${count} masks each, ${same} the same in every pixel, ${close} in ` +
      `${100 * LIMITS.agreement} % and more, the worst in ${(100 * least).toFixed(4)} %, scores ${apart.toExponential(1)} apart`,
  };
}

/** A photo of IMAGE_SIZE as a file. */
async function writePhoto(scratch: string): Promise<string> {
  const file = path.join(scratch, 'photo.png');
  const photo = await RawImage.read(path.join(ROOT, 'examples', 'images', 'coffee.png'));
  await photo.rgb().toSharp().resize(IMAGE_SIZE[1], IMAGE_SIZE[0], { fit: 'fill' }).toFile(file);
  return file;
}

/** Stages side by side, the sides in turn; `--quick` asks about 64 points instead of 1,024. */
export async function everything({
  quick,
  runs,
  threads,
  scratch,
  progress,
}: BenchOptions): Promise<PartResult> {
  progress('making the model');
  await makeModel();
  const file = await writePhoto(scratch);
  const options = { ...OPTIONS, points_per_crop: quick ? 8 : 32 };
  const env = { OMP_NUM_THREADS: String(threads) };
  const [ours, theirs] = [Peer.startNode('everything_worker.ts', env), Peer.start('transformers', threads)];
  try {
    await ours.call('load', { directory: MODEL, threads });
    await theirs.call('describe', { threads });
    await theirs.call('load_everything', { directory: `${MODEL}-checkpoint` });
    const [own, other] = [new Measured(ours), new Measured(theirs)];
    const rounds = runs ?? RUNS;
    const args = { file, options, keep: false };
    for (let round = 1; round <= rounds; round++) {
      progress(`${round} of ${rounds}, ours`);
      await own.run(args);
      progress(`${round} of ${rounds}, transformers'`);
      await other.run(args);
    }
    progress('masks of both sides');
    const compared = await compareMasks([ours, theirs], file, scratch);
    return resultOf(own, other, options.points_per_crop ** 2, compared);
  } finally {
    await Promise.all([ours.close(), theirs.close()]);
  }
}

function resultOf(own: Measured, other: Measured, points: number, compared: Agreement): PartResult {
  const apart = scoresApart(own.scores, other.scores);
  const agree = compared.agree && apart <= SCORE_LIMIT;
  const difference =
    `${own.scores.length} and ${other.scores.length} masks, scores ${apart.toExponential(1)} apart; ` +
    compared.difference;
  const [whole, wholeOther] = [own, other].map((side) => side.seconds(secondsWithoutEncoder));
  const [around, aroundOther] = [own, other].map((side) => side.seconds(ownSeconds).median);
  const ratio = whole.median / wholeOther.median;
  const faster = aroundOther / around;
  const part = peakOf(own) / peakOf(other);
  const [peak, peakOther] = [own, other].map(({ peakAfterEncoder: bytes }) => bytes && bytes / MIB);
  const timed: CaseResult = {
    name: `segment everything, ${points} points, without the encoder`,
    unit: 's',
    ours: whole,
    transformers: wholeOther,
    onnxruntime: null,
    agree,
    difference,
    peakMemory: { ours: peak, transformers: peakOther, onnxruntime: null },
  };
  return {
    title: `Segment everything: ${points} points, 64 a batch, ${IMAGE_SIZE[1]}x${IMAGE_SIZE[0]}`,
    cases: [timed],
    checks: [
      { name: 'the results agree', passed: agree, found: difference },
      {
        name: `without the encoder at most ${BARS.whole} of transformers'`,
        passed: ratio <= BARS.whole && agree,
        found: agree ? shown(ratio) : `${shown(ratio)}, but the results differ`,
      },
      {
        name: `everything but the decoder at least ${BARS.faster} times faster`,
        passed: faster >= BARS.faster,
        found: `${shown(aroundOther)} s to ${shown(around)} s: ${shown(faster)} times`,
      },
      {
        name: 'peak memory beyond the loaded model at most a tenth',
        passed: part <= BARS.memory,
        found: `${shown(part)} of transformers'`,
      },
      peakMemoryCheck([timed]),
    ],
    tables: [
      {
        title: 'Stages, and memory beyond the loaded model',
        rows: rows({ ours: own, transformers: other }),
      },
    ],
  };
}
