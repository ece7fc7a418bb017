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
// happen while recording.
constexpr int kWarmUpRuns = 3;

std::string KeyOf(const std::string& name, const RecordedCalls::Tensors& inputs) {
  std::ostringstream key;
  key << name;
  for (const at::Tensor& input : inputs) key << ' ' << input.scalar_type() << input.sizes();
  return key.str();
}

}  // namespace

struct RecordedCalls::Recording {
  Tensors inputs;
  at::accelerator::Graph graph;
  Tensors outputs;
};

RecordedCalls::RecordedCalls(const c10::Device& device) : device_(device) {}

RecordedCalls::~RecordedCalls() = default;

bool RecordedCalls::IsPossibleOn(const c10::Device& device) {
  return !device.is_cpu() && at::has_graph_impl(device.type());
}

RecordedCalls::Tensors RecordedCalls::Run(const std::string& name, const Tensors& inputs,
                                          const Function& function) {
  std::string key = KeyOf(name, inputs);
  const auto found =
      std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) { return entry.key == key; });
  const auto run_unrecorded = [&] {
    Tensors moved;
    for (const at::Tensor& input : inputs) moved.push_back(input.to(device_));
    return function(moved);
  };
  if (found == entries_.end()) {
    entries_.push_front({std::move(key), nullptr});
    if (entries_.size() > kMostEntries) entries_.pop_back();
    return run_unrecorded();
  }
  entries_.splice(entries_.begin(), entries_, found);
  Entry& entry = entries_.front();
  if (!entry.recording) {
    try {
      entry.recording = Record(inputs, function);
    } catch (const c10::OutOfMemoryError&) {
      // A recording needs more than the call itself, whose memory is free again when it ends.
      entries_.clear();
      return run_unrecorded();
    }
  }
  Recording& recording = *entry.recording;
  for (size_t i = 0; i < inputs.size(); ++i) recording.inputs[i].copy_(inputs[i]);
  recording.graph.replay();
  Tensors results;
  for (const at::Tensor& output : recording.outputs) results.push_back(output.clone());
  return results;
}

std::unique_ptr<RecordedCalls::Recording> RecordedCalls::Record(const Tensors& inputs,
                                                                const Function& function) {
  auto recording = std::make_unique<Recording>();
  for (const at::Tensor& input : inputs) {
    // Dense, whatever the layout of the inputs of this call.
    recording->inputs.push_back(at::empty(input.sizes(), input.options().device(device_)).copy_(input));
  }
  // What the default stream still computes is about to be read on another.
  at::accelerator::synchronizeDevice(device_.index());
  const c10::impl::VirtualGuardImpl device_streams(device_.type());
  const c10::StreamGuard on_side_stream(device_streams.getStreamFromGlobalPool(device_));
  for (int run = 0; run < kWarmUpRuns; ++run) function(recording->inputs);
  at::accelerator::synchronizeDevice(device_.index());
  // Recordings are replayed one after the other and their results copied at once, so that all may share
  // memory.
  const auto other = std::find_if(entries_.begin(), entries_.end(),
                                  [](const Entry& entry) { return entry.recording != nullptr; });
  const at::MempoolId_t pool =
      other == entries_.end() ? at::MempoolId_t{0, 0} : other->recording->graph.pool();
  // Other threads may ask the device for memory meanwhile.
  recording->graph.capture_begin(pool, at::GraphCaptureMode::ThreadLocal);
  try {
    recording->outputs = function(recording->inputs);
  } catch (...) {
    // A stream that goes on recording would fail every later call. What ended the recording counts, not what
    // ending it says.
    try {
      recording->graph.capture_end();
    } catch (const c10::Error&) {
    }
    throw;
  }
  recording->graph.capture_end();
  return recording;
}

}  // namespace sam3_tracker
