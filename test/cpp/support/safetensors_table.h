// What lib/checkpoint/safetensors.ts reads from a header, for tests of native code: of files that are right
// and whose headers have no white space in their entries.
#pragma once

#include <cstdint>
#include <fstream>
#include <map>
#include <regex>
#include <sstream>
#include <string>

#include "checkpoint/safetensors_file.h"

namespace sam3_tracker {

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
  static const std::regex entry(
      R"re("([^"]+)":\{"dtype":"(\w+)","shape":\[([\d,]*)\],"data_offsets":\[(\d+),(\d+)\]\})re");
  for (std::sregex_iterator match(header.begin(), header.end(), entry), end; match != end; ++match) {
    std::vector<int64_t> shape;
    std::istringstream sizes((*match)[3]);
    for (std::string size; std::getline(sizes, size, ',');) shape.push_back(std::stoll(size));
    table.entries.push_back({(*match)[1], dtypes.at((*match)[2]), shape, data_start + std::stoll((*match)[4]),
                             data_start + std::stoll((*match)[5])});
  }
  return table;
}

}  // namespace sam3_tracker
