#include "addon/runtime_info.h"

#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <torch/csrc/jit/passes/tensorexpr_fuser.h>
#include <torch/csrc/jit/runtime/graph_executor.h>
#include <torch/csrc/jit/runtime/profiling_graph_executor_impl.h>
#include <torch/version.h>

#include <mutex>
#include <string>

#include "addon/arguments.h"
#include "addon/errors.h"
#include "runtime/caching_allocator.h"
#include "runtime/device.h"
#include "runtime/openmp_threads.h"

namespace sam3_tracker {

void PrepareRuntime() {
  static std::once_flag once;
  // The profiling executor compiles a graph again on its second and third run, for fusions that aten's own
  // kernels make needless; without it the first run is as fast as any other.
  std::call_once(once, [] {
    InstallCachingAllocator();
    SetDefaultThreadCount();
    torch::jit::getProfilingMode() = false;
    torch::jit::setTensorExprFuserEnabled(false);
  });
}

Napi::Value RuntimeInfo(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    Napi::Object object = Napi::Object::New(env);
    object.Set("torchVersion", std::string(TORCH_VERSION));
    object.Set("threads", at::get_num_threads());
    object.Set("cudaDevices", CudaDeviceCount());
    object.Set("cpuCapability", at::get_cpu_capability());
    object.Set("parallelInfo", at::get_parallel_info());
    return object;
  });
}

void SetThreads(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  Guarded(env, [&] {
    const auto count = As<int64_t>(info[0], "count");
    if (count < 1 || count > 4096)
      throw Sam3Error(ErrorCode::kInvalidArgument, "Expected 1 to 4096 threads.");
    SetThreadCount(static_cast<int>(count));
  });
}

}  // namespace sam3_tracker
