// Connected components over runs of pixels: what fills holes and removes specks, of logits and of encoded
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
class RunComponents {
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

}  // namespace sam3_tracker
