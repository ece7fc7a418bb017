// The threads that OpenMP keeps for each thread that has run a parallel region.
#pragma once

namespace sam3_tracker {

// Ends those of the calling thread; its next parallel region starts new ones. As long as all threads of all
// pools are more than the processor has cores, libgomp lets every pool sleep between two regions instead of
// waiting awake, which made an encode of the small model take twice as long.
void EndParallelThreads();

}  // namespace sam3_tracker
