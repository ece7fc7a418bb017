// All weights of a checkpoint by their plain names, over one or several mapped files.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "safetensors.h"

namespace sam3_tracker {

class WeightStore {
 public:
  // Opens the files. Throws Sam3Error: kFileNotFound, kFileInvalid, kWeightsUnexpected for a name that two
  // weights map to.
  explicit WeightStore(const std::vector<std::string>& paths);

  // The weight on the device in the dtype: over the mapping where neither changes. Throws kWeightsMissing.
  at::Tensor Get(const std::string& name, const c10::Device& device, c10::ScalarType dtype);

  // nullptr where the checkpoint has no such weight.
  const SafetensorsEntry* Find(const std::string& name) const;

  // Names that are the tracker's by their spelling but that no graph asked for.
  std::vector<std::string> Unused() const;

 private:
  struct Location {
    std::shared_ptr<SafetensorsFile> file;
    const SafetensorsEntry* entry;
  };

  std::map<std::string, Location> weights_;
  std::set<std::string> used_;
};

}  // namespace sam3_tracker
