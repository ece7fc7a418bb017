/** How punctual the event loop is: the times between the calls of a 10 ms timer. */

import { existsSync, readFileSync } from 'node:fs';

/** What the timer saw while the work ran. */
export interface TimerGaps {
  /** Milliseconds between one call of the timer and the next, in their order. */
  gaps: number[];
  /** Milliseconds of each gap that a virtual machine's host kept cores from it, in steps of 10; 0 where it does not tell. */
  stolen: number[];
  /** Milliseconds that each run of the work took. */
  runs: number[];
}

/** Period of the timer in milliseconds. */
export const PERIOD_MS = 10;

/** Milliseconds that the host has kept cores from this machine since it started, all cores together. */
function stolenMs(): number {
  if (!existsSync('/proc/stat')) return 0;
  // cpu, user, nice, system, idle, iowait, irq, softirq, steal, in hundredths of a second.
  return 10 * Number(readFileSync('/proc/stat', 'latin1').split('\n', 1)[0].split(/\s+/)[8] ?? 0);
}

/** Runs `work` again and again, at least once, until `seconds` are over, beside a timer. */
export async function timerGaps(seconds: number, work: () => Promise<void>): Promise<TimerGaps> {
  const gaps: number[] = [];
  const stolen: number[] = [];
  const runs: number[] = [];
  let lastStolen = stolenMs();
  let last = performance.now();
  const end = last + 1000 * seconds;
  const tick = (): void => {
    const now = performance.now();
    const taken = stolenMs();
    gaps.push(now - last);
    stolen.push(taken - lastStolen);
    [last, lastStolen] = [now, taken];
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
  return { gaps, stolen, runs };
}
