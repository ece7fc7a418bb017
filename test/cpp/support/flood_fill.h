#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace sam3_tracker {

// Areas of 8-connected components by flood fill: the plainest way, to judge the fast one.
inline std::vector<int64_t> FloodFillAreas(const std::vector<bool>& inside, int64_t height, int64_t width) {
  std::vector<int64_t> areas(inside.size(), 0);
  std::vector<bool> seen(inside.size(), false);
  for (size_t start = 0; start < inside.size(); ++start) {
    if (!inside[start] || seen[start]) continue;
    std::vector<size_t> members{start};
    seen[start] = true;
    for (size_t next = 0; next < members.size(); ++next) {
      const int64_t y = static_cast<int64_t>(members[next]) / width;
      const int64_t x = static_cast<int64_t>(members[next]) % width;
      for (int64_t ny = std::max<int64_t>(y - 1, 0); ny <= std::min(y + 1, height - 1); ++ny) {
        for (int64_t nx = std::max<int64_t>(x - 1, 0); nx <= std::min(x + 1, width - 1); ++nx) {
          const size_t neighbour = static_cast<size_t>(ny * width + nx);
          if (!inside[neighbour] || seen[neighbour]) continue;
          seen[neighbour] = true;
          members.push_back(neighbour);
        }
      }
    }
    for (const size_t member : members) areas[member] = static_cast<int64_t>(members.size());
  }
  return areas;
}

}  // namespace sam3_tracker
