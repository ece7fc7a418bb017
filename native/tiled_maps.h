// Tensors in the layouts that the decoder's kernels read: see decoder_kernels.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// (..., rows, positions) -> tiles (..., tiles, rows, kTilePositions).
at::Tensor Tiles(const at::Tensor& map);

// Tiles of the sum of two maps (objects or 1, rows, positions) in float32, of as many rows and positions as each
// other, whichever way each of them lies in memory: where one has its rows side by side and the other its
// positions, aten's sum alone takes several times as long as this.
at::Tensor TilesOfSum(const at::Tensor& one, const at::Tensor& other);

// (..., rows, depth) -> (..., panels, depth, kPanelRows).
at::Tensor Packed(const at::Tensor& matrix);

}  // namespace sam3_tracker
