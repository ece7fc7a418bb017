// The one table of element types: the name in JavaScript, torch's type, the size, the name in safetensors.
#pragma once

#include <c10/core/ScalarType.h>

#include <string>

namespace sam3_tracker {

struct DTypeEntry {
  const char* name;
  c10::ScalarType scalar_type;
  size_t bytes;
  // The name in a safetensors header.
  const char* safetensors_name;
};

// Throws Sam3Error(kInvalidArgument) for an unknown name.
const DTypeEntry& DTypeFromName(const std::string& name);

// Throws Sam3Error(kInvalidArgument) for a type that has no JavaScript form.
const DTypeEntry& DTypeFromScalarType(c10::ScalarType type);

}  // namespace sam3_tracker
