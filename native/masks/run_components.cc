#include "masks/run_components.h"

#include <utility>

namespace sam3_tracker {

void RunComponents::Add(const Run& run) {
  parents_.push_back(runs_.size());
  areas_.push_back(run.end - run.begin);
  runs_.push_back(run);
}

size_t RunComponents::Root(size_t run) {
  while (parents_[run] != run) {
    parents_[run] = parents_[parents_[run]];
    run = parents_[run];
  }
  return run;
}

void RunComponents::Join(size_t a, size_t b) {
  a = Root(a);
  b = Root(b);
  if (a == b) return;
  if (areas_[a] < areas_[b]) std::swap(a, b);
  parents_[b] = a;
  areas_[a] += areas_[b];
}

void RunComponents::EndLine() {
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

}  // namespace sam3_tracker
