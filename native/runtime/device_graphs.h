// Computations on a GPU that are captured once for each shape of their inputs and then replayed by one
// launch: a click is some three hundred small kernels, whose launches take longer than they do.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

namespace sam3_tracker {

// One thread at a time, which must be in InferenceMode.
class DeviceGraphs {
 public:
  using Tensors = std::vector<at::Tensor>;
  // Must do the same for all inputs of the same shapes and dtypes, and must not wait for the device.
  using Function = std::function<Tensors(const Tensors& inputs)>;

  explicit DeviceGraphs(const c10::Device& device);
  ~DeviceGraphs();
  DeviceGraphs(const DeviceGraphs&) = delete;
  DeviceGraphs& operator=(const DeviceGraphs&) = delete;

  // Whether libtorch can capture on this kind of device.
  static bool IsSupportedOn(const c10::Device& device);

  // What `function` gives for `inputs`, which may lie elsewhere and are moved to the device. A call of a name
  // and shapes that are new is not captured: many never come again. Results belong to the caller.
  Tensors Run(const std::string& name, const Tensors& inputs, const Function& function);

 private:
  struct CapturedGraph;
  struct Entry {
    std::string key;
    // Null until the second call.
    std::unique_ptr<CapturedGraph> captured;
  };

  std::unique_ptr<CapturedGraph> Capture(const Tensors& inputs, const Function& function);

  c10::Device device_;
  // The most recently used first.
  std::list<Entry> entries_;
};

}  // namespace sam3_tracker
