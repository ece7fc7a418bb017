/** What an attack is, what became of it, and which of that must not be. */
import assert from 'node:assert/strict';
import { randomNumbers } from '../../support/random';

/** A hostile call that is ready to be made, the same for the same seed. */
export interface Attack {
  /** For the report of a fault. */
  description: string;
  /** Size of the input in bytes. */
  bytes: number;
  /** Makes the call. @throws AssertionError where its result is wrong; else what the call throws. */
  run: () => Promise<void>;
  /** Removes what was made for it. */
  dispose?: () => void;
}

/** What became of an attack. */
export interface Outcome {
  seed: number;
  description: string;
  bytes: number;
  /** 'done', the name and code of the error, or how the process ended. */
  result: string;
  message: string;
  /** Longest that the call held up the event loop, in milliseconds. */
  blocked: number;
}

/** An error that the input itself throws: it comes out as it is. */
export class Planted extends Error {
  override readonly name = 'Planted';
}

/** Longest that an input may hold up the event loop, in milliseconds, unless it is larger than `LARGE`. */
export const LONGEST_BLOCK = 50;
/** Bytes from which on an input is large. */
export const LARGE = 1_000_000;
const LONGEST_MESSAGE = 2000;

/** Words of V8, Node and libtorch for what nobody checked. */
const UNCHECKED =
  /Cannot (?:read propert|set propert|assign|convert|destructure|mix|perform|redefine|delete|access)|is not (?:a function|iterable|a constructor|defined|extensible|callable)|Invalid (?:typed )?array|detached ArrayBuffer|Maximum call stack|cyclic|circular|toPrimitive|c10::|at::|std::/;

/** The name of an error and its code, where it has one. */
export function nameOf(error: unknown): string {
  const { name, code } = error as Error & { code?: string };
  return code === undefined || error instanceof assert.AssertionError ? name : `${name} ${code}`;
}

/** What is wrong with an outcome, or null. */
export function fault({ result, message, bytes, blocked }: Outcome): string | null {
  if (/^(?:died|hung)/.test(result)) return result;
  if (result === 'AssertionError') return 'silent';
  if (blocked > LONGEST_BLOCK && bytes < LARGE) return 'blocked';
  if (result === 'done' || result === 'Planted') return null;
  if (!/^(?:TypeError|RangeError|Sam3TrackerError [A-Z_]+|MaskGenerationError)$/.test(result))
    return 'untyped';
  if (result.endsWith(' NATIVE_ERROR') || message === '' || UNCHECKED.test(message)) return 'unchecked';
  return message.length > LONGEST_MESSAGE ? 'long message' : null;
}

/** Outcomes that must not be. */
export function faults(outcomes: readonly Outcome[]): (Outcome & { fault: string })[] {
  return outcomes.flatMap((outcome) => {
    const found = fault(outcome);
    return found === null ? [] : [{ ...outcome, fault: found }];
  });
}

/** Choices, the same for the same seed. */
export class Dice {
  readonly next: () => number;

  constructor(seed: number) {
    this.next = randomNumbers(seed);
    // Seeds that follow each other begin alike.
    for (let skipped = 0; skipped < 4; skipped++) this.next();
  }

  /** An integer from 0 to below `count`. */
  below(count: number): number {
    return Math.floor(this.next() * count);
  }

  /** One of a list. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)];
  }

  /** Whether something of this probability happens. */
  chance(probability: number): boolean {
    return this.next() < probability;
  }
}

/** @throws AssertionError with a short message. */
export function expect(condition: boolean, what: string): asserts condition {
  assert.ok(condition, what);
}
