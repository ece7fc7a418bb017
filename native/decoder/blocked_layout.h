// Tensors in the layouts that the decoder's kernels read: see kernels.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// ([maps,] rows, positions) in float32 -> tiles ([maps,] tiles, rows, kTilePositions), whichever of rows and
// positions lie side by side.
at::Tensor Blocked(const at::Tensor& map);

// Tiles of the sum of two maps (objects or 1, rows, positions) of as many rows and positions as each other.
at::Tensor BlockedSum(const at::Tensor& one, const at::Tensor& other);

// (..., rows, depth) -> (..., panels, depth, kPanelRows).
at::Tensor PackPanels(const at::Tensor& matrix);

}  // namespace sam3_tracker
