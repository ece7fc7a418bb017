#include "runtime/caching_allocator.h"

// Any standard header says whether the C library is glibc.
#include <cstdlib>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#if defined(__unix__) || defined(__APPLE__)

#include <c10/core/Allocator.h>
#include <c10/core/CPUAllocator.h>
#include <c10/core/impl/alloc_cpu.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cstdint>
#include <deque>
#include <mutex>
#include <new>
#include <unordered_map>
#include <utility>

#include "runtime/process_limits.h"

namespace sam3_tracker {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t kSmallestBlock = std::size_t{1} << 20;
constexpr std::size_t kLeastBudget = std::size_t{256} << 20;
constexpr std::size_t kHugePage = std::size_t{2} << 20;
// Huge pages for what is certain to be written whole; below, their rounding would show in the resident set.
constexpr std::size_t kSmallestHuge = std::size_t{8} << 20;
constexpr std::uintptr_t kPageMask = 4095;
// The kernel promises more than it has, and ends the process when that is written to: what is larger is
// compared with what is free first, which takes a tenth of a millisecond.
constexpr std::size_t kSmallestChecked = std::size_t{256} << 20;

thread_local int cache_scopes = 0;

// Eight sizes between a power of two and the next: what is left over is never written, so never resident.
std::size_t BlockSize(std::size_t bytes) {
  const std::size_t step = std::bit_floor(bytes) / 8;
  return (bytes + step - 1) / step * step;
}

void Unmap(void* block, std::size_t size) { munmap(block, size); }

// Null where the system has no memory left.
void* Map(std::size_t size) {
  const bool huge = size >= kSmallestHuge;
  const std::size_t wanted = huge ? size + kHugePage : size;
  void* const mapped = mmap(nullptr, wanted, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return nullptr;
  if (!huge) return mapped;
  char* const first = static_cast<char*>(mapped);
  const std::size_t before = (kHugePage - reinterpret_cast<std::uintptr_t>(first) % kHugePage) % kHugePage;
  if (before > 0) munmap(first, before);
  if (before < kHugePage) munmap(first + before + size, kHugePage - before);
#if defined(MADV_HUGEPAGE)
  madvise(first + before, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  return first + before;
}

class CachingAllocator final : public c10::Allocator {
 public:
  // Never destroyed: tensors of JavaScript objects may outlive every other static of this library.
  static CachingAllocator& Instance() {
    alignas(CachingAllocator) static unsigned char storage[sizeof(CachingAllocator)];
    static CachingAllocator* const instance = new (storage) CachingAllocator();
    return *instance;
  }

  c10::DataPtr allocate(std::size_t bytes) override {
    const bool is_cached = cache_scopes > 0 && bytes >= kSmallestBlock;
    void* const data = is_cached ? Take(BlockSize(bytes)) : nullptr;
    if (!is_cached && bytes >= kSmallestChecked) CheckFreeMemory(bytes, Info().kept_bytes);
    // Also the way out when mapping failed: libtorch's own call raises the error that users know.
    void* const memory = data ? data : c10::alloc_cpu(bytes);
    return {memory, memory, &Free, c10::Device(c10::DeviceType::CPU)};
  }

  c10::DeleterFnPtr raw_deleter() const override { return &Free; }

  void copy_data(void* destination, const void* source, std::size_t count) const override {
    default_copy_data(destination, source, count);
  }

  void Release(bool only_idle) {
    std::deque<Kept> released;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      if (only_idle && IsInUse()) return;
      last_taken_ = {};
      released.swap(kept_);
      kept_bytes_ = 0;
      // The next job may be a smaller one: its own peak counts.
      peak_bytes_ = live_bytes_;
    }
    for (const Kept& block : released) Unmap(block.data, block.size);
  }

  TensorCacheInfo Info() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return {live_bytes_, kept_bytes_};
  }

 private:
  struct Kept {
    void* data;
    std::size_t size;
  };

  static void Free(void* data) {
    // Blocks begin at a page; most small tensors do not, and need no lock.
    if ((reinterpret_cast<std::uintptr_t>(data) & kPageMask) != 0 || !Instance().GiveBack(data))
      c10::free_cpu(data);
  }

  void* Take(std::size_t size) {
    std::deque<Kept> released;
    void* data = nullptr;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_taken_ = Clock::now();
      // The block that was freed last is the likeliest to be in the processor's cache.
      const auto found =
          std::find_if(kept_.rbegin(), kept_.rend(), [&](const Kept& block) { return block.size == size; });
      if (found != kept_.rend()) {
        data = found->data;
        kept_.erase(std::next(found).base());
        kept_bytes_ -= size;
        Hold(data, size);
        return data;
      }
      if (size >= kSmallestChecked) CheckFreeMemory(size, kept_bytes_);
      peak_bytes_ = std::max(peak_bytes_, live_bytes_ + size);
      released = Evict(live_bytes_ + size);
    }
    for (const Kept& block : released) Unmap(block.data, block.size);
    data = Map(size);
    if (!data) return nullptr;
    const std::lock_guard<std::mutex> lock(mutex_);
    Hold(data, size);
    return data;
  }

  bool GiveBack(void* data) {
    std::deque<Kept> released;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      const auto found = live_.find(data);
      if (found == live_.end()) return false;
      const std::size_t size = found->second;
      live_.erase(found);
      live_bytes_ -= size;
      if (IsInUse()) {
        kept_.push_back({data, size});
        kept_bytes_ += size;
        released = Evict(live_bytes_);
      } else {
        // The threads that would give it back later are asleep or gone.
        released.push_back({data, size});
      }
    }
    for (const Kept& block : released) Unmap(block.data, block.size);
    return true;
  }

  // Whether a thread that takes blocks has yet to find itself idle, and to release what is kept then.
  bool IsInUse() const { return Clock::now() - last_taken_ < std::chrono::seconds(kTensorCacheIdleSeconds); }

  void Hold(void* data, std::size_t size) {
    live_.emplace(data, size);
    live_bytes_ += size;
    peak_bytes_ = std::max(peak_bytes_, live_bytes_);
  }

  // Takes out the blocks, oldest first, that are beyond the budget beside `in_use` bytes.
  std::deque<Kept> Evict(std::size_t in_use) {
    const std::size_t budget = std::max(peak_bytes_ + peak_bytes_ / 8, kLeastBudget);
    std::deque<Kept> evicted;
    while (!kept_.empty() && in_use + kept_bytes_ > budget) {
      evicted.push_back(kept_.front());
      kept_bytes_ -= kept_.front().size;
      kept_.pop_front();
    }
    return evicted;
  }

  std::mutex mutex_;
  std::unordered_map<void*, std::size_t> live_;
  // Oldest first.
  std::deque<Kept> kept_;
  std::size_t live_bytes_ = 0;
  std::size_t kept_bytes_ = 0;
  std::size_t peak_bytes_ = 0;
  Clock::time_point last_taken_;
};

}  // namespace

void InstallCachingAllocator() {
  static std::once_flag once;
  std::call_once(once, [] { c10::SetCPUAllocator(&CachingAllocator::Instance()); });
}

TensorCacheScope::TensorCacheScope() { ++cache_scopes; }
TensorCacheScope::~TensorCacheScope() { --cache_scopes; }

void ReleaseIdleTensorCache() { CachingAllocator::Instance().Release(true); }
void ReleaseTensorCache() { CachingAllocator::Instance().Release(false); }

TensorCacheInfo GetTensorCacheInfo() { return CachingAllocator::Instance().Info(); }

}  // namespace sam3_tracker

#else

namespace sam3_tracker {

void InstallCachingAllocator() {}
TensorCacheScope::TensorCacheScope() = default;
TensorCacheScope::~TensorCacheScope() = default;
void ReleaseIdleTensorCache() {}
void ReleaseTensorCache() {}
TensorCacheInfo GetTensorCacheInfo() { return {0, 0}; }

}  // namespace sam3_tracker

#endif

namespace sam3_tracker {

void ReturnFreeMemory() {
#if defined(__GLIBC__)
  malloc_trim(0);
#endif
}

}  // namespace sam3_tracker
