/** What one case of the parity tests must keep to, and the row of the table that says how far it is apart. */
import assert from 'node:assert/strict';
import { LIMITS, agreement, difference, sameBits } from './compare';
import type { Difference } from './compare';
import { shown, shownPercent } from './report';
import type { Row } from './report';
import type { Answer } from './subject';

/**
 * How much larger than transformers' own our error in half precision may be: roundings differ where sums are taken in
 * another order. The error of an output of few elements is a matter of chance, so that only its mean over all cases
 * counts.
 */
const HALF_LIMITS = { max: 2, mean: 1.5, few: 1000, overall: { many: 1.25, few: 2 } };

/** The outputs that are compared by a rule of their own. */
const OWN_RULE = ['iou_scores', 'post_processed'];

function isListed(name: string, names: readonly string[]): boolean {
  return names.some((listed) => name === listed || name.startsWith(`${listed}.`));
}

function masksOf(outputs: Answer['outputs']): Parameters<typeof agreement>[0] {
  return [...outputs].filter(([name]) => name.startsWith('post_processed.')).map(([, mask]) => mask);
}

/** Asserts the limits of float32, and returns the table's row. */
export async function checkFloat32(name: string, ours: Answer['outputs'], theirs: Answer): Promise<Row> {
  const apart = new Map<string, Difference>();
  for (const [output, expected] of theirs.outputs) {
    if (isListed(output, OWN_RULE)) continue;
    const own = ours.get(output);
    assert.ok(own, `there is no ${output}`);
    assert.equal(own.type, 'float32');
    const { max, mean, scale } = await difference(own, expected, output);
    apart.set(output, { max, mean, scale });
    assert.ok(
      max < LIMITS.relative * scale,
      `${output} is ${shown(max)} apart at a scale of ${shown(scale)}`,
    );
  }
  const logits = apart.get('pred_masks');
  apart.delete('pred_masks');
  const others = Math.max(...[...apart.values()].map(({ max, scale }) => max / scale));
  const row: Row = {
    case: name,
    logits: logits ? shown(logits.max) : '',
    'of scale': logits ? logits.scale.toPrecision(3) : '',
    iou_scores: '',
    'equal pixels, %': '',
    'other outputs, of their scale': shown(others),
  };
  if (!logits) return row;
  const scores = await difference(ours.get('iou_scores')!, theirs.outputs.get('iou_scores')!, 'iou_scores');
  assert.ok(scores.max < LIMITS.iouScores, `iou_scores are ${shown(scores.max)} apart`);
  const equal = agreement(masksOf(ours), masksOf(theirs.outputs));
  assert.ok(equal >= LIMITS.agreement, `only ${shownPercent(equal)} % of the masks' pixels agree`);
  return { ...row, iou_scores: shown(scores.max), 'equal pixels, %': shownPercent(equal) };
}

/** Errors of one dtype over all cases. */
export class HalfErrors {
  /** Sums of mean errors, each as a part of its output's scale: of outputs of many elements, and of few. */
  readonly #sums = { many: { ours: 0, theirs: 0 }, few: { ours: 0, theirs: 0 } };

  /** Counts one output of one case. */
  add(size: number, ours: Difference, theirs: Difference): void {
    const sum = this.#sums[size < HALF_LIMITS.few ? 'few' : 'many'];
    sum.ours += ours.mean / ours.scale;
    sum.theirs += theirs.mean / theirs.scale;
  }

  /** Asserts that our errors are within transformers' own on average. */
  check(): void {
    for (const kind of ['many', 'few'] as const) {
      const { ours, theirs } = this.#sums[kind];
      assert.ok(theirs > 0, `transformers has no error in outputs of ${kind} elements`);
      assert.ok(
        ours <= HALF_LIMITS.overall[kind] * theirs,
        `our mean errors in outputs of ${kind} elements add up to ${shown(ours)}, transformers' to ${shown(theirs)}`,
      );
    }
  }
}

/** Asserts that our error is within transformers' own, and returns the table's row: of the worst output. */
export async function checkHalf(
  name: string,
  ours: Answer['outputs'],
  theirs: Answer,
  exact: Answer,
  errors: HalfErrors,
): Promise<Row> {
  let [ourWorst, theirWorst, farthest, sameEverywhere] = [0, 0, 0, true];
  for (const [output, expected] of theirs.outputs) {
    if (isListed(output, ['post_processed'])) continue;
    const own = ours.get(output);
    assert.ok(own, `there is no ${output}`);
    assert.equal(own.type, expected.type, `dtype of ${output}`);
    sameEverywhere &&= sameBits(own, expected);
    const reference = exact.outputs.get(output)!;
    const ourError = await difference(own, reference, output);
    const theirError = await difference(expected, reference, output);
    const between = await difference(own, expected, output);
    errors.add(expected.size, ourError, theirError);
    if (expected.size >= HALF_LIMITS.few) {
      for (const kind of ['max', 'mean'] as const) {
        assert.ok(
          ourError[kind] <= HALF_LIMITS[kind] * theirError[kind],
          `${output}: our ${kind} error is ${shown(ourError[kind])}, transformers' ${shown(theirError[kind])}`,
        );
      }
    }
    ourWorst = Math.max(ourWorst, ourError.max / ourError.scale);
    theirWorst = Math.max(theirWorst, theirError.max / theirError.scale);
    farthest = Math.max(farthest, between.max / between.scale);
  }
  return {
    case: name,
    'our error, of scale': shown(ourWorst),
    "transformers' error": shown(theirWorst),
    'between the two': shown(farthest),
    'equal bits': sameEverywhere ? 'yes' : 'no',
  };
}
