/** How many threads one operation on the CPU uses, for the whole process. */
import { checkInteger } from '../core/options';
import { addon, callNativeSync } from './binding';

/**
 * Threads that one operation on the CPU uses: OMP_NUM_THREADS, or as many processors as the process may use by its
 * affinity and its cgroup's quota. Loads libtorch. As torch's `get_num_threads`.
 */
export function get_num_threads(): number {
  return callNativeSync(() => addon().runtimeInfo().threads);
}

/**
 * Sets it for every model, from its next call on, in all threads of the process. Loads libtorch. As torch's
 * `set_num_threads`.
 *
 * @param num_threads 1 to 4096; more than there are processors is slower.
 * @throws TypeError for anything but a number; RangeError for one that is out of range.
 */
export function set_num_threads(num_threads: number): void {
  const count = checkInteger(num_threads, 'num_threads', { min: 1, max: 4096 });
  callNativeSync(() => addon().setThreads(count));
}
