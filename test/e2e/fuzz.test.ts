/** A sample of what `npm run fuzz` does at length: damaged files end in an error each, and in no crash. */
import assert from 'node:assert/strict';
import { runHeaders } from './fuzz/headers';
import { faults, runMutations } from './fuzz/run';
import type { Outcome } from './fuzz/worker';

describe('damaged model directories', () => {
  it('are refused with an error, or load where the damage is harmless', async () => {
    const outcomes = await runMutations(1, 24);
    assert.equal(outcomes.length, 24);
    assert.deepEqual(faults(outcomes), []);
    assert.ok(outcomes.filter(({ result }) => result !== 'loaded').length > 12);
  });

  it('would be noticed if one ended the process, passed unseen, or gave an error without a form', () => {
    const one: Outcome = { seed: 1, description: '', altersGraph: false, result: 'loaded', message: '' };
    const bad: Partial<Outcome>[] = [
      { result: 'died: SIGSEGV' },
      { altersGraph: true },
      { altersGraph: true, result: 'Sam3TrackerError FILE_INVALID', message: 'x' },
      { result: 'Error', message: 'std::bad_alloc' },
      { result: 'Sam3TrackerError NATIVE_ERROR', message: 'x' },
      { result: 'RangeError', message: '' },
    ];
    for (const change of bad) assert.equal(faults([{ ...one, ...change }]).length, 1);
    assert.equal(faults([one, { ...one, result: 'Sam3TrackerError FILE_INVALID', message: 'x' }]).length, 0);
  });
});

describe('edited safetensors files', () => {
  it('are refused with an error, or have weights in their bounds', async () => {
    const { read, refused } = await runHeaders(500, 1);
    assert.equal(read + refused, 500);
    assert.ok(read > 0 && refused > 300);
  });
});
