/** Segment everything beside transformers' pipeline: 1,024 points on a photo, the decoder of facebook/sam3's size. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { RawImage } from '../lib/raw-image';
import { findPython } from '../test/support/python';
import { PICTURE_SIZE } from './cases';
import type { Answer } from './everything_worker';
import type { BenchOptions } from './options';
import { Peer, ROOT } from './peer';
import { shown, type PartResult } from './report';
import { summarize } from './statistics';

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
const MIB = 2 ** 20;

/** Random weights give masks of noise: thresholds at which about one in ten gets as far as being stretched. */
const OPTIONS = {
  points_per_batch: 64,
  pred_iou_thresh: 0.5,
  stability_score_thresh: 0.5,
  stability_score_offset: 0.5,
};

/** Peaks in bytes beyond the loaded model. */
interface Peaks {
  /** Until the picture is encoded. */
  encode: number;
  /** From then on. */
  after: number;
}

interface Measured extends Pick<Answer, 'scores'> {
  seconds: Record<string, number>;
  /** null where the system does not tell. */
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

async function measure(peer: Peer, args: Record<string, unknown>): Promise<Measured> {
  const before = peer.resetPeakMemory();
  const { encodePeak, ...found } = await peer.call<Answer>('everything', args);
  const peak = peer.peakMemory();
  const peaks =
    before === null || encodePeak === null || peak === null
      ? null
      : { encode: encodePeak - before, after: peak - before };
  return { ...found, peaks };
}

/** Bytes beyond the loaded model at most, encoder included; NaN where the system does not tell. */
const peakOf = ({ peaks }: Measured): number => (peaks ? Math.max(peaks.encode, peaks.after) : NaN);

const secondsWithoutEncoder = ({ seconds }: Measured): number => seconds.all - (seconds.encode ?? 0);

/** Everything but encoder and decoder: reading the picture, filter, upsampling, suppression, and what no stage holds. */
const ownSeconds = ({ seconds }: Measured): number =>
  seconds.all - (seconds.encode ?? 0) - (seconds.decode ?? 0);

/** What no stage holds. */
const otherSeconds = ({ seconds }: Measured): number =>
  STAGES.reduce((rest, stage) => rest - (seconds[stage] ?? 0), seconds.all);

function rows(sides: Record<string, Measured>): Record<string, string>[] {
  return Object.entries(sides).map(([side, measured]) => {
    const { seconds, scores, peaks } = measured;
    const share = (part: number): string => `${shown(part)} (${shown((100 * part) / seconds.all)} %)`;
    return {
      side,
      ...Object.fromEntries(STAGES.map((stage) => [`${TITLES[stage]}, s`, share(seconds[stage] ?? 0)])),
      'other, s': share(otherSeconds(measured)),
      'all, s': shown(seconds.all),
      masks: String(scores.length),
      'peak up to the encoder, MiB': peaks ? shown(peaks.encode / MIB) : '-',
      'peak after it, MiB': peaks ? shown(peaks.after / MIB) : '-',
    };
  });
}

/** Stages side by side; `--quick` asks about 64 points instead of 1,024. */
export async function everything({ quick, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  progress('making the model');
  await makeModel();
  const file = path.join(scratch, 'photo.png');
  const photo = await RawImage.read(path.join(ROOT, 'examples', 'images', 'coffee.png'));
  await photo.rgb().toSharp().resize(PICTURE_SIZE[1], PICTURE_SIZE[0], { fit: 'fill' }).toFile(file);
  const options = { ...OPTIONS, points_per_crop: quick ? 8 : 32 };
  const env = { OMP_NUM_THREADS: String(threads) };
  const [ours, theirs] = [Peer.startNode('everything_worker.ts', env), Peer.start('transformers', threads)];
  try {
    await ours.call('load', { directory: MODEL, threads });
    await theirs.call('describe', { threads });
    await theirs.call('load_everything', { directory: `${MODEL}-checkpoint` });
    progress('ours');
    const own = await measure(ours, { file, options });
    progress("transformers'");
    const other = await measure(theirs, { file, options });
    const faster = ownSeconds(other) / ownSeconds(own);
    const part = peakOf(own) / peakOf(other);
    const apart = own.scores.map((score, index) => Math.abs(score - other.scores[index]));
    const largest = Math.max(0, ...apart);
    const agree = own.scores.length === other.scores.length && largest <= SCORE_LIMIT;
    const difference = `${own.scores.length} and ${other.scores.length} masks, scores ${largest.toExponential(1)} apart`;
    const [whole, wholeOther] = [own, other].map((side) => summarize([secondsWithoutEncoder(side)]));
    const ratio = whole.median / wholeOther.median;
    const points = options.points_per_crop ** 2;
    return {
      title: `Segment everything: ${points} points, 64 a batch, ${PICTURE_SIZE[1]}x${PICTURE_SIZE[0]}`,
      cases: [
        {
          name: `segment everything, ${points} points, without the encoder`,
          unit: 's',
          ours: whole,
          transformers: wholeOther,
          onnxruntime: null,
          agree,
          difference,
        },
      ],
      checks: [
        { name: 'the results agree', passed: agree, found: difference },
        {
          name: `without the encoder at most ${BARS.whole} of transformers'`,
          passed: ratio <= BARS.whole,
          found: shown(ratio),
        },
        {
          name: `everything but the decoder at least ${BARS.faster} times faster`,
          passed: faster >= BARS.faster,
          found: `${shown(ownSeconds(other))} s to ${shown(ownSeconds(own))} s: ${shown(faster)} times`,
        },
        {
          name: 'peak memory beyond the loaded model at most a tenth',
          passed: part <= BARS.memory,
          found: `${shown(part)} of transformers'`,
        },
      ],
      tables: [
        {
          title: 'Stages, and memory beyond the loaded model',
          rows: rows({ ours: own, transformers: other }),
        },
      ],
    };
  } finally {
    await Promise.all([ours.close(), theirs.close()]);
  }
}
