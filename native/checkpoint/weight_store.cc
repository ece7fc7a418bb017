#include "checkpoint/weight_store.h"

#include <ATen/CPUGeneratorImpl.h>
#include <ATen/Functions.h>

#include <utility>

#include "runtime/error.h"

namespace sam3_tracker {

WeightStore::WeightStore(const std::vector<SafetensorsTable>& tables, const c10::Device& device,
                         c10::ScalarType dtype)
    : upload_(device), dtype_(dtype) {
  for (const SafetensorsTable& table : tables) {
    const std::shared_ptr<SafetensorsFile> file = SafetensorsFile::Open(table);
    for (const SafetensorsEntry& entry : file->entries()) {
      if (!weights_.emplace(entry.name, Location{file, &entry}).second) {
        throw Sam3Error(ErrorCode::kWeightsUnexpected, "The weight " + entry.name + " is there twice.");
      }
    }
  }
}

WeightStore::WeightStore(RandomWeights random, const c10::Device& device, c10::ScalarType dtype)
    : random_(std::move(random)),
      generator_(at::detail::createCPUGenerator(random_.seed)),
      upload_(device),
      dtype_(dtype) {}

const std::vector<int64_t>* WeightStore::FindShape(const std::string& name) const {
  if (const auto position = weights_.find(name); position != weights_.end()) {
    return &position->second.entry->shape;
  }
  const auto position = random_.weights.find(name);
  return position == random_.weights.end() ? nullptr : &position->second.shape;
}

Weight WeightStore::Get(const std::string& name) {
  used_.insert(name);
  if (const auto position = weights_.find(name); position != weights_.end()) {
    const auto& [file, entry] = position->second;
    const at::Tensor tensor = upload_.Place(file->Tensor(*entry), dtype_);
    const bool is_mapped = file->Maps(tensor);
    // What has been copied is not read again: a process that converts or uploads holds one copy, not two.
    if (!is_mapped) file->Release(*entry);
    return {tensor, is_mapped};
  }
  const auto position = random_.weights.find(name);
  if (position == random_.weights.end()) {
    throw Sam3Error(ErrorCode::kWeightsMissing, "The checkpoint has no weight " + name + ".");
  }
  return {upload_.Place(Draw(position->second), dtype_), false};
}

at::Tensor WeightStore::Place(const at::Tensor& weight) {
  return upload_.Place(weight, weight.is_floating_point() ? dtype_ : weight.scalar_type());
}

at::Tensor WeightStore::Draw(const RandomWeight& weight) {
  at::Tensor tensor = at::full(weight.shape, weight.mean, at::kFloat);
  return weight.standard_deviation == 0 ? tensor
                                        : tensor.normal_(weight.mean, weight.standard_deviation, generator_);
}

std::vector<std::string> WeightStore::Unused() const {
  std::vector<std::string> names;
  for (const auto& [name, location] : weights_) {
    if (used_.count(name) == 0) names.push_back(name);
  }
  for (const auto& [name, weight] : random_.weights) {
    if (used_.count(name) == 0) names.push_back(name);
  }
  return names;
}

}  // namespace sam3_tracker
