#include "addon/operator_functions.h"

#include <ATen/ScalarOps.h>
#include <ATen/core/jit_type.h>

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/promise_job.h"
#include "addon/tensor_object.h"
#include "runtime/operators.h"

namespace sam3_tracker {
namespace {

bool IsScalar(const Napi::Value& value) { return value.IsNumber() || value.IsBoolean() || value.IsBigInt(); }

// JavaScript has one kind of number: whole ones are integers, as in torch's type promotion; -0 is a float.
c10::Scalar ReadScalar(const Napi::Value& value, const std::string& name) {
  if (value.IsBoolean()) return value.As<Napi::Boolean>().Value();
  if (value.IsBigInt()) {
    bool lossless = false;
    const int64_t integer = value.As<Napi::BigInt>().Int64Value(&lossless);
    if (lossless) return integer;
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected an integer of 64 bits for " + name + ".");
  }
  const auto number = As<double>(value, name);
  const bool is_integer = std::abs(number) <= 9007199254740992.0 && number == std::trunc(number) &&
                          !(number == 0 && std::signbit(number));
  return is_integer ? c10::Scalar(static_cast<int64_t>(number)) : c10::Scalar(number);
}

c10::IValue ReadAs(const c10::Type& type, const Napi::Value& value, const std::string& name) {
  switch (type.kind()) {
    case c10::TypeKind::OptionalType:
      if (value.IsNull()) return {};
      return ReadAs(*type.expectRef<c10::OptionalType>().getElementType(), value, name);
    case c10::TypeKind::TensorType:
      // Marked as a number, it does not decide the result's dtype.
      if (IsScalar(value)) return at::native::wrapped_scalar_tensor(ReadScalar(value, name));
      return As<at::Tensor>(value, name);
    case c10::TypeKind::NumberType:
      return ReadScalar(value, name);
    case c10::TypeKind::IntType:
      return As<int64_t>(value, name);
    case c10::TypeKind::FloatType:
      return As<double>(value, name);
    case c10::TypeKind::BoolType:
      return As<bool>(value, name);
    case c10::TypeKind::ListType:
      if (type.expectRef<c10::ListType>().getElementType()->kind() == c10::TypeKind::TensorType)
        return As<std::vector<at::Tensor>>(value, name);
      return As<std::vector<int64_t>>(value, name);
    default:
      throw Sam3Error(ErrorCode::kInvalidArgument, "The argument " + name + " cannot be given.");
  }
}

// All arguments in the schema's order, with its defaults; `self` may be given apart.
std::vector<c10::IValue> ReadArguments(const c10::FunctionSchema& schema, const Napi::Value& value,
                                       const at::Tensor* self) {
  const Fields fields(value, "arguments");
  std::vector<c10::IValue> arguments;
  for (const c10::Argument& argument : schema.arguments()) {
    const Napi::Value given = fields.Value(argument.name().c_str());
    if (self != nullptr && arguments.empty()) {
      arguments.emplace_back(*self);
    } else if (given.IsUndefined() && argument.default_value()) {
      arguments.push_back(*argument.default_value());
    } else {
      arguments.push_back(ReadAs(*argument.type(), given, argument.name()));
    }
  }
  return arguments;
}

}  // namespace

at::Tensor ViewOf(const at::Tensor& tensor, const Napi::Value& steps) {
  at::Tensor view = tensor;
  const Napi::Array list = ReadArray(steps, "steps");
  for (uint32_t i = 0; i < list.Length(); ++i) {
    const Napi::Array step = ReadArray(list.Get(i), "steps");
    const c10::OperatorHandle& op = FindOperator(As<std::string>(step.Get(0u), "operator"));
    if (!IsView(op)) throw Sam3Error(ErrorCode::kInvalidArgument, "Expected an operator that makes a view.");
    view = CallOperator(op, ReadArguments(op.schema(), step.Get(1u), &view)).at(0);
  }
  return view;
}

Napi::Value CallOperatorJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const c10::OperatorHandle& op = FindOperator(As<std::string>(info[0], "operator"));
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [&op, arguments = ReadArguments(op.schema(), info[1], nullptr)]() mutable {
          return CallOperator(op, std::move(arguments));
        },
        [](Napi::Env job_env, std::vector<at::Tensor>&& results) {
          return TensorObject::WrapList(job_env, results);
        });
  });
}

}  // namespace sam3_tracker
