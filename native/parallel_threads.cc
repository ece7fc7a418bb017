#include "parallel_threads.h"

#if defined(_OPENMP)
#include <omp.h>
#endif

namespace sam3_tracker {

void EndParallelThreads() {
#if defined(_OPENMP)
  // It refuses inside a parallel region only, where no caller of this is.
  (void)omp_pause_resource(omp_pause_hard, omp_get_initial_device());
#endif
}

}  // namespace sam3_tracker
