/**
 * The model against transformers, live: the same weights, the same inputs, the same numbers. SAM3_TRACKER_PYTHON names
 * another Python to judge by, such as one with another version of transformers. Either side computes on one thread:
 * how many share a sum changes its last bits, and the tests shall say the same on every machine. photos.test.ts runs on
 * all of them.
 */
import assert from 'node:assert/strict';
import { cp, mkdtemp, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import type { AttentionImplementation } from '../../lib/model/load';
import { addon } from '../../lib/native/binding';
import { reference } from '../support/python';
import type { Reference } from '../support/python';
import { EAGER_CASES, FORWARD_CASES, HALF_CASES, METHOD_CASES, PROMPT_CASES } from './cases';
import type { ParityCase } from './cases';
import { HalfErrors, checkFloat32, checkHalf } from './checks';
import { report } from './report';
import type { Row } from './report';
import { Subject } from './subject';
import type { ComputeDtype, Files } from './subject';

const BUNDLED = path.join(__dirname, '..', '..', 'models', 'sam3-tracker-tiny');

/** The named random configurations of test/python/random_models.py. */
const RANDOM_CONFIGURATIONS = ['relu-two-scales', 'three-scales', 'windows-24', 'default-like'];

/** CPUs without instructions for float16 compute it slowly: the smallest configurations only. */
const FLOAT16_CONFIGURATIONS = ['three-scales', 'default-like'];

describe('parity with transformers', () => {
  let judge: Reference;
  let scratch: string;

  const { threads } = addon().runtimeInfo();

  before(async function () {
    judge = reference(path.join(__dirname, 'model_reference.py'), this);
    addon().setThreads(1);
    scratch = await mkdtemp(path.join(os.tmpdir(), 'sam3-tracker-parity-'));
    report('The judge', [(await judge.result('versions')) as Row]);
  });

  after(async () => {
    addon().setThreads(threads);
    if (scratch) await rm(scratch, { recursive: true });
  });

  const created = new Map<string, Promise<Files>>();

  /** The model of a named configuration with random weights, made once. */
  function create(name: string): Promise<Files> {
    const files =
      created.get(name) ??
      (judge.result('create', { name, seed: 0, folder: path.join(scratch, name) }) as Promise<Files>);
    created.set(name, files);
    return files;
  }

  for (const name of RANDOM_CONFIGURATIONS) {
    describe(`random weights, ${name}`, () => {
      const files: Files = { model: '', checkpoint: '' };
      before(async () => {
        Object.assign(files, await create(name));
      });
      const stable = compareAll(name, files);
      describe('the choice by stability', () => {
        it('takes both ways', () => {
          assert.ok(stable.includes(true), 'no object took the single mask');
          assert.ok(stable.includes(false), 'no object took the best of several masks');
        });
      });
      compareHalf(name, files);
    });
  }

  describe('the bundled model', () => {
    const files: Files = { model: BUNDLED, checkpoint: BUNDLED };
    compareAll('sam3-tracker-tiny', files);
    compareHalf('sam3-tracker-tiny', files);
  });

  describe('dynamic_multimask_via_stability off', () => {
    const files: Files = { model: '', checkpoint: '' };
    before(async () => {
      files.model = path.join(scratch, 'without-stability', 'model');
      files.checkpoint = path.join(scratch, 'without-stability', 'checkpoint');
      const original = await create(RANDOM_CONFIGURATIONS[0]);
      for (const key of ['model', 'checkpoint'] as const) {
        await cp(original[key], files[key], { recursive: true });
        await judge.result('without_stability', { file: path.join(files[key], 'config.json') });
      }
    });
    const cases = FORWARD_CASES.filter(({ options }) => options?.multimask_output === false);
    const stable = compareFloat32('without stability', files, 'sdpa', cases);
    describe('the choice by stability', () => {
      it('is not made', () => assert.deepEqual(stable, []));
    });
  });

  function compareAll(name: string, files: Files): boolean[] {
    const stable = compareFloat32(name, files, 'sdpa', [...PROMPT_CASES, ...FORWARD_CASES, ...METHOD_CASES]);
    compareFloat32(name, files, 'eager', EAGER_CASES);
    return stable;
  }

  /** One test for each case; the returned list fills with the choices by stability. */
  function compareFloat32(
    name: string,
    files: Files,
    attention: AttentionImplementation,
    cases: readonly ParityCase[],
  ): boolean[] {
    const stable: boolean[] = [];
    describe(`float32, ${attention}`, () => {
      let subject: Subject;
      const rows: Row[] = [];
      before(() => (subject = new Subject(files, judge, scratch)));
      after(async () => {
        await subject.dispose();
        report(`${name}, float32, ${attention}`, rows);
      });
      const ask = askAhead(cases, (parityCase, seed) =>
        subject.theirs('float32', attention, parityCase, seed),
      );
      cases.forEach((parityCase, seed) =>
        it(parityCase.name, async () => {
          const theirs = await ask(seed);
          const ours = await subject.ours('float32', attention, parityCase, theirs);
          stable.push(...theirs.stable);
          rows.push(await checkFloat32(parityCase.name, ours, theirs));
        }),
      );
    });
    return stable;
  }

  /** Ours and transformers' half precision, each against transformers' float32. */
  function compareHalf(name: string, files: Files): void {
    const dtypes: ComputeDtype[] = FLOAT16_CONFIGURATIONS.includes(name)
      ? ['bfloat16', 'float16']
      : ['bfloat16'];
    for (const dtype of dtypes) {
      describe(dtype, () => {
        let subject: Subject;
        const rows: Row[] = [];
        const errors = new HalfErrors();
        before(() => (subject = new Subject(files, judge, scratch)));
        after(async () => {
          await subject.dispose();
          report(`${name}, ${dtype}, sdpa`, rows);
        });
        const ask = askAhead(HALF_CASES, (parityCase, seed) =>
          Promise.all([
            subject.theirs('float32', 'sdpa', parityCase, seed),
            subject.theirs(dtype, 'sdpa', parityCase, seed),
          ]),
        );
        HALF_CASES.forEach((parityCase, seed) =>
          it(parityCase.name, async () => {
            const [exact, theirs] = await ask(seed);
            const ours = await subject.ours(dtype, 'sdpa', parityCase, theirs);
            rows.push(await checkHalf(parityCase.name, ours, theirs, exact, errors));
          }),
        );
        it('over all cases', () => errors.check());
      });
    }
  }
});

/** Gives the reference's answer to each case, asking for the next while ours of this one is computed. */
function askAhead<T>(
  cases: readonly ParityCase[],
  ask: (parityCase: ParityCase, seed: number) => Promise<T>,
): (index: number) => Promise<T> {
  const asked = new Map<number, Promise<T>>();
  const answer = (index: number): Promise<T> => {
    const promise = asked.get(index) ?? ask(cases[index], index);
    asked.set(index, promise);
    return promise;
  };
  return async (index) => {
    const current = await answer(index);
    asked.delete(index);
    // Whether it failed is for the next test to say.
    if (index + 1 < cases.length) answer(index + 1).catch(() => undefined);
    return current;
  };
}
