/** Long work that shares the event loop, and that an AbortSignal ends early. */
import { performance } from 'node:perf_hooks';
import { setImmediate as nextTurn } from 'node:timers/promises';

/**
 * Settles as `promise` does, or rejects with the signal's reason as soon as it is aborted: native work that is under
 * way ends later, by itself or by the same signal, and its result is handed to `discard`.
 */
export async function abortable<T>(
  promise: Promise<T>,
  signal: AbortSignal | null,
  discard: (result: T) => void = () => undefined,
): Promise<T> {
  if (!signal) return promise;
  let stop = (): void => undefined;
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason as Error);
    signal.addEventListener('abort', stop);
  });
  if (signal.aborted) stop();
  try {
    return await Promise.race([promise, aborted]);
  } catch (error) {
    if (signal.aborted) promise.then(discard, () => undefined); // the caller has its error: what comes later is nobody's
    throw error;
  } finally {
    signal.removeEventListener('abort', stop);
  }
}

/**
 * As `Promise.all(items.map(work))`, but no more than `most` are under way at once, and none begins after one has failed.
 *
 * @throws what `work` throws, as soon as it does.
 */
export async function mapAtOnce<T, Result>(
  items: readonly T[],
  most: number,
  work: (item: T) => Promise<Result>,
): Promise<Result[]> {
  const results = new Array<Result>(items.length);
  let next = 0;
  const takeTurns = async (): Promise<void> => {
    while (next < items.length) {
      const index = next++;
      try {
        results[index] = await work(items[index]);
      } catch (error) {
        next = items.length;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: most }, takeTurns));
  return results;
}

/** Milliseconds of work between two turns of the event loop: half a frame of a screen. */
const TURN = 8;

/**
 * As `items.map(work)`, with a turn of the event loop between items once some milliseconds are used.
 *
 * @param items what is worked on, in their order.
 * @param signal ends it between two turns.
 * @param work of one item; should take no more than some milliseconds.
 * @throws what `work` throws; the signal's reason.
 */
export async function mapInTurns<T, Result>(
  items: readonly T[],
  signal: AbortSignal | null,
  work: (item: T, index: number) => Result,
): Promise<Result[]> {
  const results: Result[] = [];
  let began = performance.now();
  for (const [index, item] of items.entries()) {
    if (performance.now() - began >= TURN) {
      await nextTurn();
      signal?.throwIfAborted();
      began = performance.now();
    }
    results.push(work(item, index));
  }
  return results;
}
