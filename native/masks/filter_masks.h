// What segment-everything keeps of a batch of predicted masks: transformers' filter_masks of
// image_processing_sam3.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "masks/connected_components.h"
#include "masks/mask_selection.h"
#include "masks/rle.h"

namespace sam3_tracker {

// Every field is set by the caller. Boxes are xyxy in pixels of the image, right and bottom excluded.
struct MaskFilterOptions {
  // Masks pass whose predicted IoU is above it; 0 or less lets all pass.
  double pred_iou_thresh;
  // Masks pass whose stability score is above it; 0 or less lets all pass.
  double stability_score_thresh;
  // On logits, to either side of mask_threshold.
  double stability_score_offset;
  // Pixels inside have logits above it.
  double mask_threshold;
  // In low-resolution pixels; they go before anything is measured.
  SmallComponents small_components;
  // What the masks are of: a part of the image.
  PixelBox crop_box;
  // Where a mask that touches the crop's edge is whole nevertheless: the image, or the part that is looked
  // at.
  PixelBox bounds;
  int64_t image_height;
  int64_t image_width;
};

// A mask that passed, in the image.
struct FilteredMask {
  // Position in the batch: point * masks of a point + mask.
  int64_t index;
  // Predicted IoU.
  float score;
  // Pixels above mask_threshold + offset, per pixels above mask_threshold - offset; NaN where there are
  // none.
  float stability_score;
  // First and last column and row inside; the crop's corner twice for an empty mask, as in transformers.
  PixelBox box;
  RleCounts counts;
};

// Where the time went. On a GPU work is queued: what waits first waits for all before it.
struct MaskFilterSeconds {
  // Predicted IoU, stability, crop edges.
  double filter;
  // Holes and sprinkles, and the pass that upsamples, counts and encodes.
  double upsample;
};

// Drops masks of a low predicted IoU before anything is upsampled, upsamples and encodes the rest, and drops
// unstable ones and those that a crop's edge cuts. `predicted` is of one image: (1, points, masks, h, w)
// logits and (1, points, masks) scores. On the CPU mask by mask (EncodeMasks); on other devices by
// FilterMasksWithAten. Adds to `seconds`. Throws c10::Error; Sam3Error kInvalidArgument for a crop outside
// the image and as CheckImageSize.
std::vector<FilteredMask> FilterMasks(const ScoredMasks& predicted, const MaskFilterOptions& options,
                                      MaskFilterSeconds& seconds);

// The same in aten calls on the device of the masks, with one copy to the host: for CUDA, and for the tests
// to compare FilterMasks with.
std::vector<FilteredMask> FilterMasksWithAten(const ScoredMasks& predicted, const MaskFilterOptions& options,
                                              MaskFilterSeconds& seconds);

}  // namespace sam3_tracker
