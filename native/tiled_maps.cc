#include "tiled_maps.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "decoder_kernels.h"

namespace sam3_tracker {
namespace {

// Rows of a tile that are written together: as many as lie in a cache line where they lie side by side.
constexpr int64_t kRowsTogether = 16;

int64_t Missing(int64_t size, int64_t part) { return (part - size % part) % part; }

// One of the maps that a tile is made of, from the tile's first position on.
struct MapView {
  const float* data;
  int64_t row_stride;
  int64_t position_stride;

  float At(int64_t row, int64_t position) const {
    return data[row * row_stride + position * position_stride];
  }
};

MapView View(const at::Tensor& map, int64_t object, int64_t position) {
  const int64_t first = map.size(0) == 1 ? 0 : object * map.stride(0);
  return {map.const_data_ptr<float>() + first + position * map.stride(2), map.stride(1), map.stride(2)};
}

}  // namespace

at::Tensor Tiles(const at::Tensor& map) {
  const int64_t missing = Missing(map.size(-1), kTilePositions);
  const at::Tensor whole = missing == 0 ? map : at::constant_pad_nd(map, {0, missing});
  std::vector<int64_t> sizes = whole.sizes().vec();
  sizes.back() /= kTilePositions;
  sizes.push_back(kTilePositions);
  return whole.reshape(sizes).transpose(-3, -2).contiguous();
}

at::Tensor TilesOfSum(const at::Tensor& one, const at::Tensor& other) {
  const int64_t objects = std::max(one.size(0), other.size(0));
  const int64_t rows = one.size(1);
  const int64_t positions = one.size(2);
  const int64_t tiles = (positions + kTilePositions - 1) / kTilePositions;
  const at::Tensor sum = at::empty({objects, tiles, rows, kTilePositions}, one.options());
  auto* const data = sum.data_ptr<float>();
  at::parallel_for(0, objects * tiles, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t first = tile % tiles * kTilePositions;
      const int64_t count = std::min(kTilePositions, positions - first);
      const MapView a = View(one, tile / tiles, first);
      const MapView b = View(other, tile / tiles, first);
      float* const to = data + tile * rows * kTilePositions;
      if (count < kTilePositions) std::fill_n(to, rows * kTilePositions, 0.0f);
      for (int64_t row = 0; row < rows; row += kRowsTogether) {
        const int64_t row_end = std::min(row + kRowsTogether, rows);
        for (int64_t position = 0; position < count; ++position) {
          for (int64_t i = row; i < row_end; ++i) {
            to[i * kTilePositions + position] = a.At(i, position) + b.At(i, position);
          }
        }
      }
    }
  });
  return sum;
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
