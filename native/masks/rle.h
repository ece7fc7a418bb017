// Binary masks as RLE: lengths of runs in column-major order, alternating outside and inside, the first
// outside (it may be 0). COCO's conventions, and transformers' uncompressed counts.
#pragma once

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

namespace sam3_tracker {

using RleCounts = std::vector<uint32_t>;

// xyxy in pixels, first and last column and row inside.
using PixelBox = std::array<int64_t, 4>;

// Writes the RLE of one mask from where it changes. Positions are column-major and ascend.
class RleWriter {
 public:
  // From `position` on, pixels are inside or not.
  void Set(bool inside, int64_t position) {
    if (inside != inside_) Change(position);
  }

  // `count` pixels from `position` on, 1 inside and 0 outside. Looks at eight at a time.
  void SetPixels(const uint8_t* pixels, int64_t count, int64_t position) {
    int64_t i = 0;
    if constexpr (std::endian::native == std::endian::little) {
      for (; i + 8 <= count; i += 8) {
        uint64_t bytes = 0;
        std::memcpy(&bytes, pixels + i, sizeof(bytes));
        // In each byte whether its pixel differs from the one before.
        uint64_t changes = bytes ^ (bytes << 8 | static_cast<uint64_t>(inside_));
        for (; changes != 0; changes &= changes - 1) Change(position + i + std::countr_zero(changes) / 8);
      }
    }
    for (; i < count; ++i) Set(pixels[i] != 0, position + i);
  }

  // The RLE of a mask of `pixels` pixels.
  RleCounts Finish(int64_t pixels) {
    counts_.push_back(static_cast<uint32_t>(pixels - last_));
    return std::move(counts_);
  }

 private:
  void Change(int64_t position) {
    counts_.push_back(static_cast<uint32_t>(position - last_));
    last_ = position;
    inside_ = !inside_;
  }

  RleCounts counts_;
  int64_t last_ = 0;
  bool inside_ = false;
};

// Pixels of a side: 2^24, beyond what images have (libvips stops at 10^7).
inline constexpr int64_t kLongestSide = int64_t{1} << 24;

// Throws Sam3Error kInvalidArgument for an image whose masks cannot be encoded: sides outside 1 to
// kLongestSide, or 2^32 pixels and more, which runs of 32 bits cannot count.
void CheckImageSize(int64_t height, int64_t width);

// The box around the pixels inside, [0, 0, 0, 0] where there are none. The height is at least 1.
PixelBox RleToBox(const RleCounts& counts, int64_t height);

// Fills holes and removes sprinkles of less than `min_area` pixels, as SAM's remove_small_regions does, one
// after the other: 8-connected; where every sprinkle is smaller, the largest stays. Returns whether anything
// changed. Throws Sam3Error kInvalidArgument for runs that do not fill the size, and as CheckImageSize.
bool RemoveSmallRegions(RleCounts* counts, int64_t height, int64_t width, int64_t min_area);

}  // namespace sam3_tracker
