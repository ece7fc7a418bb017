/** COCO's run-length encodings compared with pycocotools: masks to compressed text and back. */
import sharp from 'sharp';
import { randomNumbers } from '../test/support/random';
import { writeArray, type ArrayFile } from './arrays';
import { IMAGE_SIZE } from './cases';
import type { BenchOptions } from './options';
import { Peer } from './peer';
import { shown, type Check, type PartResult } from './report';
import { summarize, type Summary } from './statistics';

const SEED = 41;

interface Answer<T> {
  seconds: number;
  result: T;
}

/** How masks are made: noise of so many cells along each side, upsampled smoothly to the image. */
interface Kind {
  name: string;
  count: number;
  /** null: noise in each pixel, the worst that an encoding can meet. */
  cells: number | null;
}

const KINDS: Kind[] = [
  { name: 'smooth outlines', count: 32, cells: 6 },
  { name: 'ragged outlines', count: 32, cells: 100 },
  { name: 'noise', count: 4, cells: null },
];

/** Masks (masks, height, width): about half of each is inside. */
async function makeMasks({ count, cells }: Kind, scratch: string): Promise<ArrayFile> {
  const random = randomNumbers(SEED);
  const [height, width] = IMAGE_SIZE;
  const data = new Uint8Array(count * height * width);
  for (let index = 0; index < count; index++) {
    const columns = cells ?? width;
    const rows = cells ?? height;
    const noise = Uint8Array.from({ length: rows * columns }, () => 256 * random());
    const upsampled = await sharp(noise, { raw: { width: columns, height: rows, channels: 1 } })
      .resize(width, height, { fit: 'fill', kernel: 'cubic' })
      .extractChannel(0)
      .raw()
      .toBuffer();
    data.set(
      upsampled.map((value) => (value > 127 ? 1 : 0)),
      index * height * width,
    );
  }
  return writeArray(scratch, `masks.${cells}`, 'uint8', data, [count, height, width]);
}

/** Milliseconds a mask. */
function perMask(seconds: readonly number[], count: number): Summary {
  return summarize(seconds.map((value) => (1000 * value) / count));
}

const described = ({ median, min, max }: Summary): string => `${shown(median)} (${shown(min)}-${shown(max)})`;

async function compare(
  [ours, theirs]: readonly [Peer, Peer],
  kind: Kind,
  runs: number,
  scratch: string,
): Promise<{ rows: Record<string, string>[]; agree: boolean }> {
  const array = await makeMasks(kind, scratch);
  for (const side of [ours, theirs]) await side.call('load', { array });
  const times = { encode: [[], []], decode: [[], []] } as Record<'encode' | 'decode', [number[], number[]]>;
  const compressing: number[] = [];
  let agree = true;
  let bytes = 0;
  for (let round = -1; round < runs; round++) {
    const [own, other] = [
      await ours.call<Answer<string[]>>('encode'),
      await theirs.call<Answer<string[]>>('encode'),
    ];
    const texts = other.result;
    bytes = texts.join('').length / kind.count;
    const compressed = await ours.call<Answer<string[]>>('compress');
    const decoded = [
      await ours.call<Answer<boolean>>('decode', { texts }),
      await theirs.call<Answer<boolean>>('decode', { texts }),
    ];
    agree &&= [own, compressed].every(({ result }) => result.join() === texts.join());
    agree &&= decoded.every(({ result }) => result);
    // The first round warms up.
    if (round < 0) continue;
    compressing.push(compressed.seconds);
    [own, other].forEach(({ seconds }, side) => times.encode[side].push(seconds));
    decoded.forEach(({ seconds }, side) => times.decode[side].push(seconds));
  }
  const name = `${kind.name}, ${shown(bytes / 1024)} KiB of text`;
  const rows = Object.entries(times).map(([what, sides]) => {
    const [own, other] = sides.map((seconds) => perMask(seconds, kind.count));
    return {
      'milliseconds a mask': `${what}: ${name}`,
      ours: described(own),
      pycocotools: described(other),
      'ours / pycocotools': shown(own.median / other.median),
    };
  });
  rows.push({
    'milliseconds a mask': `from a mask held as runs: ${name}`,
    ours: described(perMask(compressing, kind.count)),
    pycocotools: '-',
    'ours / pycocotools': '-',
  });
  return { rows, agree };
}

/** Both sides on one thread: neither has more. */
export async function rle({ quick, runs, scratch, progress }: BenchOptions): Promise<PartResult> {
  const sides = [Peer.startNode('rle_worker.ts'), Peer.startPython('rle_worker.py')] as const;
  try {
    const rows: Record<string, string>[] = [];
    const apart: string[] = [];
    for (const kind of KINDS) {
      progress(kind.name);
      const found = await compare(sides, kind, runs ?? (quick ? 3 : 9), scratch);
      rows.push(...found.rows);
      if (!found.agree) apart.push(kind.name);
    }
    const agreement: Check = {
      name: 'texts and masks are the same, byte for byte',
      passed: apart.length === 0,
      found: apart.length ? `not of: ${apart.join(', ')}` : `of all ${KINDS.length} kinds of masks`,
    };
    return {
      title: `COCO's run-length encodings, ${IMAGE_SIZE[1]}x${IMAGE_SIZE[0]}`,
      cases: [],
      checks: [agreement],
      tables: [{ title: 'Masks to compressed text and back', rows }],
    };
  } finally {
    await Promise.all(sides.map((side) => side.close()));
  }
}
