#pragma once

#include <ATen/core/Tensor.h>

#include <array>
#include <cstdint>
#include <vector>

#include "masks/connected_components.h"

namespace sam3_tracker {

// What is done to predicted masks on their way to the size of the image. Every field is set by the caller.
struct PostProcessOptions {
  // On logits.
  double mask_threshold;
  // True gives booleans (logit > mask_threshold), false the upsampled logits in the masks' own dtype.
  bool binarize;
  // In low-resolution pixels.
  SmallComponents small_components;
  // At each pixel only the object with the highest logit keeps it; the others are clamped to at most -10.
  bool non_overlapping;
};

// Upsamples mask logits (objects, masks, h, w), any floating dtype, any device, to (objects, masks, height,
// width): transformers' Sam3ImageProcessor.post_process_masks for one image, with holes and sprinkles
// treated as Meta's SAM2 predictor does. On the CPU no full-size float copy is made on the way to booleans,
// and the bits are those of PostProcessMasksWithAten. The input is left as it is. Throws c10::Error.
at::Tensor PostProcessMasks(const at::Tensor& masks, int64_t height, int64_t width,
                            const PostProcessOptions& options);

// What is done to the masks of several images.
struct BatchPostProcessOptions {
  // [height, width] of each image in pixels.
  std::vector<std::array<int64_t, 2>> original_sizes;
  PostProcessOptions post_process;
};

// PostProcessMasks for the masks of each image: one (objects, masks, h, w) an image.
std::vector<at::Tensor> PostProcessMasks(const std::vector<at::Tensor>& masks,
                                         const BatchPostProcessOptions& options);

// PostProcessMasks of one image in plain aten calls: for other devices, and for the tests to compare
// with.
at::Tensor PostProcessMasksWithAten(const at::Tensor& masks, int64_t height, int64_t width,
                                    const PostProcessOptions& options);

// The masks with small holes filled and small sprinkles removed, as the options ask for: a copy, or the
// masks themselves where nothing is asked for. On the CPU run by run, on other devices by
// CleanComponentsWithAten. Throws c10::Error for masks of no floating dtype.
at::Tensor CleanComponents(const at::Tensor& masks, const PostProcessOptions& options);

// The same in aten calls, bit for bit: for other devices, without a copy to the host.
at::Tensor CleanComponentsWithAten(const at::Tensor& masks, const PostProcessOptions& options);

// Whether ATen upsamples masks to this size by its channels-last kernel, whose sums are ordered otherwise
// than those of the row kernels.
bool IsSmallOutput(int64_t height, int64_t width);

}  // namespace sam3_tracker
