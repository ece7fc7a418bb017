// Mask logits to RLE at the size of the image, without a full-size mask on the way.
#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "masks/rle.h"

namespace sam3_tracker {

// Where a mask lies in its image, in pixels of the image.
struct MaskPlacement {
  int64_t image_height;
  int64_t image_width;
  int64_t left;
  int64_t top;
  // Of the mask once upsampled.
  int64_t height;
  int64_t width;
};

// Logits above which pixels are counted, in the precision of the masks' dtype.
struct MaskThresholds {
  // What is inside.
  double mask;
  // mask_threshold + stability_score_offset, mask_threshold - stability_score_offset.
  double strict;
  double lenient;
};

struct EncodedMask {
  // Of the whole image.
  RleCounts counts;
  // Pixels above the strict and the lenient threshold.
  int64_t strict_area;
  int64_t lenient_area;
};

// Upsamples masks (masks, h, w), contiguous float32 or float64 on the CPU, and encodes what is above the
// threshold. The pixels are those of aten::upsample_bilinear2d followed by a comparison: each value that is
// computed is the same bits, and none is computed where the four corners of its cell say already on which
// side of all thresholds it lies. `dtype` is the dtype in which the logits came, as in UpsampleMasks.
std::vector<EncodedMask> EncodeMasks(const at::Tensor& masks, at::ScalarType dtype,
                                     const MaskPlacement& placement, const MaskThresholds& thresholds);

}  // namespace sam3_tracker
