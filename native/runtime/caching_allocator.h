// Reuses the memory of large CPU tensors. libtorch gives every one of them fresh pages from the system and
// gives them back when it is freed; for temporaries of megabytes that costs as much as the arithmetic on
// them.
#pragma once

#include <cstddef>

namespace sam3_tracker {

// Puts the allocator in for libtorch's CPU tensors, once a process. Without effect where the system has no
// mmap.
void InstallCachingAllocator();

// While one of these lives, tensors of at least 1 MiB that its thread makes come from kept blocks where one
// fits. A freed block is kept while all blocks together are at most an eighth above the most that was ever in
// use at once, or 256 MiB where that is more.
class TensorCacheScope {
 public:
  TensorCacheScope();
  ~TensorCacheScope();

  TensorCacheScope(const TensorCacheScope&) = delete;
  TensorCacheScope& operator=(const TensorCacheScope&) = delete;
};

// Gives the kept blocks back to the system when nothing has asked for one in the last five seconds. For a
// thread that has had nothing to do for that long.
void ReleaseIdleTensorCache();

// Gives them back now, also what is freed from now on until a block is asked for again. For a thread that
// ends.
void ReleaseTensorCache();

// Gives free pages of the C library's heaps back to the system, where it can (glibc). An encoder frees
// gigabytes of temporaries that glibc would keep for a thread that then only answers clicks. Costs
// milliseconds: for after an encode, not after a click.
void ReturnFreeMemory();

// How long nothing may be asked for before kept blocks go back.
inline constexpr int kTensorCacheIdleSeconds = 5;

struct TensorCacheInfo {
  std::size_t live_bytes;  // blocks that tensors hold
  std::size_t kept_bytes;  // blocks kept for the next tensors
};

TensorCacheInfo GetTensorCacheInfo();

}  // namespace sam3_tracker
