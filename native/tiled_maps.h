// Tensors in the layouts that the decoder's kernels read: see decoder_kernels.h.
#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// (..., rows, positions) -> tiles (..., tiles, rows, kTilePositions).
at::Tensor Tiles(const at::Tensor& map);

// (..., rows, depth) -> (..., panels, depth, kPanelRows).
at::Tensor Packed(const at::Tensor& matrix);

}  // namespace sam3_tracker
