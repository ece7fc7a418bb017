#include "runtime/dtype.h"

#include <c10/util/BFloat16.h>
#include <c10/util/Half.h>

#include <array>

#include "runtime/error.h"

namespace sam3_tracker {
namespace {

using c10::ScalarType;

constexpr std::array<DTypeEntry, 10> kDTypes = {{
    {"float32", ScalarType::Float, 4, "F32"},
    {"float16", ScalarType::Half, 2, "F16"},
    {"bfloat16", ScalarType::BFloat16, 2, "BF16"},
    {"float64", ScalarType::Double, 8, "F64"},
    {"int64", ScalarType::Long, 8, "I64"},
    {"int32", ScalarType::Int, 4, "I32"},
    {"int16", ScalarType::Short, 2, "I16"},
    {"int8", ScalarType::Char, 1, "I8"},
    {"uint8", ScalarType::Byte, 1, "U8"},
    {"bool", ScalarType::Bool, 1, "BOOL"},
}};

static_assert(sizeof(c10::Half) == 2 && sizeof(c10::BFloat16) == 2 && sizeof(bool) == 1 && sizeof(float) == 4,
              "the table's sizes are those of the types");

}  // namespace

const DTypeEntry& DTypeFromName(const std::string& name) {
  for (const DTypeEntry& entry : kDTypes) {
    if (name == entry.name) return entry;
  }
  throw Sam3Error(ErrorCode::kInvalidArgument, "unknown dtype \"" + name + "\"");
}

const DTypeEntry& DTypeFromScalarType(c10::ScalarType type) {
  for (const DTypeEntry& entry : kDTypes) {
    if (type == entry.scalar_type) return entry;
  }
  throw Sam3Error(ErrorCode::kInvalidArgument,
                  std::string("a tensor of type ") + c10::toString(type) + " has no form in JavaScript");
}

}  // namespace sam3_tracker
