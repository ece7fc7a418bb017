#include "runtime/device.h"

#include <ATen/Context.h>
#include <ATen/detail/CUDAHooksInterface.h>

#include <charconv>

#include "runtime/error.h"

namespace sam3_tracker {

int CudaDeviceCount() {
  if (!at::hasCUDA()) return 0;
  return static_cast<int>(at::detail::getCUDAHooks().deviceCount());
}

c10::Device ParseDevice(const std::string& name) {
  if (name == "cpu") return c10::Device(c10::kCPU);
  const std::string prefix = "cuda:";
  int index = -1;
  if (name.rfind(prefix, 0) == 0) {
    const char* end = name.data() + name.size();
    const auto parsed = std::from_chars(name.data() + prefix.size(), end, index);
    if (parsed.ec != std::errc() || parsed.ptr != end) index = -1;
  }
  if (index < 0) throw Sam3Error(ErrorCode::kInvalidArgument, "unknown device \"" + name + "\"");
  const int count = CudaDeviceCount();
  if (index >= count) {
    std::string why = "this machine has " + std::to_string(count) + " CUDA devices";
    if (!at::globalContext().hasCUDART()) {
      why =
          "the loaded libtorch is a CPU build (\"npx sam3-tracker libtorch install --cuda\" fetches the "
          "other)";
    } else if (count == 0) {
      why = "the loaded libtorch is a CUDA build, and there is no GPU that it can use";
    }
    throw Sam3Error(ErrorCode::kDeviceUnavailable,
                    "Device " + name + " is not available: " + why +
                        ". Pass device: 'cpu', or 'auto' to take what there is.");
  }
  return c10::Device(c10::kCUDA, static_cast<c10::DeviceIndex>(index));
}

std::string DeviceName(const c10::Device& device) {
  if (device.is_cpu()) return "cpu";
  return device.str();
}

}  // namespace sam3_tracker
