#include "runtime/operators.h"

#include <string_view>
#include <unordered_map>

#include "runtime/error.h"

namespace sam3_tracker {
namespace {

constexpr const char* kNames[] = {
    // Views.
    "flatten.using_ints", "permute", "reshape", "select.int", "slice.Tensor", "squeeze.dims", "transpose.int",
    "unsqueeze", "view",
    // Element by element.
    "add.Tensor", "clamp", "clone", "div.Tensor", "eq.Tensor", "ge.Tensor", "gt.Tensor", "le.Tensor",
    "lt.Tensor", "mul.Tensor", "ne.Tensor", "neg", "remainder.Tensor", "round", "sigmoid", "sub.Tensor",
    // Along axes.
    "argmax", "argmin", "linalg_vector_norm", "max", "max.dim", "mean.dim", "min", "min.dim", "softmax.int",
    "std_mean.correction", "sum.dim_IntList", "topk",
    // Several tensors, or another size.
    "_upsample_bicubic2d_aa", "_upsample_bilinear2d_aa", "_upsample_nearest_exact2d", "cat", "matmul",
    "repeat", "stack", "tile", "upsample_bicubic2d", "upsample_bilinear2d", "upsample_nearest2d"};

using Handles = std::unordered_map<std::string, c10::OperatorHandle>;

Handles FindAll() {
  Handles handles;
  for (const std::string_view name : kNames) {
    const size_t dot = name.find('.');
    const std::string overload(dot == std::string_view::npos ? "" : name.substr(dot + 1));
    handles.emplace(name, c10::Dispatcher::singleton().findSchemaOrThrow(
                              ("aten::" + std::string(name.substr(0, dot))).c_str(), overload.c_str()));
  }
  return handles;
}

}  // namespace

const c10::OperatorHandle& FindOperator(const std::string& name) {
  static const Handles handles = FindAll();
  const auto found = handles.find(name);
  if (found == handles.end()) {
    throw Sam3Error(ErrorCode::kInvalidArgument,
                    "Expected an operator that tensors have but received " + name + ".");
  }
  return found->second;
}

bool IsView(const c10::OperatorHandle& op) { return op.schema().returns().at(0).alias_info() != nullptr; }

std::vector<at::Tensor> CallOperator(const c10::OperatorHandle& op, std::vector<c10::IValue> arguments) {
  try {
    op.callBoxed(&arguments);
  } catch (...) {
    const NativeError error = DescribeCurrentException();
    if (error.code != ErrorCode::kNativeError) throw Sam3Error(error.code, error.message);
    throw Sam3Error(ErrorCode::kInvalidArgument, error.message);
  }
  // callBoxed leaves the results in the place of the arguments.
  std::vector<at::Tensor> results;
  results.reserve(arguments.size());
  for (c10::IValue& value : arguments) results.push_back(std::move(value).toTensor());
  return results;
}

}  // namespace sam3_tracker
