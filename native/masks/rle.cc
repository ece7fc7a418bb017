#include "masks/rle.h"

#include <algorithm>
#include <cstddef>
#include <limits>
#include <string>

#include "masks/connected_components.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// Refuses what the loops below would not end for.
void CheckRuns(const RleCounts& counts, int64_t height, int64_t width) {
  CheckImageSize(height, width);
  int64_t pixels = 0;
  for (const uint32_t count : counts) pixels += count;
  if (pixels != height * width) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected runs of " + std::to_string(height * width) +
                                                     " pixels but received " + std::to_string(pixels) + ".");
  }
}

ConnectedComponents ComponentsOf(const RleCounts& counts, int64_t height) {
  ConnectedComponents components;
  int64_t column = 0;
  int64_t row = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    int64_t left = counts[i];
    while (left > 0) {
      const int64_t length = std::min(left, height - row);
      components.Add({column, row, row + length, i % 2 == 1});
      left -= length;
      row += length;
      if (row < height) continue;
      components.EndLine();
      ++column;
      row = 0;
    }
  }
  return components;
}

// The RLE with those components turned over that `turns` names by a run of theirs.
template <typename Predicate>
RleCounts Rewrite(ConnectedComponents& components, int64_t height, int64_t width, const Predicate& turns) {
  RleWriter writer;
  for (size_t i = 0; i < components.runs().size(); ++i) {
    const Run& run = components.runs()[i];
    writer.Set(run.foreground != turns(i), run.line * height + run.begin);
  }
  return writer.Finish(height * width);
}

// Turns over the components of one kind that are smaller than `min_area`.
bool TurnSmall(RleCounts* counts, int64_t height, int64_t width, int64_t min_area, bool foreground) {
  ConnectedComponents components = ComponentsOf(*counts, height);
  constexpr size_t kNone = std::numeric_limits<size_t>::max();
  bool any_small = false;
  bool any_large = false;
  size_t largest = kNone;
  for (size_t i = 0; i < components.runs().size(); ++i) {
    if (components.runs()[i].foreground != foreground) continue;
    (components.Area(i) < min_area ? any_small : any_large) = true;
    if (largest == kNone || components.Area(i) > components.Area(largest)) largest = i;
  }
  if (!any_small) return false;
  const size_t kept = foreground && !any_large ? components.Root(largest) : kNone;
  *counts = Rewrite(components, height, width, [&](size_t i) {
    return components.runs()[i].foreground == foreground && components.Area(i) < min_area &&
           components.Root(i) != kept;
  });
  return true;
}

}  // namespace

void CheckImageSize(int64_t height, int64_t width) {
  constexpr int64_t kMostPixels = std::numeric_limits<uint32_t>::max();
  if (height < 1 || width < 1 || height > kLongestSide || width > kLongestSide ||
      height * width > kMostPixels) {
    throw Sam3Error(ErrorCode::kInvalidArgument,
                    "Expected an image of 1 to " + std::to_string(kLongestSide) +
                        " pixels a side, and of less than 2^32 pixels, but received [" +
                        std::to_string(height) + ", " + std::to_string(width) + "].");
  }
}

PixelBox RleToBox(const RleCounts& counts, int64_t height) {
  constexpr int64_t kMax = std::numeric_limits<int64_t>::max();
  PixelBox box = {kMax, kMax, -1, -1};
  // The column that a run begins in, and where that column begins: found by going on, since a division for
  // each run of a ragged mask takes longer than all the rest.
  int64_t column = 0;
  int64_t column_begin = 0;
  int64_t begin = 0;
  for (size_t i = 0; i < counts.size(); ++i) {
    const int64_t end = begin + counts[i];
    if (i % 2 == 1 && end > begin) {
      for (; begin >= column_begin + height; column_begin += height) ++column;
      // A run that goes on in the next column touches the bottom of one and the top of the other.
      const bool one_column = end <= column_begin + height;
      box[0] = std::min(box[0], column);
      box[1] = std::min(box[1], one_column ? begin - column_begin : 0);
      box[2] = std::max(box[2], one_column ? column : (end - 1) / height);
      box[3] = std::max(box[3], one_column ? end - 1 - column_begin : height - 1);
    }
    begin = end;
  }
  return box[2] < 0 ? PixelBox{0, 0, 0, 0} : box;
}

bool RemoveSmallRegions(RleCounts* counts, int64_t height, int64_t width, int64_t min_area) {
  CheckRuns(*counts, height, width);
  const bool filled = TurnSmall(counts, height, width, min_area, /*foreground=*/false);
  const bool removed = TurnSmall(counts, height, width, min_area, /*foreground=*/true);
  return filled || removed;
}

}  // namespace sam3_tracker
