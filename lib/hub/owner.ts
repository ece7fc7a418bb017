/** Names for processes that share a cache, and whether the one behind a name is gone. */
import { createHash, randomUUID } from 'node:crypto';
import { readlinkSync } from 'node:fs';
import os from 'node:os';

/** Where a process id means the same process: one machine, and on Linux one of its process namespaces (containers). */
function realm(): string {
  let namespace = '';
  try {
    namespace = readlinkSync('/proc/self/ns/pid');
  } catch {
    // Not Linux, or no /proc: the machine's name has to do.
  }
  return createHash('sha256').update(`${os.hostname()} ${namespace}`).digest('hex').slice(0, 12);
}

/**
 * A name that no other piece of work has, for files and in file names.
 *
 * @param pid the process that it is of; default this one.
 */
export function ownerName(pid = process.pid): string {
  return `${pid}-${realm()}-${randomUUID().slice(0, 8)}`;
}

/** Whether the process of a name has certainly ended; false where that cannot be told from here. */
export function isGone(owner: string): boolean {
  const [, pid, where] = /^(\d+)-([0-9a-f]{12})-[0-9a-f]{8}$/.exec(owner) ?? [];
  if (where !== realm()) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
