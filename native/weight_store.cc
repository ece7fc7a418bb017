#include "weight_store.h"

#include "native_error.h"
#include "weight_names.h"

namespace sam3_tracker {

WeightStore::WeightStore(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    const std::shared_ptr<SafetensorsFile> file = SafetensorsFile::Open(path);
    for (const SafetensorsEntry& entry : file->entries()) {
      const std::optional<std::string> name = TrackerWeightName(entry.name);
      if (!name) continue;
      const auto [position, inserted] = weights_.emplace(*name, Location{file, &entry});
      if (!inserted) {
        throw Sam3Error(ErrorCode::kWeightsUnexpected, "The weight " + *name + " is there twice: as " +
                                                           position->second.entry->name + " in " +
                                                           position->second.file->path() + " and as " +
                                                           entry.name + " in " + path + ".");
      }
    }
  }
}

const SafetensorsEntry* WeightStore::Find(const std::string& name) const {
  const auto position = weights_.find(name);
  return position == weights_.end() ? nullptr : position->second.entry;
}

at::Tensor WeightStore::Get(const std::string& name, const c10::Device& device, c10::ScalarType dtype) {
  const auto position = weights_.find(name);
  if (position == weights_.end()) {
    throw Sam3Error(ErrorCode::kWeightsMissing, "The checkpoint has no weight " + name + ".");
  }
  used_.insert(name);
  return position->second.file->Tensor(*position->second.entry).to(device, dtype);
}

std::vector<std::string> WeightStore::Unused() const {
  std::vector<std::string> names;
  for (const auto& [name, location] : weights_) {
    if (used_.count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace sam3_tracker
