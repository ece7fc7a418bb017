#include "mask_components.h"

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace sam3_tracker {
namespace {

/// Pixels [begin, end) of one row that are all foreground or all background.
struct Run {
  int64_t row;
  int64_t begin;
  int64_t end;
  bool foreground;
};

/// A disjoint-set forest over runs; each root knows the area of its component.
class ComponentForest {
 public:
  void Add(int64_t area) {
    parents_.push_back(parents_.size());
    areas_.push_back(area);
  }

  size_t Root(size_t node) {
    while (parents_[node] != node) {
      parents_[node] = parents_[parents_[node]];
      node = parents_[node];
    }
    return node;
  }

  void Join(size_t a, size_t b) {
    a = Root(a);
    b = Root(b);
    if (a == b) return;
    if (areas_[a] < areas_[b]) std::swap(a, b);
    parents_[b] = a;
    areas_[a] += areas_[b];
  }

  int64_t Area(size_t node) { return areas_[Root(node)]; }

 private:
  std::vector<size_t> parents_;
  std::vector<int64_t> areas_;
};

template <typename T>
void AppendRuns(const T* pixels, int64_t row, int64_t width, T threshold, std::vector<Run>& runs,
                ComponentForest& forest) {
  int64_t begin = 0;
  while (begin < width) {
    const bool foreground = pixels[begin] > threshold;
    const bool background = pixels[begin] <= threshold;
    int64_t end = begin + 1;
    while (end < width && (pixels[end] > threshold) == foreground && (pixels[end] <= threshold) == background)
      ++end;
    if (foreground || background) {
      runs.push_back({row, begin, end, foreground});
      forest.Add(end - begin);
    }
    begin = end;
  }
}

/// Joins runs of two neighbouring rows, [above, current) and [current, end), that touch along a side or a
/// corner.
void JoinRows(const std::vector<Run>& runs, size_t above, size_t current, ComponentForest& forest) {
  const auto join_if_touching = [&](size_t upper, size_t lower) {
    const Run& a = runs[upper];
    const Run& b = runs[lower];
    if (a.foreground == b.foreground && a.begin <= b.end && b.begin <= a.end) forest.Join(upper, lower);
  };
  size_t upper = above;
  size_t lower = current;
  while (upper < current && lower < runs.size()) {
    join_if_touching(upper, lower);
    if (runs[upper].end < runs[lower].end) {
      ++upper;
    } else {
      // Where both end in one column, the lower run may still touch the next upper one by a corner.
      if (runs[upper].end == runs[lower].end && upper + 1 < current) join_if_touching(upper + 1, lower);
      ++lower;
    }
  }
}

}  // namespace

template <typename T>
void FillHolesAndRemoveSprinkles(T* mask, int64_t height, int64_t width, const ComponentLimits<T>& limits) {
  if (limits.max_hole_area <= 0 && limits.max_sprinkle_area <= 0) return;
  std::vector<Run> runs;
  ComponentForest forest;
  size_t above = 0;
  for (int64_t row = 0; row < height; ++row) {
    const size_t current = runs.size();
    AppendRuns(mask + row * width, row, width, limits.threshold, runs, forest);
    JoinRows(runs, above, current, forest);
    above = current;
  }
  for (size_t i = 0; i < runs.size(); ++i) {
    const Run& run = runs[i];
    const double limit = run.foreground ? limits.max_sprinkle_area : limits.max_hole_area;
    if (limit <= 0 || static_cast<double>(forest.Area(i)) > limit) continue;
    std::fill(mask + run.row * width + run.begin, mask + run.row * width + run.end,
              run.foreground ? limits.sprinkle_value : limits.hole_value);
  }
}

template void FillHolesAndRemoveSprinkles<float>(float*, int64_t, int64_t, const ComponentLimits<float>&);
template void FillHolesAndRemoveSprinkles<double>(double*, int64_t, int64_t, const ComponentLimits<double>&);

}  // namespace sam3_tracker
