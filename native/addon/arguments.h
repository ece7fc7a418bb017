// Reads arguments of the functions that lib/native/binding.ts describes. A missing or wrong one is a bug of
// the wrapper: it throws a TypeError with its name, and there are no defaults.
#pragma once

#include <ATen/core/Tensor.h>
#include <c10/core/Device.h>
#include <napi.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace sam3_tracker {

void Read(const Napi::Value& value, const std::string& name, bool* result);
void Read(const Napi::Value& value, const std::string& name, double* result);
// Throws for a number that is no integer of at most 2^53.
void Read(const Napi::Value& value, const std::string& name, int64_t* result);
void Read(const Napi::Value& value, const std::string& name, std::string* result);
// [height, width].
void Read(const Napi::Value& value, const std::string& name, std::array<int64_t, 2>* result);
// [x1, y1, x2, y2].
void Read(const Napi::Value& value, const std::string& name, std::array<int64_t, 4>* result);
void Read(const Napi::Value& value, const std::string& name, at::Tensor* result);
// A Uint32Array.
void Read(const Napi::Value& value, const std::string& name, std::vector<uint32_t>* result);
Napi::Array ReadArray(const Napi::Value& value, const std::string& name);

template <typename T>
void Read(const Napi::Value& value, const std::string& name, std::vector<T>* result) {
  const Napi::Array array = ReadArray(value, name);
  result->resize(array.Length());
  for (uint32_t i = 0; i < array.Length(); ++i) Read(array.Get(i), name, &(*result)[i]);
}

// null gives an empty optional.
template <typename T>
void Read(const Napi::Value& value, const std::string& name, std::optional<T>* result) {
  result->reset();
  if (!value.IsNull()) Read(value, name, &result->emplace());
}

template <typename T>
T As(const Napi::Value& value, const std::string& name) {
  T result{};
  Read(value, name, &result);
  return result;
}

// The fields of an options object, each by its one name.
class Fields {
 public:
  explicit Fields(const Napi::Value& value, const std::string& name = "options");

  // Types of this namespace are read by an overload of Read beside them.
  template <typename T>
  T Get(const char* name) const {
    return As<T>(object_.Get(name), name);
  }
  Napi::Value Value(const char* name) const { return object_.Get(name); }
  // The fields `device` and `dtype`.
  c10::Device Device() const;
  c10::ScalarType DType() const;

 private:
  Napi::Object object_;
};

}  // namespace sam3_tracker
