/** How punctual the event loop is: the times between the calls of a 10 ms timer. */

/** What a watched stretch of time gave. */
export interface TimerGaps {
  /** Milliseconds between one call of the timer and the next, in their order. */
  gaps: number[];
  /** Milliseconds that each run of the work took. */
  runs: number[];
}

/** Period of the timer in milliseconds. */
export const PERIOD_MS = 10;

/** Runs `work` again and again, at least once, until `seconds` are over, beside a timer. */
export async function timerGaps(seconds: number, work: () => Promise<void>): Promise<TimerGaps> {
  const gaps: number[] = [];
  const runs: number[] = [];
  let last = performance.now();
  const end = last + 1000 * seconds;
  const tick = (): void => {
    const now = performance.now();
    gaps.push(now - last);
    last = now;
  };
  const timer = setInterval(tick, PERIOD_MS);
  try {
    do {
      const start = performance.now();
      await work();
      runs.push(performance.now() - start);
    } while (performance.now() < end);
    // The gap that is open: a loop that never let the timer fire must show.
    tick();
  } finally {
    clearInterval(timer);
  }
  return { gaps, runs };
}
