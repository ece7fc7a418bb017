#include "masks/connected_components.h"

#include <algorithm>
#include <cstddef>

#include "masks/run_components.h"

namespace sam3_tracker {
namespace {

template <typename T>
void AddRow(const T* pixels, int64_t row, int64_t width, T threshold, RunComponents& components) {
  int64_t begin = 0;
  while (begin < width) {
    const bool foreground = pixels[begin] > threshold;
    const bool background = pixels[begin] <= threshold;
    int64_t end = begin + 1;
    while (end < width && (pixels[end] > threshold) == foreground && (pixels[end] <= threshold) == background)
      ++end;
    if (foreground || background) components.Add({row, begin, end, foreground});
    begin = end;
  }
  components.EndLine();
}

}  // namespace

template <typename T>
void FillHolesAndRemoveSprinkles(T* mask, int64_t height, int64_t width, const ComponentLimits<T>& limits) {
  if (limits.max_hole_area <= 0 && limits.max_sprinkle_area <= 0) return;
  RunComponents components;
  for (int64_t row = 0; row < height; ++row)
    AddRow(mask + row * width, row, width, limits.threshold, components);
  for (size_t i = 0; i < components.runs().size(); ++i) {
    const Run& run = components.runs()[i];
    const double limit = run.foreground ? limits.max_sprinkle_area : limits.max_hole_area;
    if (limit <= 0 || static_cast<double>(components.Area(i)) > limit) continue;
    std::fill(mask + run.line * width + run.begin, mask + run.line * width + run.end,
              run.foreground ? limits.sprinkle_value : limits.hole_value);
  }
}

template void FillHolesAndRemoveSprinkles<float>(float*, int64_t, int64_t, const ComponentLimits<float>&);
template void FillHolesAndRemoveSprinkles<double>(double*, int64_t, int64_t, const ComponentLimits<double>&);

}  // namespace sam3_tracker
