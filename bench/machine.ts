/** What the benchmark ran on, and what else ran there. */
import os from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** The machine, as far as it decides the figures. */
export interface Machine {
  cpu: string;
  cores: number;
  memoryGiB: number;
  platform: string;
}

/** This machine. */
export function describeMachine(): Machine {
  return {
    cpu: os.cpus()[0]?.model ?? 'unknown',
    cores: os.availableParallelism(),
    memoryGiB: Math.round(os.totalmem() / 2 ** 30),
    platform: `${os.platform()} ${os.arch()} ${os.release()}`,
  };
}

/** Cores that are kept busy, over `seconds` in which this process does nothing itself. */
export async function busyCores(seconds = 2): Promise<number> {
  const before = os.cpus();
  await sleep(1000 * seconds);
  return os.cpus().reduce((busy, { times }, core) => {
    const spent = (kind: keyof typeof times): number => times[kind] - before[core].times[kind];
    const all = (Object.keys(times) as (keyof typeof times)[]).reduce((sum, kind) => sum + spent(kind), 0);
    return busy + (all > 0 ? 1 - spent('idle') / all : 0);
  }, 0);
}
