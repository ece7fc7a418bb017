/** Long work on the JavaScript thread, in turns that leave the event loop time for others. */
import { performance } from 'node:perf_hooks';

/** Milliseconds after which others have their turn: half a frame of a screen. */
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
      await new Promise((resolve) => setImmediate(resolve));
      signal?.throwIfAborted();
      began = performance.now();
    }
    results.push(work(item, index));
  }
  return results;
}
