// What lib/checkpoint/safetensors.ts reads from a header, for tests of native code: of files that are right
// and whose headers have no white space in their entries.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "checkpoint/safetensors_file.h"

namespace sam3_tracker {

inline std::vector<int64_t> ReadIntegers(const std::string& text) {
  std::vector<int64_t> integers;
  std::istringstream stream(text);
  for (std::string item; std::getline(stream, item, ',');) integers.push_back(std::stoll(item));
  return integers;
}

inline SafetensorsTable ReadTable(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  uint64_t header_bytes = 0;
  file.read(reinterpret_cast<char*>(&header_bytes), sizeof(header_bytes));
  std::string header(header_bytes, '\0');
  file.read(header.data(), static_cast<std::streamsize>(header.size()));
  const int64_t data_start = static_cast<int64_t>(sizeof(header_bytes) + header_bytes);
  SafetensorsTable table{path, file.seekg(0, std::ios::end).tellg(), {}};
  static const std::map<std::string, c10::ScalarType> dtypes = {
      {"F32", c10::kFloat}, {"F16", c10::kHalf}, {"BF16", c10::kBFloat16}, {"I64", c10::kLong}};
  size_t at = 0;
  const auto next = [&](const char* before, char after) {
    at = header.find(before, at) + std::strlen(before);
    return header.substr(at, header.find(after, at) - at);
  };
  while ((at = header.find(R"(":{"dtype":)", at)) != std::string::npos) {
    const size_t name = header.rfind('"', at - 1) + 1;
    SafetensorsEntry entry{header.substr(name, at - name), dtypes.at(next(R"("dtype":")", '"')), {}};
    entry.shape = ReadIntegers(next(R"("shape":[)", ']'));
    const std::vector<int64_t> offsets = ReadIntegers(next("[", ']'));
    entry.begin = data_start + offsets[0];
    entry.end = data_start + offsets[1];
    table.entries.push_back(entry);
  }
  return table;
}

}  // namespace sam3_tracker
