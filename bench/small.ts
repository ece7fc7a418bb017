/** The bundled model compared with its peers: what is left of the time when the arithmetic is small. */
import path from 'node:path';
import { makeCases } from './cases';
import { agreementChecks, compareCase, peakMemoryCheck } from './comparison';
import { makeOnnxGraphs } from './full-size-model';
import type { BenchOptions } from './options';
import { withSides, type Sides } from './sides';
import { ROOT } from './peer';
import type { CaseResult, PartResult } from './report';

/** The directory of the bundled model. */
export const SMALL_MODEL = path.join(ROOT, 'models', 'sam3-tracker-tiny');

/** Medians of preprocess, encode, click and post-process. */
export async function small({ quick, runs, threads, scratch, progress }: BenchOptions): Promise<PartResult> {
  const other = runs ?? (quick ? 10 : 30);
  const list = await makeCases(SMALL_MODEL, scratch, { encode: other, warmUpEncode: true, other });
  const cases: CaseResult[] = [];
  const graphs = await makeOnnxGraphs(SMALL_MODEL);
  const run = async (sides: Sides): Promise<void> => {
    for (const side of sides)
      await side.call('load', { directory: side.side === 'onnxruntime' ? graphs : SMALL_MODEL });
    for (const one of list) {
      progress(one.name);
      cases.push(await compareCase(sides, one, scratch));
    }
  };
  await withSides(threads, run, ['onnxruntime']);
  return {
    title: 'Small model (sam3-tracker-tiny)',
    cases,
    checks: [...agreementChecks(cases), peakMemoryCheck(cases)],
    tables: [],
  };
}
