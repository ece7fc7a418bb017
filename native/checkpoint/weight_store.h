// All weights of a model by their plain names: over one or several mapped files, or random ones.
#pragma once

#include <ATen/core/Generator.h>
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "checkpoint/safetensors_file.h"
#include "checkpoint/weight_upload.h"

namespace sam3_tracker {

// How a new model's weight is drawn.
struct RandomWeight {
  std::vector<int64_t> shape;
  double mean;
  // 0 for a constant.
  double standard_deviation;
};

struct RandomWeights {
  uint64_t seed;
  std::map<std::string, RandomWeight> weights;
};

struct Weight {
  at::Tensor tensor;
  // Whether the tensor lies in the mapped file, so that this process owns no memory for it.
  bool is_mapped;
};

class WeightStore {
 public:
  // Opens the files of the tables; their weights are wanted on the device in the dtype. Throws Sam3Error:
  // kFileNotFound, kFileInvalid, kWeightsUnexpected for a name that stands twice.
  WeightStore(const std::vector<SafetensorsTable>& tables, const c10::Device& device, c10::ScalarType dtype);

  // Draws each weight when it is asked for, in float32 on the CPU: the same seed and the same order of asking
  // give the same weights on every device.
  WeightStore(RandomWeights random, const c10::Device& device, c10::ScalarType dtype);

  // The weight on the device in the dtype: over the mapping where neither changes. Throws kWeightsMissing.
  Weight Get(const std::string& name);

  // One that a graph holds itself: on the device, and in the dtype where it is a floating one.
  at::Tensor Place(const at::Tensor& weight);

  // nullptr where there is no such weight.
  const std::vector<int64_t>* FindShape(const std::string& name) const;

  // Names that are the tracker's by their spelling but that no graph asked for.
  std::vector<std::string> Unused() const;

 private:
  struct Location {
    std::shared_ptr<SafetensorsFile> file;
    const SafetensorsEntry* entry;
  };

  at::Tensor Draw(const RandomWeight& weight);

  std::map<std::string, Location> weights_;
  RandomWeights random_;
  at::Generator generator_;
  WeightUpload upload_;
  c10::ScalarType dtype_;
  std::set<std::string> used_;
};

}  // namespace sam3_tracker
