#include "runtime/device_graphs.h"

#include <ATen/DeviceAccelerator.h>
#include <ATen/accelerator/Graph.h>
#include <ATen/ops/empty.h>
#include <c10/core/StreamGuard.h>
#include <c10/core/impl/VirtualGuardImpl.h>

#include <algorithm>
#include <iterator>
#include <sstream>
#include <utility>

namespace sam3_tracker {
namespace {

// Shapes of prompts that one program uses at the same time; each keeps its inputs and results on the device.
constexpr size_t kMostEntries = 8;
// Libraries behind libtorch choose kernels and make workspaces in the first runs on a stream, which must not
// happen during capture.
constexpr int kWarmUpRuns = 3;

std::string KeyOf(const std::string& name, const DeviceGraphs::Tensors& inputs) {
  std::ostringstream key;
  key << name;
  for (const at::Tensor& input : inputs) key << ' ' << input.scalar_type() << input.sizes();
  return key.str();
}

}  // namespace

struct DeviceGraphs::CapturedGraph {
  Tensors inputs;
  at::accelerator::Graph graph;
  Tensors outputs;
};

DeviceGraphs::DeviceGraphs(const c10::Device& device) : device_(device) {}

DeviceGraphs::~DeviceGraphs() = default;

bool DeviceGraphs::IsSupportedOn(const c10::Device& device) {
  return !device.is_cpu() && at::has_graph_impl(device.type());
}

DeviceGraphs::Tensors DeviceGraphs::Run(const std::string& name, const Tensors& inputs,
                                        const Function& function) {
  std::string key = KeyOf(name, inputs);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  const auto run_directly = [&] {
    Tensors moved;
    for (const at::Tensor& input : inputs) moved.push_back(input.to(device_));
    return function(moved);
  };
  if (found == entries_.end()) {
    entries_.push_front({std::move(key), nullptr});
    if (entries_.size() > kMostEntries) entries_.pop_back();
    return run_directly();
  }
  entries_.splice(entries_.begin(), entries_, found);
  Entry& entry = entries_.front();
  if (!entry.captured) {
    try {
      entry.captured = Capture(inputs, function);
    } catch (const c10::OutOfMemoryError&) {
      // Capture needs more than the call itself, whose memory is free again when it ends.
      entries_.clear();
      return run_directly();
    }
  }
  CapturedGraph& captured = *entry.captured;
  for (size_t i = 0; i < inputs.size(); ++i) captured.inputs[i].copy_(inputs[i]);
  captured.graph.replay();
  Tensors results;
  for (const at::Tensor& output : captured.outputs) results.push_back(output.clone());
  return results;
}

std::unique_ptr<DeviceGraphs::CapturedGraph> DeviceGraphs::Capture(const Tensors& inputs,
                                                                   const Function& function) {
  auto captured = std::make_unique<CapturedGraph>();
  for (const at::Tensor& input : inputs) {
    // Dense, whatever the layout of the inputs of this call.
    captured->inputs.push_back(at::empty(input.sizes(), input.options().device(device_)).copy_(input));
  }
  // What the default stream still computes is about to be read on another.
  at::accelerator::synchronizeDevice(device_.index());
  const c10::impl::VirtualGuardImpl device_streams(device_.type());
  const c10::StreamGuard on_side_stream(device_streams.getStreamFromGlobalPool(device_));
  for (int run = 0; run < kWarmUpRuns; ++run) function(captured->inputs);
  at::accelerator::synchronizeDevice(device_.index());
  // Graphs are replayed one after the other and their results copied at once, so that all may share
  // memory.
  const auto other = std::find_if(entries_.begin(), entries_.end(),
                                  [](const Entry& entry) { return entry.captured != nullptr; });
  const at::MempoolId_t pool =
      other == entries_.end() ? at::MempoolId_t{0, 0} : other->captured->graph.pool();
  // Other threads may ask the device for memory meanwhile.
  captured->graph.capture_begin(pool, at::GraphCaptureMode::ThreadLocal);
  try {
    captured->outputs = function(captured->inputs);
  } catch (...) {
    // A stream that goes on capturing would fail every later call. What ended the capture counts, not what
    // ending it says.
    try {
      captured->graph.capture_end();
    } catch (const c10::Error&) {
    }
    throw;
  }
  captured->graph.capture_end();
  return captured;
}

}  // namespace sam3_tracker
