// Reads the filled options objects that lib/native/binding.ts describes: a missing or wrong field is a bug of
// the wrapper and throws a TypeError with the field's name, never a default.
#pragma once

#include <ATen/core/Tensor.h>
#include <napi.h>

#include <array>
#include <optional>
#include <string>
#include <vector>

namespace sam3_tracker {

bool AsBool(const Napi::Value& value, const std::string& name);
double AsDouble(const Napi::Value& value, const std::string& name);
// Throws for a number that is no whole number of at most 2^53.
int64_t AsInt64(const Napi::Value& value, const std::string& name);
std::string AsString(const Napi::Value& value, const std::string& name);
Napi::Object AsObject(const Napi::Value& value, const std::string& name);
Napi::Array AsArray(const Napi::Value& value, const std::string& name);
std::vector<int64_t> AsInt64List(const Napi::Value& value, const std::string& name);
std::vector<double> AsDoubleList(const Napi::Value& value, const std::string& name);
std::vector<std::string> AsStringList(const Napi::Value& value, const std::string& name);
// [height, width].
std::array<int64_t, 2> AsSize(const Napi::Value& value, const std::string& name);
// null gives an empty optional.
std::optional<at::Tensor> AsOptionalTensor(const Napi::Value& value, const std::string& name);
std::vector<at::Tensor> AsTensorList(const Napi::Value& value, const std::string& name);

}  // namespace sam3_tracker
