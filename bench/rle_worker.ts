/** Our side of the benchmark of run-length encodings; see rle_worker.py. */
import type { CocoRLE, Mask } from '../lib/index';
import { coco_encode_rle } from '../lib/masks/rle';
import { mask_to_rle, rle_to_mask } from '../lib/masks/masks';
import { RLEMask } from '../lib/masks/rle';
import { readArray, type ArrayFile } from './arrays';
import { serve } from './serve';

let masks: Mask[] = [];

/** Reads masks (masks, height, width) from a file. */
async function load({ array }: { array: ArrayFile }): Promise<void> {
  const data = (await readArray(array)) as Uint8Array;
  const [count, height, width] = array.dims;
  const area = height * width;
  masks = Array.from({ length: count }, (_, index) => ({
    type: 'bool',
    data: data.subarray(index * area, (index + 1) * area),
    dims: [height, width],
  }));
}

function timed<T>(work: () => T): { seconds: number; result: T } {
  const start = performance.now();
  const result = work();
  return { seconds: (performance.now() - start) / 1000, result };
}

/** Masks to COCO's text. */
const encode = (): { seconds: number; result: string[] } =>
  timed(() => masks.map((mask) => coco_encode_rle(mask_to_rle(mask)).counts));

/** Masks that are held as runs, as segment-everything gives them, to COCO's text; ours alone has such. */
function compress(): { seconds: number; result: string[] } {
  const held = masks.map((mask) => new RLEMask(mask.dims, Uint32Array.from(mask_to_rle(mask).counts)));
  return timed(() => held.map((mask) => mask.coco_rle.counts));
}

/** COCO's text to masks; the result is whether they are those of the file. */
function decode({ texts }: { texts: string[] }): { seconds: number; result: boolean } {
  const encoded: CocoRLE[] = texts.map((counts, index) => ({ size: masks[index].dims, counts }));
  const { seconds, result } = timed(() => encoded.map(rle_to_mask));
  return {
    seconds,
    result: result.every(({ data }, index) => Buffer.compare(data, masks[index].data) === 0),
  };
}

void serve({ load, encode, compress, decode });
