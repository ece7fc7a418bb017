import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { readArray, writeArray } from '../../bench/arrays';
import { barChecks } from '../../bench/bars';
import { agreementOf, deviationCheck, peakMemoryCheck } from '../../bench/comparison';
import { caseJson, partText, type CaseResult } from '../../bench/report';
import { quantile, summarize } from '../../bench/statistics';

const CASE: CaseResult = {
  name: 'one point to logits',
  unit: 'ms',
  ours: summarize([30, 20, 40]),
  transformers: summarize([100]),
  onnxruntime: null,
  agree: true,
  difference: '',
};
const BAR = { case: CASE.name, peer: 'transformers', limit: 0.3 } as const;

describe("the benchmark's report", () => {
  it('summarizes by the median and the extremes', () => {
    assert.deepEqual(summarize([5, 1, 3]), { median: 3, p95: 4.8, min: 1, max: 5, runs: 3 });
    assert.equal(quantile([1, 2, 3, 4], 0.5), 2.5);
    assert.throws(() => summarize([]), RangeError);
  });

  it('holds a bar only where the ratio is within it and the results agree', () => {
    const passes = (bar: Parameters<typeof barChecks>[0][number], result: CaseResult): boolean =>
      barChecks([bar], [result])[0].passed;
    assert.ok(passes(BAR, CASE));
    assert.ok(!passes({ ...BAR, limit: 0.299 }, CASE));
    assert.ok(!passes(BAR, { ...CASE, agree: false }));
    assert.ok(!passes({ ...BAR, peer: 'onnxruntime' }, CASE));
    assert.ok(!passes({ ...BAR, case: 'another' }, CASE));
  });

  it('says which case took more memory than transformers, and what is too far from its numbers', () => {
    const peaks = (ours: number): CaseResult => ({
      ...CASE,
      peakMemory: { ours, transformers: 100, onnxruntime: null },
    });
    assert.ok(peakMemoryCheck([peaks(100), CASE]).passed);
    const above = peakMemoryCheck([peaks(101)]);
    assert.ok(!above.passed);
    assert.match(above.found, /one point to logits \(101 MiB, transformers 100\)/);
    assert.ok(deviationCheck([{ ...CASE, deviation: 1e-5 }, CASE], 1e-5).passed);
    assert.ok(!deviationCheck([{ ...CASE, deviation: 1.1e-5 }], 1e-5).passed);
    assert.ok(!deviationCheck([{ ...CASE, deviation: NaN }], 1e-5).passed);
  });

  it('gives JSON with medians by side, and null where a side cannot', () => {
    assert.deepEqual(caseJson(CASE), {
      name: 'one point to logits',
      unit: 'ms',
      ours: 30,
      transformers: 100,
      onnxruntime: null,
      agree: true,
      spread: { ours: [20, 40], transformers: [100, 100], onnxruntime: null },
      runs: { ours: 3, transformers: 1, onnxruntime: 0 },
      peakMemory: null,
      difference: '',
      deviation: null,
    });
  });

  it('prints medians, spread, ratios and whether bars are held', () => {
    const checks = barChecks([BAR], [CASE]);
    const text = partText({ title: 'Part', cases: [CASE], checks, tables: [] });
    assert.match(text, /\| one point to logits \| +ms \| 30 \(20-40\) \| +100 \| +- \| +0\.3 \| +- \| +3 \|/);
    assert.match(text, /- pass: one point to logits: at most 0\.3 of transformers': 0\.3/);
  });

  describe('with arrays in files', () => {
    let directory: string;
    beforeEach(() => {
      directory = mkdtempSync(path.join(os.tmpdir(), 'sam3-tracker-bench-'));
    });
    afterEach(() => rmSync(directory, { recursive: true, force: true }));
    const write = (name: string, values: number[]): ReturnType<typeof writeArray> =>
      writeArray(directory, name, 'float32', Float32Array.from(values), [values.length]);

    it('compares outputs by the scale of what they should be', async () => {
      const [exact, near, far] = [
        await write('exact', [200, -1]),
        await write('near', [200, -1.01]),
        await write('far', [200, -1.1]),
      ];
      const limits = { relative: 1e-4, equal: 1 };
      const close = await agreementOf({ masks: near }, { masks: exact }, limits);
      assert.ok(close.agree);
      assert.ok(Math.abs((close.deviation ?? NaN) - 5e-5) < 1e-7);
      assert.ok(!(await agreementOf({ masks: far }, { masks: exact }, limits)).agree);
      await assert.rejects(agreementOf({ other: near }, { masks: exact }, limits), /ours gave other/);
    });

    it('never reads the same fresh array twice', async () => {
      const file = await write('shared', [7, 8]);
      assert.deepEqual(await readArray(file), Float32Array.of(7, 8));
      assert.deepEqual(await readArray({ ...file, fresh: true }), Float32Array.of(1, 8));
      assert.deepEqual(await readArray({ ...file, fresh: true }), Float32Array.of(2, 8));
    });
  });
});
