#include "addon/arguments.h"

#include <cmath>

#include "addon/tensor_object.h"

namespace sam3_tracker {
namespace {

Napi::TypeError Wrong(const Napi::Value& value, const char* what, const std::string& name) {
  return Napi::TypeError::New(value.Env(), std::string("Expected ") + what + " for " + name + ".");
}

}  // namespace

bool AsBool(const Napi::Value& value, const std::string& name) {
  if (!value.IsBoolean()) throw Wrong(value, "a boolean", name);
  return value.As<Napi::Boolean>().Value();
}

double AsDouble(const Napi::Value& value, const std::string& name) {
  if (!value.IsNumber()) throw Wrong(value, "a number", name);
  return value.As<Napi::Number>().DoubleValue();
}

int64_t AsInt64(const Napi::Value& value, const std::string& name) {
  const double number = AsDouble(value, name);
  if (!(std::abs(number) <= 9007199254740992.0) || number != std::trunc(number)) {
    throw Wrong(value, "a whole number", name);
  }
  return static_cast<int64_t>(number);
}

std::string AsString(const Napi::Value& value, const std::string& name) {
  if (!value.IsString()) throw Wrong(value, "a string", name);
  return value.As<Napi::String>().Utf8Value();
}

Napi::Object AsObject(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) throw Wrong(value, "an object", name);
  return value.As<Napi::Object>();
}

Napi::Array AsArray(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw Wrong(value, "an array", name);
  return value.As<Napi::Array>();
}

std::vector<int64_t> AsInt64List(const Napi::Value& value, const std::string& name) {
  const Napi::Array array = AsArray(value, name);
  std::vector<int64_t> list(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) list[i] = AsInt64(array.Get(i), name);
  return list;
}

std::vector<double> AsDoubleList(const Napi::Value& value, const std::string& name) {
  const Napi::Array array = AsArray(value, name);
  std::vector<double> list(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) list[i] = AsDouble(array.Get(i), name);
  return list;
}

std::vector<std::string> AsStringList(const Napi::Value& value, const std::string& name) {
  const Napi::Array array = AsArray(value, name);
  std::vector<std::string> list(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) list[i] = AsString(array.Get(i), name);
  return list;
}

std::array<int64_t, 2> AsSize(const Napi::Value& value, const std::string& name) {
  const std::vector<int64_t> list = AsInt64List(value, name);
  if (list.size() != 2) throw Wrong(value, "[height, width]", name);
  return {list[0], list[1]};
}

std::optional<at::Tensor> AsOptionalTensor(const Napi::Value& value, const std::string& name) {
  if (value.IsNull()) return std::nullopt;
  return TensorObject::FromValue(value, name);
}

std::vector<at::Tensor> AsTensorList(const Napi::Value& value, const std::string& name) {
  const Napi::Array array = AsArray(value, name);
  std::vector<at::Tensor> list;
  list.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) list.push_back(TensorObject::FromValue(array.Get(i), name));
  return list;
}

}  // namespace sam3_tracker
