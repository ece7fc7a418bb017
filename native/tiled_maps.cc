#include "tiled_maps.h"

#include <ATen/ops/constant_pad_nd.h>

#include <cstdint>
#include <vector>

#include "decoder_kernels.h"

namespace sam3_tracker {
namespace {

int64_t Missing(int64_t size, int64_t part) { return (part - size % part) % part; }

}  // namespace

at::Tensor Tiles(const at::Tensor& map) {
  const int64_t missing = Missing(map.size(-1), kTilePositions);
  const at::Tensor whole = missing == 0 ? map : at::constant_pad_nd(map, {0, missing});
  std::vector<int64_t> sizes = whole.sizes().vec();
  sizes.back() /= kTilePositions;
  sizes.push_back(kTilePositions);
  return whole.reshape(sizes).transpose(-3, -2).contiguous();
}

at::Tensor Packed(const at::Tensor& matrix) {
  const int64_t missing = Missing(matrix.size(-2), kPanelRows);
  const at::Tensor whole = missing == 0 ? matrix : at::constant_pad_nd(matrix, {0, 0, 0, missing});
  std::vector<int64_t> sizes = whole.sizes().vec();
  sizes[sizes.size() - 2] /= kPanelRows;
  sizes.insert(sizes.end() - 1, kPanelRows);
  return whole.reshape(sizes).transpose(-2, -1).contiguous();
}

}  // namespace sam3_tracker
