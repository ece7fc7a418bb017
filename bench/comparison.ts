/** Runs one case on every side in turn, and lets it count only where the sides agree. */
import { mkdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { LIMITS } from '../test/parity/compare';
import { differenceOf, type ArrayFile, type Difference } from './arrays';
import type { Case } from './cases';
import type { Peer, Timed } from './peer';
import { shown, type CaseResult, type Check, type PeakMemory } from './report';
import type { Sides } from './sides';
import { summarize } from './statistics';

/** Outputs of two sides compared. */
export interface Agreement {
  agree: boolean;
  /** The largest difference of a floating output as a part of its scale; undefined where there is none. */
  deviation?: number;
  /** For people. */
  difference: string;
}

/** Thread pools spin for a while after their work, ONNX Runtime's longest: wait, or they slow the next side's call. */
const PAUSE_MS = 100;

const MIB = 2 ** 20;

/** How far two sides may be apart. */
export interface Limits {
  /** Of floating outputs, as a part of their scale. */
  relative: number;
  /** The part of a mask's pixels that must be equal. */
  equal: number;
}

const FLOAT32_LIMITS: Limits = { relative: LIMITS.relative, equal: LIMITS.agreement };

function withinLimits(dtype: ArrayFile['dtype'], found: Difference, limits: Limits): boolean {
  if (dtype === 'bool') return found.equal >= limits.equal;
  return found.largest <= limits.relative * found.scale;
}

/** Compares outputs by name. @throws Error where names, dtypes or dims differ. */
export async function agreementOf(
  ours: Timed['outputs'],
  theirs: Timed['outputs'],
  limits = FLOAT32_LIMITS,
): Promise<Agreement> {
  const names = Object.keys(ours).sort();
  if (names.join() !== Object.keys(theirs).sort().join())
    throw new Error(`ours gave ${names.join(', ')}; the other side ${Object.keys(theirs).join(', ')}`);
  let agree = true;
  let deviation: number | undefined;
  const parts: string[] = [];
  for (const name of names) {
    const { dtype } = ours[name];
    const found = await differenceOf(ours[name], theirs[name]);
    agree &&= withinLimits(dtype, found, limits);
    // Math.max keeps NaN.
    if (dtype === 'float32') deviation = Math.max(deviation ?? 0, found.largest / found.scale);
    const what =
      dtype === 'bool'
        ? `${shown((1 - found.equal) * 1e6)} pixels in a million`
        : `${found.largest === 0 ? '0' : found.largest.toExponential(1)} (${shown(found.scale)})`;
    parts.push(`${name}: ${what}`);
  }
  return { agree, difference: parts.join('; '), deviation };
}

/** Whether outputs are the same, bit for bit. */
async function areSame(some: Timed['outputs'], others: Timed['outputs']): Promise<boolean> {
  const names = Object.keys(some).sort();
  if (names.join() !== Object.keys(others).sort().join()) return false;
  for (const name of names) {
    const [one, other] = [some[name], others[name]];
    const [bytes, otherBytes] = await Promise.all([readFile(one.file), readFile(other.file)]);
    if (one.dtype !== other.dtype || one.dims.join() !== other.dims.join() || !bytes.equals(otherBytes))
      return false;
  }
  return true;
}

/** Peak memory of one side's calls, one at a time. */
class CasePeaks {
  /** Of calls that also wrote their outputs, and of those that did not, in bytes. */
  readonly #bytes: Record<'saving' | 'plain', number[]> = { saving: [], plain: [] };

  async during<T>(peer: Peer, saves: boolean, call: () => Promise<T>): Promise<T> {
    const isTold = peer.resetPeakMemory() !== null;
    const result = await call();
    const peak = isTold ? peer.peakMemory() : null;
    if (peak !== null) this.#bytes[saves ? 'saving' : 'plain'].push(peak);
    return result;
  }

  /** MiB; reading inputs and writing outputs counts only where there was no other call. null where nothing was told. */
  get largest(): number | null {
    const { saving, plain } = this.#bytes;
    const counted = plain.length ? plain : saving;
    return counted.length ? Math.max(...counted) / MIB : null;
  }
}

/**
 * Times a case: the sides take turns. The first round is compared, and counts only where the case wants no warm-up.
 *
 * @param sides ours first, then those to agree with; ONNX Runtime is left out of what it cannot do.
 * @param scratch a directory for outputs.
 * @param limits how far they may be apart; default those of float32 on the CPU.
 */
export async function compareCase(
  sides: Sides,
  { name, call, sameAs, args, runs, warmUp, onnxruntime }: Case,
  scratch: string,
  limits = FLOAT32_LIMITS,
): Promise<CaseResult> {
  const peers = sides.filter(({ side }) => side !== 'onnxruntime' || onnxruntime);
  const times = peers.map((): number[] => []);
  const peaks = peers.map(() => new CasePeaks());
  const outputs: Timed['outputs'][] = [];
  for (let round = warmUp ? -1 : 0; round < runs; round++) {
    const isFirst = outputs.length < peers.length;
    for (const [index, peer] of peers.entries()) {
      const save = isFirst ? path.join(scratch, peer.side) : null;
      if (save) await mkdir(save, { recursive: true });
      await setTimeout(PAUSE_MS);
      const timed = await peaks[index].during(peer, isFirst, () =>
        peer.call<Timed>('run', { call, args, save }),
      );
      if (isFirst) outputs.push(timed.outputs);
      if (round >= 0) times[index].push(1000 * timed.seconds);
    }
  }
  const [ours, transformers, third = null] = times.map(summarize);
  let agree = true;
  let deviation: number | undefined;
  const differences: string[] = [];
  for (const [index, { side }] of peers.entries()) {
    if (index === 0) continue;
    const found = await agreementOf(outputs[0], outputs[index], limits);
    agree &&= found.agree;
    if (side === 'transformers') deviation = found.deviation;
    differences.push(peers.length > 2 ? `${side}: ${found.difference}` : found.difference);
  }
  if (sameAs) {
    const save = path.join(scratch, sameAs);
    await mkdir(save, { recursive: true });
    const { outputs: others } = await peers[0].call<Timed>('run', { call: sameAs, args, save });
    const same = await areSame(outputs[0], others);
    agree &&= same;
    differences.push(`${same ? '' : 'NOT '}bit for bit as ${sameAs}`);
  }
  const peakMemory: PeakMemory = { ours: null, transformers: null, onnxruntime: null };
  for (const [index, { side }] of peers.entries()) peakMemory[side] = peaks[index].largest;
  return {
    name,
    unit: 'ms',
    ours,
    transformers,
    onnxruntime: third,
    agree,
    difference: differences.join(' / '),
    deviation,
    peakMemory,
  };
}

/** What must hold of compared cases: that the sides agree. */
export function agreementChecks(cases: readonly CaseResult[]): Check[] {
  const compared = cases.filter(({ agree }) => agree !== null);
  const apart = compared.filter(({ agree }) => !agree).map(({ name }) => name);
  return [
    {
      name: 'the results agree',
      passed: apart.length === 0,
      found: apart.length ? `not in: ${apart.join(', ')}` : `in all ${compared.length} cases`,
    },
  ];
}

/** That nothing is further from transformers' than `limit` of its scale. */
export function deviationCheck(cases: readonly CaseResult[], limit: number): Check {
  const found = cases.map(({ deviation = 0 }) => deviation);
  return {
    name: `nothing differs from transformers' by more than ${limit} of its scale`,
    passed: found.every((deviation) => deviation <= limit),
    found: `at most ${Math.max(...found).toExponential(1)}`,
  };
}

/** That no watched case took more memory than transformers; passes where the system does not tell. */
export function peakMemoryCheck(cases: readonly CaseResult[]): Check {
  const told = cases.flatMap(({ name, peakMemory }) => {
    const { ours = null, transformers = null } = peakMemory ?? {};
    return ours === null || transformers === null ? [] : [{ name, ours, transformers }];
  });
  const above = told.filter(({ ours, transformers }) => ours > transformers);
  const described = above.map(
    ({ name, ours, transformers }) => `${name} (${shown(ours)} MiB, transformers ${shown(transformers)})`,
  );
  return {
    name: "peak memory of each case not above transformers'",
    passed: above.length === 0,
    found: above.length ? `above in: ${described.join(', ')}` : `in all ${told.length} cases`,
  };
}
