/** facebook/sam3's sizes on a GPU, compared with transformers on the same one: load, encode, clicks, masks. */
import { makeCases } from './cases';
import { agreementChecks, compareCase, type Limits } from './comparison';
import { makeFullSizeModel } from './full-size-model';
import type { BenchOptions } from './options';
import { shown, type CaseResult, type PartResult } from './report';
import { withSides, type Sides } from './sides';
import { summarize } from './statistics';

const DEVICE = 'cuda:0';

/**
 * How far the sides may be apart, as a part of the scale. Either computes convolutions in TF32 (rounding to 2^-11) or
 * everything in bfloat16 (2^-8), and random weights magnify what another kernel rounds otherwise about eight times.
 */
const LIMITS = {
  float32: { relative: 8 * 2 ** -11, equal: 0.999 },
  bfloat16: { relative: 8 * 2 ** -8, equal: 0.99 },
} as const satisfies Record<string, Limits>;

/** Times of either dtype; `--quick` takes fewer runs. A call's time ends when the device has done its work. */
export async function gpu({ quick, runs, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  const directory = await makeFullSizeModel();
  const other = runs ?? (quick ? 10 : 50);
  const list = await makeCases(directory, scratch, {
    encode: Math.ceil(other / 2),
    warmUpEncode: true,
    other,
  });
  const cases: CaseResult[] = [];
  const memory: Record<string, string>[] = [];
  for (const dtype of ['float32', 'bfloat16'] as const) {
    const run = async (sides: Sides): Promise<void> => {
      const loads: number[] = [];
      for (const side of sides) {
        progress(`${dtype}, load, ${side.side}`);
        const { seconds } = await side.call<{ seconds: number }>('load', {
          directory,
          dtype,
          device: DEVICE,
        });
        loads.push(seconds);
      }
      const [ours, transformers] = loads.map((seconds) => summarize([seconds]));
      const name = `${dtype}: load, warm file cache`;
      cases.push({ name, unit: 's', ours, transformers, onnxruntime: null, agree: null, difference: '' });
      for (const one of list) {
        progress(`${dtype}, ${one.name}`);
        // What libtorch does at the first call on a device, and the capture of ours at the second, come before.
        for (const side of sides) {
          for (let warmUp = 0; warmUp < 3; warmUp++)
            await side.call('run', { call: one.call, args: one.args, save: null });
        }
        const found = await compareCase(sides, one, scratch, LIMITS[dtype]);
        cases.push({ ...found, name: `${dtype}: ${one.name}` });
      }
      for (const side of sides) {
        const peak = side.peakMemory();
        memory.push({
          dtype,
          side: side.side,
          'peak memory of the host, MiB': peak === null ? '-' : shown(peak / 2 ** 20),
        });
      }
    };
    await withSides(threads, run);
  }
  return {
    title: 'Full size on a GPU (facebook/sam3, 458 M random weights)',
    cases,
    checks: agreementChecks(cases),
    tables: [{ title: 'Memory', rows: memory }],
  };
}
