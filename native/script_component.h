// A TorchScript file with its weights bound: one of the three parts of the tracker.
#pragma once

#include <torch/csrc/jit/api/module.h>

#include <string>
#include <vector>

#include "weight_store.h"

namespace sam3_tracker {

class ScriptComponent {
 public:
  // Loads a graph and binds the weights of `store` to its empty parameters; those that the archive holds
  // itself are moved to the device and the dtype. Throws Sam3Error: kFileNotFound, kFileInvalid,
  // kWeightsMissing, kWeightsShape.
  ScriptComponent(const std::string& path, WeightStore* store, const c10::Device& device,
                  c10::ScalarType dtype);

  // Runs a method. Throws kConfigMismatch where the graph has none of that name.
  c10::IValue Run(const std::string& method, std::vector<c10::IValue> arguments);

  int64_t parameter_count() const { return parameter_count_; }
  // Bytes of weights that are not a mapped file's.
  int64_t owned_bytes() const { return owned_bytes_; }

 private:
  void Bind(WeightStore* store, const c10::Device& device, c10::ScalarType dtype);

  std::string path_;
  torch::jit::Module module_;
  int64_t parameter_count_ = 0;
  int64_t owned_bytes_ = 0;
};

}  // namespace sam3_tracker
