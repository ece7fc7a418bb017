// Host memory that libtorch's allocator has given back to the C library.
#pragma once

namespace sam3_tracker {

// Gives free pages of the C library's heaps back to the system, where it can (glibc). An encoder frees
// gigabytes of temporaries that glibc would keep for a thread that then only answers clicks. Costs
// milliseconds: for after an encode, not after a click.
void ReturnFreeMemory();

}  // namespace sam3_tracker
