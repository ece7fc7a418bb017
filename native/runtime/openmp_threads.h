// The threads that OpenMP keeps for each thread that has run a parallel region: how many, and until when.
#pragma once

namespace sam3_tracker {

// How many threads one operation on the CPU uses, for every thread of ours from its next job on. The default
// is OMP_NUM_THREADS or MKL_NUM_THREADS, or else as many as the process may use processors: libgomp counts
// those of its affinity, but knows no quota of a cgroup, beyond which the kernel stops all of them.
void SetThreadCount(int count);
void SetDefaultThreadCount();

// Takes the count over for the calling thread. Costs some nanoseconds where it has it.
void ApplyThreadCount();

// Ends those of the calling thread; its next parallel region starts new ones. As long as all threads of all
// pools are more than the processor has cores, libgomp lets every pool sleep between two regions instead of
// waiting awake, which made an encode of the small model take twice as long and a click half as long again.
// Takes some ten nanoseconds where there are none. Does nothing without libgomp, whose way all this is.
void EndOpenMpThreads();

// Ends them with its life, for threads that compute now and then.
class OpenMpThreadsScope {
 public:
  OpenMpThreadsScope() = default;
  ~OpenMpThreadsScope() { EndOpenMpThreads(); }

  OpenMpThreadsScope(const OpenMpThreadsScope&) = delete;
  OpenMpThreadsScope& operator=(const OpenMpThreadsScope&) = delete;
};

}  // namespace sam3_tracker
