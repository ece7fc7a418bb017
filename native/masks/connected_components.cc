#include "masks/connected_components.h"

#include <algorithm>
#include <cstddef>
#include <utility>

namespace sam3_tracker {
namespace {

template <typename T>
void AddRow(const T* pixels, int64_t row, int64_t width, T threshold, ConnectedComponents& components) {
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

void ConnectedComponents::Add(const Run& run) {
  parents_.push_back(runs_.size());
  areas_.push_back(run.end - run.begin);
  runs_.push_back(run);
}

size_t ConnectedComponents::Root(size_t run) {
  while (parents_[run] != run) {
    parents_[run] = parents_[parents_[run]];
    run = parents_[run];
  }
  return run;
}

void ConnectedComponents::Join(size_t a, size_t b) {
  a = Root(a);
  b = Root(b);
  if (a == b) return;
  if (areas_[a] < areas_[b]) std::swap(a, b);
  parents_[b] = a;
  areas_[a] += areas_[b];
}

void ConnectedComponents::EndLine() {
  const auto join_if_touching = [&](size_t before, size_t after) {
    const Run& a = runs_[before];
    const Run& b = runs_[after];
    if (a.foreground == b.foreground && a.begin <= b.end && b.begin <= a.end) Join(before, after);
  };
  size_t before = previous_;
  size_t after = current_;
  while (before < current_ && after < runs_.size()) {
    join_if_touching(before, after);
    if (runs_[before].end < runs_[after].end) {
      ++before;
    } else {
      // Where both end at one place, the later run may still touch the next earlier one by a corner.
      if (runs_[before].end == runs_[after].end && before + 1 < current_) join_if_touching(before + 1, after);
      ++after;
    }
  }
  previous_ = current_;
  current_ = runs_.size();
}

template <typename T>
void FillHolesAndRemoveSprinkles(T* mask, int64_t height, int64_t width, const ComponentLimits<T>& limits) {
  if (limits.areas.AllStay()) return;
  ConnectedComponents components;
  for (int64_t row = 0; row < height; ++row)
    AddRow(mask + row * width, row, width, limits.threshold, components);
  for (size_t i = 0; i < components.runs().size(); ++i) {
    const Run& run = components.runs()[i];
    const double limit = run.foreground ? limits.areas.max_sprinkle_area : limits.areas.max_hole_area;
    if (limit <= 0 || static_cast<double>(components.Area(i)) > limit) continue;
    std::fill(mask + run.line * width + run.begin, mask + run.line * width + run.end,
              run.foreground ? limits.sprinkle_value : limits.hole_value);
  }
}

template void FillHolesAndRemoveSprinkles<float>(float*, int64_t, int64_t, const ComponentLimits<float>&);
template void FillHolesAndRemoveSprinkles<double>(double*, int64_t, int64_t, const ComponentLimits<double>&);

}  // namespace sam3_tracker
