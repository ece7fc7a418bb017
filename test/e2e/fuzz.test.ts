/** A sample of what `npm run fuzz` does at length: hostile input ends in an error each, and in no crash. */
import assert from 'node:assert/strict';
import { fault, faults, LARGE, type Outcome } from './fuzz/attack';
import { runHeaders } from './fuzz/headers';
import { KINDS, runAttacks } from './fuzz/run';

describe('attacks', () => {
  for (const kind of KINDS)
    it(`of the kind ${kind} are refused with an error, or do no harm`, async () => {
      const outcomes = await runAttacks(kind, 1, 24);
      assert.equal(outcomes.length, 24);
      assert.deepEqual(faults(outcomes), []);
      assert.ok(outcomes.some(({ result }) => result !== 'done'));
    });

  it('would be noticed if one ended the process, held up the loop, passed unseen, or gave an error without a form', () => {
    const one: Outcome = {
      seed: 1,
      description: '',
      bytes: 9,
      result: 'RangeError',
      message: 'x',
      blocked: 9,
    };
    const bad: [string, Partial<Outcome>][] = [
      ['died: SIGSEGV', { result: 'died: SIGSEGV' }],
      ['hung', { result: 'hung' }],
      ['silent', { result: 'AssertionError' }],
      ['blocked', { blocked: 51 }],
      ['untyped', { result: 'Error', message: 'std::bad_alloc' }],
      ['untyped', { result: 'SyntaxError' }],
      ['untyped', { result: 'TypeError ERR_INVALID_ARG_TYPE' }],
      ['unchecked', { result: 'Sam3TrackerError NATIVE_ERROR' }],
      ['unchecked', { message: '' }],
      ['unchecked', { message: "Cannot read properties of undefined (reading 'dims')" }],
      ['long message', { message: 'x'.repeat(2001) }],
    ];
    for (const [found, change] of bad) assert.equal(fault({ ...one, ...change }), found);
    const good: Partial<Outcome>[] = [
      {},
      { result: 'done', message: '' },
      { blocked: 51, bytes: LARGE },
      { result: 'Sam3TrackerError FILE_INVALID' },
    ];
    for (const change of good) assert.equal(fault({ ...one, ...change }), null);
  });
});

describe('edited safetensors files', () => {
  it('are refused with an error, or have weights in their bounds', async () => {
    const { read, refused } = await runHeaders(500, 1);
    assert.equal(read + refused, 500);
    assert.ok(read > 0 && refused > 300);
  });
});
