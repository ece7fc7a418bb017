// The allocator of large CPU tensors: what is reused, what is kept, and when it goes back to the system; and
// that an idle executor gives up its OpenMP threads.
#include "runtime/caching_allocator.h"

#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <future>
#include <iterator>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "../support/tensor_checks.h"
#include "runtime/executor.h"

namespace {

using sam3_tracker::Check;
using sam3_tracker::Executor;
using sam3_tracker::GetTensorCacheInfo;
using sam3_tracker::Purpose;
using sam3_tracker::ReleaseIdleTensorCache;
using sam3_tracker::ReleaseTensorCache;
using sam3_tracker::ReportChecks;
using sam3_tracker::TensorCacheScope;

constexpr int64_t kMiB = int64_t{1} << 20;

at::Tensor Bytes(int64_t count) { return at::empty({count}, at::kByte); }

void TestReuse() {
  const TensorCacheScope scope;
  void* first = nullptr;
  {
    const at::Tensor tensor = Bytes(3 * kMiB);
    first = tensor.data_ptr();
    Check(GetTensorCacheInfo().live_bytes >= 3 * kMiB, "a large tensor is counted");
  }
  Check(GetTensorCacheInfo().kept_bytes >= 3 * kMiB, "its block is kept");
  Check(Bytes(3 * kMiB - 100).data_ptr() == first, "a tensor of nearly the same size takes it");
  ReleaseIdleTensorCache();
  Check(GetTensorCacheInfo().kept_bytes > 0, "a cache in use is not idle");
  ReleaseTensorCache();
  Check(GetTensorCacheInfo().kept_bytes == 0 && GetTensorCacheInfo().live_bytes == 0, "everything goes back");
}

void TestOutsideOfScope() {
  const at::Tensor tensor = Bytes(64 * kMiB);
  Check(GetTensorCacheInfo().live_bytes == 0, "other threads' tensors are libtorch's own");
  const TensorCacheScope scope;
  const at::Tensor small = Bytes(kMiB - 1);
  Check(GetTensorCacheInfo().live_bytes == 0, "and so are small ones");
}

void TestFreedAfterRelease() {
  at::Tensor tensor;
  {
    const TensorCacheScope scope;
    tensor = Bytes(8 * kMiB);
  }
  ReleaseTensorCache();
  tensor = at::Tensor();
  Check(GetTensorCacheInfo().kept_bytes == 0, "what is freed after a release is not kept");
}

void TestBudget() {
  const TensorCacheScope scope;
  // 300 MiB in pieces of different sizes, one at a time: the least budget holds.
  for (int64_t size = 10; size < 34; ++size) Bytes(size * kMiB);
  Check(GetTensorCacheInfo().kept_bytes <= 256 * kMiB, "kept blocks stay within 256 MiB");
  {
    std::vector<at::Tensor> tensors;
    for (int i = 0; i < 40; ++i) tensors.push_back(Bytes(16 * kMiB));
    Check(GetTensorCacheInfo().kept_bytes <= 80 * kMiB + 1,
          "a peak of 640 MiB leaves an eighth of it beside it");
  }
  Check(GetTensorCacheInfo().kept_bytes <= 720 * kMiB, "and that much after it");
  ReleaseTensorCache();
}

void TestContents() {
  const TensorCacheScope scope;
  std::mt19937 random(7);
  std::vector<at::Tensor> held;
  for (int i = 0; i < 2000; ++i) {
    const int64_t count = kMiB + static_cast<int64_t>(random() % (3 * kMiB));
    at::Tensor tensor = Bytes(count);
    const auto* end = tensor.const_data_ptr<uint8_t>() + count;
    Check(reinterpret_cast<std::uintptr_t>(tensor.data_ptr()) % 64 == 0, "blocks are aligned");
    tensor.mutable_data_ptr<uint8_t>()[0] = static_cast<uint8_t>(i);
    tensor.mutable_data_ptr<uint8_t>()[count - 1] = static_cast<uint8_t>(i);
    Check(end[-1] == static_cast<uint8_t>(i), "the last byte belongs to the tensor");
    held.push_back(tensor);
    if (held.size() > 8) held.erase(held.begin() + static_cast<std::ptrdiff_t>(random() % held.size()));
    for (const at::Tensor& other : held) {
      Check(&other == &held.back() || other.data_ptr() != tensor.data_ptr(), "no block is given out twice");
    }
  }
  held.clear();
  ReleaseTensorCache();
}

void TestManyThreads() {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([] {
      const TensorCacheScope scope;
      for (int i = 0; i < 500; ++i) Bytes((1 + i % 7) * kMiB).fill_(i % 251);
    });
  }
  for (std::thread& thread : threads) thread.join();
  ReleaseTensorCache();
  Check(GetTensorCacheInfo().live_bytes == 0, "nothing is lost among threads");
}

#if defined(__linux__)
int64_t ThreadCount() { return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}); }

void RunParallel(Executor& executor) {
  std::promise<void> done;
  executor.Submit([&](bool) {
    Bytes(32 * kMiB).fill_(1);
    at::parallel_for(0, 1000, 1, [](int64_t, int64_t) {});
    done.set_value();
  });
  done.get_future().wait();
}

void TestIdleExecutor() {
  at::set_num_threads(4);
  const int64_t before = ThreadCount();
  Executor guest("guest", Purpose::kTensorWork);
  RunParallel(guest);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  Check(ThreadCount() == before + 1, "an executor that is a guest keeps no OpenMP threads");
  Executor owner("owner", Purpose::kInference);
  RunParallel(owner);
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  Check(ThreadCount() == before + 5, "one that computes often keeps them");
  Check(GetTensorCacheInfo().kept_bytes >= 32 * kMiB, "and the blocks of its tensors");
  std::this_thread::sleep_for(std::chrono::milliseconds(5400));
  Check(ThreadCount() == before + 2, "for five seconds");
  Check(GetTensorCacheInfo().kept_bytes == 0, "and so with the blocks");
}
#endif

}  // namespace

int main() {
  sam3_tracker::InstallCachingAllocator();
  TestReuse();
  TestOutsideOfScope();
  TestFreedAfterRelease();
  TestBudget();
  TestContents();
  TestManyThreads();
#if defined(__linux__)
  TestIdleExecutor();
#endif
  return ReportChecks();
}
