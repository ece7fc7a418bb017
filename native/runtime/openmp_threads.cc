#include "runtime/openmp_threads.h"

// libgomp's alone: in others a pause ends the threads of the whole process, in the middle of their work too.
#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
#define SAM3_TRACKER_LIBGOMP
#include <omp.h>
#endif

namespace sam3_tracker {

void EndOpenMpThreads() {
#if defined(SAM3_TRACKER_LIBGOMP)
  // It refuses inside a parallel region only, where no caller of this is.
  (void)omp_pause_resource(omp_pause_hard, omp_get_initial_device());
#endif
}

}  // namespace sam3_tracker
