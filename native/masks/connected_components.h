// Connected components over runs of pixels: what fills holes and removes sprinkles, of logits and of encoded
// masks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace sam3_tracker {

// Pixels [begin, end) of one line (a row, or a column) that are all foreground or all background.
struct Run {
  int64_t line;
  int64_t begin;
  int64_t end;
  bool foreground;
};

// The 8-connected components of runs that are added line by line, in order within a line. Runs of foreground
// join runs of foreground, runs of background those of background.
class ConnectedComponents {
 public:
  // Adds a run of the current line.
  void Add(const Run& run);
  // Ends the current line: its runs join those of the line before that they touch along a side or a corner.
  void EndLine();

  const std::vector<Run>& runs() const { return runs_; }
  // Pixels of the component that a run belongs to.
  int64_t Area(size_t run) { return areas_[Root(run)]; }
  // A number that the runs of one component share.
  size_t Root(size_t run);

 private:
  void Join(size_t a, size_t b);

  std::vector<Run> runs_;
  // A disjoint-set forest over runs; each root knows the area of its component.
  std::vector<size_t> parents_;
  std::vector<int64_t> areas_;
  // Where the line before and the current one begin.
  size_t previous_ = 0;
  size_t current_ = 0;
};

// Which components are too small to stay, in pixels of the mask as given; 0 or less leaves all.
struct SmallComponents {
  // Background components of at most this area are filled.
  double max_hole_area;
  // Foreground components of at most this area are removed.
  double max_sprinkle_area;

  bool AllStay() const { return max_hole_area <= 0 && max_sprinkle_area <= 0; }
};

// Which components to rewrite, and to what.
template <typename T>
struct ComponentLimits {
  SmallComponents areas;
  // Pixels above it are foreground, pixels at or below it background; NaN is neither.
  T threshold;
  T hole_value;
  T sprinkle_value;
};

// Fills small holes and removes small sprinkles of one (height, width) row-major mask of logits in place.
// Components are 8-connected and found on the original logits, as in Meta's SAM2 predictor.
template <typename T>
void FillHolesAndRemoveSprinkles(T* mask, int64_t height, int64_t width, const ComponentLimits<T>& limits);

extern template void FillHolesAndRemoveSprinkles<float>(float*, int64_t, int64_t,
                                                        const ComponentLimits<float>&);
extern template void FillHolesAndRemoveSprinkles<double>(double*, int64_t, int64_t,
                                                         const ComponentLimits<double>&);

}  // namespace sam3_tracker
