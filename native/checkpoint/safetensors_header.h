// The header of a safetensors file: a JSON object of one fixed form, read strictly, since the file may come
// from anywhere.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace sam3_tracker {

struct SafetensorsEntry {
  std::string name;
  // As the file has it: F32, BF16, ..., or one that FindSafetensorsDType does not know.
  std::string dtype;
  std::vector<int64_t> shape;
  // Bytes from the start of the data section; checked against its size, the shape and the other entries.
  uint64_t begin = 0;
  uint64_t end = 0;
};

// Parses the JSON text of a header and checks that shapes are not negative and do not overflow, that each
// range holds exactly its elements, that names are unique, and that the ranges cover `data_bytes` without gap
// or overlap, as the format demands. Of a dtype that the format may have and this package has not (another
// part of a checkpoint may be quantized) the size of an element is not known, and its range alone is checked.
// Entries come in the order of their ranges. Throws std::runtime_error with what is wrong.
std::vector<SafetensorsEntry> ParseSafetensorsHeader(std::string_view json, uint64_t data_bytes);

}  // namespace sam3_tracker
