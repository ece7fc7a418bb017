#include "addon/arguments.h"

#include <algorithm>
#include <cmath>

#include "addon/tensor_object.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

namespace sam3_tracker {
namespace {

Napi::TypeError Wrong(const Napi::Value& value, const char* what, const std::string& name) {
  return Napi::TypeError::New(value.Env(), std::string("Expected ") + what + " for " + name + ".");
}

template <size_t kLength>
void ReadIntegers(const Napi::Value& value, const std::string& name, const char* what,
                  std::array<int64_t, kLength>* result) {
  const auto list = As<std::vector<int64_t>>(value, name);
  if (list.size() != kLength) throw Wrong(value, what, name);
  std::copy(list.begin(), list.end(), result->begin());
}

}  // namespace

void Read(const Napi::Value& value, const std::string& name, bool* result) {
  if (!value.IsBoolean()) throw Wrong(value, "a boolean", name);
  *result = value.As<Napi::Boolean>().Value();
}

void Read(const Napi::Value& value, const std::string& name, double* result) {
  if (!value.IsNumber()) throw Wrong(value, "a number", name);
  *result = value.As<Napi::Number>().DoubleValue();
}

void Read(const Napi::Value& value, const std::string& name, int64_t* result) {
  const auto number = As<double>(value, name);
  if (!(std::abs(number) <= 9007199254740992.0) || number != std::trunc(number)) {
    throw Wrong(value, "an integer", name);
  }
  *result = static_cast<int64_t>(number);
}

void Read(const Napi::Value& value, const std::string& name, std::string* result) {
  if (!value.IsString()) throw Wrong(value, "a string", name);
  *result = value.As<Napi::String>().Utf8Value();
}

void Read(const Napi::Value& value, const std::string& name, std::array<int64_t, 2>* result) {
  ReadIntegers(value, name, "[height, width]", result);
}

void Read(const Napi::Value& value, const std::string& name, std::array<int64_t, 4>* result) {
  ReadIntegers(value, name, "[x1, y1, x2, y2]", result);
}

void Read(const Napi::Value& value, const std::string& name, at::Tensor* result) {
  *result = TensorObject::FromValue(value, name);
}

void Read(const Napi::Value& value, const std::string& name, std::vector<uint32_t>* result) {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != napi_uint32_array)
    throw Wrong(value, "a Uint32Array", name);
  const auto array = value.As<Napi::Uint32Array>();
  result->assign(array.Data(), array.Data() + array.ElementLength());
}

Napi::Array ReadArray(const Napi::Value& value, const std::string& name) {
  if (!value.IsArray()) throw Wrong(value, "an array", name);
  return value.As<Napi::Array>();
}

Fields::Fields(const Napi::Value& value, const std::string& name) {
  if (!value.IsObject()) throw Wrong(value, "an object", name);
  object_ = value.As<Napi::Object>();
}

c10::Device Fields::Device() const { return ParseDevice(Get<std::string>("device")); }

c10::ScalarType Fields::DType() const { return DTypeFromName(Get<std::string>("dtype")).scalar_type; }

}  // namespace sam3_tracker
