#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// The clamp that the reference puts on logits of objects that lose a pixel to another.
inline constexpr double kSuppressedLogit = -10.0;

// Upsamples masks row by row on the CPU into `output`, contiguous (objects, masks, height, width): of dtype
// bool (logit > threshold) or of the dtype of `masks` (the logits). `masks` is contiguous (objects, masks,
// h, w) of float32 or float64; `dtype` is the dtype in which the logits came, in whose precision ATen would
// keep weights and upsampled logits. float16 and bfloat16 there need a bool `output`. `threshold` is a value
// that `dtype` holds.
void UpsampleMasks(const at::Tensor& masks, at::ScalarType dtype, double threshold, bool non_overlapping,
                   const at::Tensor& output);

}  // namespace sam3_tracker
