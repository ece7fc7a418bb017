// Tensors in the layouts that the decoder's kernels read: see decoder_kernels.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// (..., rows, positions) -> tiles (..., tiles, rows, kTilePositions).
at::Tensor Tiles(const at::Tensor& map);

// Tiles of the sum of two maps (objects or 1, rows, positions) in float32. Whichever way each of them lies in
// memory: where one has its rows side by side and the other its positions, aten's sum takes eight times as long.
at::Tensor TilesOfSum(const at::Tensor& one, const at::Tensor& other);

// (..., rows, depth) -> (..., panels, depth, kPanelRows).
at::Tensor Packed(const at::Tensor& matrix);

}  // namespace sam3_tracker
