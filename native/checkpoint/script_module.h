// A TorchScript file with its weights bound: one of the three parts of the tracker.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <utility>
#include <vector>

#include "checkpoint/weight_store.h"

namespace sam3_tracker {

// What keeps weights from being bound, over all components of a model.
struct BindingProblems {
  std::vector<std::string> missing;
  // With the shapes of either side.
  std::vector<std::string> misshapen;
  // Whether the files have nothing of the tracker's mask decoder: then they are another model's.
  bool is_without_decoder = false;

  // Throws Sam3Error kWeightsMissing or kWeightsShape that names the weights; returns where there are none.
  void Throw() const;
};

class ScriptModule {
 public:
  // Loads a graph and binds the weights of `store` to its empty parameters; those that the archive holds
  // itself are moved to the store's device and dtype unless it has them too. Weights that cannot be bound
  // are added to `problems`: the module is of no use then. Throws Sam3Error: kFileNotFound, kFileInvalid.
  ScriptModule(const std::string& path, WeightStore* store, BindingProblems* problems);

  // The same graph with its weights on the device of `upload` and in the dtype; what need not change is
  // shared.
  ScriptModule ConvertedTo(WeightUpload* upload, c10::ScalarType dtype) const;

  // Runs a method. Throws kConfigMismatch where the graph has none of that name.
  c10::IValue Run(const std::string& method, std::vector<c10::IValue> arguments);

  // Parameters and buffers by transformers' names.
  std::vector<std::pair<std::string, at::Tensor>> weights() const;

  int64_t parameter_count() const;
  // Bytes of weights that are not a mapped file's.
  int64_t owned_bytes() const;

 private:
  // One parameter or buffer of the module.
  struct Slot {
    std::string name;
    at::Tensor tensor;
    bool is_parameter;
    bool is_mapped;
  };

  ScriptModule(std::string path, torch::jit::Module module, std::vector<Slot> slots);

  std::string path_;
  torch::jit::Module module_;
  std::vector<Slot> slots_;
};

}  // namespace sam3_tracker
