#include "script_component.h"

#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <sstream>
#include <utility>

#include "dtype.h"
#include "native_error.h"

namespace sam3_tracker {
namespace {

constexpr size_t kNamesShown = 8;

std::string ShapeText(c10::IntArrayRef shape) {
  std::ostringstream text;
  text << shape;
  return text.str();
}

std::string NameList(const std::vector<std::string>& names) {
  std::string text;
  for (size_t i = 0; i < names.size() && i < kNamesShown; ++i) text += (i == 0 ? "" : ", ") + names[i];
  if (names.size() > kNamesShown) text += " and " + std::to_string(names.size() - kNamesShown) + " more";
  return text;
}

// A parameter without its data: an empty tensor whose further dimensions say the shape to bind.
bool IsUnbound(const at::Tensor& tensor) { return tensor.dim() > 0 && tensor.size(0) == 0; }

torch::jit::Module LoadGraph(const std::string& path) {
  if (!std::filesystem::is_regular_file(path)) {
    throw Sam3Error(ErrorCode::kFileNotFound, "There is no TorchScript file " + path + ".");
  }
  try {
    return torch::jit::load(path, c10::Device(c10::kCPU));
  } catch (const std::exception&) {
    const NativeError error = DescribeCurrentException();
    throw Sam3Error(ErrorCode::kFileInvalid, path + " is not a readable TorchScript file: " + error.message);
  }
}

}  // namespace

ScriptComponent::ScriptComponent(const std::string& path, WeightStore* store, const c10::Device& device,
                                 c10::ScalarType dtype)
    : path_(path), module_(LoadGraph(path)) {
  module_.eval();
  Bind(store, device, dtype);
}

void ScriptComponent::Bind(WeightStore* store, const c10::Device& device, c10::ScalarType dtype) {
  std::vector<std::string> missing;
  std::vector<std::string> misshapen;
  const auto bind = [&](torch::jit::Module owner, const std::string& prefix, const std::string& attribute,
                        const at::Tensor& tensor, bool is_parameter) {
    const std::string name = prefix.empty() ? attribute : prefix + "." + attribute;
    if (!IsUnbound(tensor)) {
      const at::Tensor held =
          tensor.is_floating_point() ? tensor.detach().to(device, dtype) : tensor.detach().to(device);
      owner.setattr(attribute, held);
      if (is_parameter) parameter_count_ += held.numel();
      owned_bytes_ += static_cast<int64_t>(held.nbytes());
      return;
    }
    const SafetensorsEntry* entry = store->Find(name);
    if (entry == nullptr) {
      missing.push_back(name);
      return;
    }
    const c10::IntArrayRef shape = tensor.sizes().slice(1);
    if (shape != c10::IntArrayRef(entry->shape)) {
      misshapen.push_back(name + " (" + ShapeText(entry->shape) + " in the file, " + ShapeText(shape) +
                          " in the graph)");
      return;
    }
    const at::Tensor weight = store->Get(name, device, dtype);
    owner.setattr(attribute, weight);
    if (is_parameter) parameter_count_ += weight.numel();
    const bool mapped = device.is_cpu() && weight.nbytes() == entry->end - entry->begin &&
                        FindSafetensorsDType(entry->dtype)->scalar_type == dtype;
    if (!mapped) owned_bytes_ += static_cast<int64_t>(weight.nbytes());
  };
  for (const auto& owner : module_.named_modules()) {
    for (const auto& parameter : owner.value.named_parameters(/*recurse=*/false)) {
      bind(owner.value, owner.name, parameter.name, parameter.value, true);
    }
    for (const auto& buffer : owner.value.named_buffers(/*recurse=*/false)) {
      bind(owner.value, owner.name, buffer.name, buffer.value, false);
    }
  }
  if (!missing.empty()) {
    throw Sam3Error(ErrorCode::kWeightsMissing, "The checkpoint misses " + std::to_string(missing.size()) +
                                                    " weights that " + path_ +
                                                    " needs: " + NameList(missing) + ".");
  }
  if (!misshapen.empty()) {
    throw Sam3Error(ErrorCode::kWeightsShape,
                    "The weights do not fit the graph " + path_ + ": " + NameList(misshapen) + ".");
  }
}

c10::IValue ScriptComponent::Run(const std::string& method, std::vector<c10::IValue> arguments) {
  const c10::optional<torch::jit::Method> found = module_.find_method(method);
  if (!found) {
    throw Sam3Error(ErrorCode::kConfigMismatch,
                    "The graph " + path_ + " has no method " + method +
                        ": export the model again with this version's export_model.py.");
  }
  return (*found)(std::move(arguments));
}

}  // namespace sam3_tracker
