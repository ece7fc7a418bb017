#include "runtime/openmp_threads.h"

// libgomp's alone: in others a pause ends the threads of the whole process, in the middle of their work too.
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
#define SAM3_TRACKER_LIBGOMP
#include <omp.h>
#endif

#include <ATen/Parallel.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>

#include "runtime/process_limits.h"

namespace sam3_tracker {
namespace {

std::atomic<int> wanted_count{0};

}  // namespace

void SetThreadCount(int count) {
  wanted_count = count;
  ApplyThreadCount();
}

void SetDefaultThreadCount() {
  if (std::getenv("OMP_NUM_THREADS") != nullptr || std::getenv("MKL_NUM_THREADS") != nullptr) return;
  SetThreadCount(std::min(at::get_num_threads(), UsableProcessors()));
}

void ApplyThreadCount() {
  const int count = wanted_count;
  if (count > 0 && at::get_num_threads() != count) at::set_num_threads(count);
}

void EndOpenMpThreads() {
#if defined(SAM3_TRACKER_LIBGOMP)
  // It refuses inside a parallel region only, where no caller of this is.
  (void)omp_pause_resource(omp_pause_hard, omp_get_initial_device());
#endif
}

}  // namespace sam3_tracker
