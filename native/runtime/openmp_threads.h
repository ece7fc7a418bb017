// The threads that OpenMP keeps for each thread that has run a parallel region.
#pragma once

namespace sam3_tracker {

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
