#include "checkpoint/script_module.h"

#include <torch/csrc/jit/serialization/import.h>

#include <filesystem>
#include <sstream>
#include <utility>

#include "runtime/dtype.h"
#include "runtime/error.h"

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

void BindingProblems::Throw() const {
  if (!missing.empty()) {
    std::string message = "The checkpoint misses " + std::to_string(missing.size()) +
                          " weights that the graphs need: " + NameList(missing) + ".";
    if (is_without_decoder) {
      message +=
          " It has nothing of the tracker's mask decoder, so it is another model's, or SAM3's detector "
          "alone; "
          "facebook/sam3's model.safetensors holds the tracker beside the detector.";
    }
    throw Sam3Error(ErrorCode::kWeightsMissing, message);
  }
  if (!misshapen.empty()) {
    throw Sam3Error(ErrorCode::kWeightsShape,
                    "The weights do not fit the graphs: " + NameList(misshapen) + ".");
  }
}

ScriptModule::ScriptModule(const std::string& path, WeightStore* store, BindingProblems* problems)
    : path_(path), module_(LoadGraph(path)) {
  module_.eval();
  const auto bind = [&](torch::jit::Module owner, const std::string& prefix, const std::string& attribute,
                        const at::Tensor& tensor, bool is_parameter) {
    const std::string name = prefix.empty() ? attribute : prefix + "." + attribute;
    const std::vector<int64_t>* stored = store->FindShape(name);
    Weight weight;
    if (stored != nullptr) {
      const c10::IntArrayRef shape = IsUnbound(tensor) ? tensor.sizes().slice(1) : tensor.sizes();
      if (shape != c10::IntArrayRef(*stored)) {
        problems->misshapen.push_back(name + " (" + ShapeText(*stored) + " in the file, " + ShapeText(shape) +
                                      " in the graph)");
        return;
      }
      weight = store->Get(name);
    } else if (IsUnbound(tensor)) {
      problems->missing.push_back(name);
      return;
    } else {
      weight = {store->Place(tensor.detach()), false};
    }
    owner.setattr(attribute, weight.tensor);
    slots_.push_back({name, weight.tensor, is_parameter, weight.is_mapped});
  };
  for (const auto& owner : module_.named_modules()) {
    for (const auto& parameter : owner.value.named_parameters(/*recurse=*/false)) {
      bind(owner.value, owner.name, parameter.name, parameter.value, true);
    }
    for (const auto& buffer : owner.value.named_buffers(/*recurse=*/false)) {
      bind(owner.value, owner.name, buffer.name, buffer.value, false);
    }
  }
}

ScriptModule::ScriptModule(std::string path, torch::jit::Module module, std::vector<Slot> slots)
    : path_(std::move(path)), module_(std::move(module)), slots_(std::move(slots)) {}

ScriptModule ScriptModule::ConvertedTo(WeightUpload* upload, c10::ScalarType dtype) const {
  // A deep copy that already knows the copies of all weights: it copies the tree of modules alone.
  c10::IValue::HashIdentityIValueMap copies;
  std::vector<Slot> slots = slots_;
  for (Slot& slot : slots) {
    const at::Tensor converted = upload->Place(
        slot.tensor.detach(), slot.tensor.is_floating_point() ? dtype : slot.tensor.scalar_type());
    copies.emplace(slot.tensor, converted);
    slot.is_mapped = slot.is_mapped && converted.is_alias_of(slot.tensor);
    slot.tensor = converted;
  }
  return {path_, torch::jit::Module(module_._ivalue()->deepcopy(copies)), std::move(slots)};
}

std::vector<std::pair<std::string, at::Tensor>> ScriptModule::weights() const {
  std::vector<std::pair<std::string, at::Tensor>> weights;
  for (const Slot& slot : slots_) weights.emplace_back(slot.name, slot.tensor);
  return weights;
}

int64_t ScriptModule::parameter_count() const {
  int64_t count = 0;
  for (const Slot& slot : slots_) count += slot.is_parameter ? slot.tensor.numel() : 0;
  return count;
}

int64_t ScriptModule::owned_bytes() const {
  int64_t bytes = 0;
  for (const Slot& slot : slots_) bytes += slot.is_mapped ? 0 : static_cast<int64_t>(slot.tensor.nbytes());
  return bytes;
}

c10::IValue ScriptModule::Run(const std::string& method, std::vector<c10::IValue> arguments) {
  const c10::optional<torch::jit::Method> found = module_.find_method(method);
  if (!found) {
    throw Sam3Error(ErrorCode::kConfigMismatch,
                    "The graph " + path_ + " has no method " + method +
                        ": export the model again with this version's export_model.py.");
  }
  return (*found)(std::move(arguments));
}

}  // namespace sam3_tracker
