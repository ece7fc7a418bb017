#include "decoder/blocked_layout.h"

#include <ATen/Parallel.h>
#include <ATen/ops/constant_pad_nd.h>
#include <ATen/ops/empty.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "decoder/kernels/kernels.h"

namespace sam3_tracker {
namespace {

// Rows of a tile that are written together: as many as lie in a cache line where they lie side by side.
constexpr int64_t kRowsTogether = 16;

int64_t Missing(int64_t size, int64_t part) { return (part - size % part) % part; }

// Takes rows [begin, end) of the positions of one tile from a map into the tile, or adds them to it.
template <bool kAdds>
void TakeRows(const at::Tensor& map, int64_t object, int64_t first, int64_t count, int64_t begin, int64_t end,
              float* tile) {
  const int64_t row_stride = map.stride(1);
  const int64_t stride = map.stride(2);
  const int64_t of_object = map.size(0) == 1 ? 0 : object * map.stride(0);
  const float* const from = map.const_data_ptr<float>() + of_object + first * stride;
  const auto take = [](float value, float* to) { *to = kAdds ? *to + value : value; };
  if (stride == 1) {
    for (int64_t row = begin; row < end; ++row) {
      const float* const values = from + row * row_stride;
      for (int64_t i = 0; i < count; ++i) take(values[i], tile + row * kTilePositions + i);
    }
    return;
  }
  for (int64_t i = 0; i < count; ++i) {
    const float* const values = from + i * stride;
    for (int64_t row = begin; row < end; ++row)
      take(values[row * row_stride], tile + row * kTilePositions + i);
  }
}

// `other` may be null.
at::Tensor MakeBlocked(const at::Tensor& one, const at::Tensor* other) {
  const int64_t objects = other ? std::max(one.size(0), other->size(0)) : one.size(0);
  const int64_t rows = one.size(1);
  const int64_t positions = one.size(2);
  const int64_t tiles = (positions + kTilePositions - 1) / kTilePositions;
  const at::Tensor made = at::empty({objects, tiles, rows, kTilePositions}, one.options());
  auto* const data = made.data_ptr<float>();
  at::parallel_for(0, objects * tiles, /*grain_size=*/1, [&](int64_t begin, int64_t end) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t object = tile / tiles;
      const int64_t first = tile % tiles * kTilePositions;
      const int64_t count = std::min(kTilePositions, positions - first);
      float* const to = data + tile * rows * kTilePositions;
      if (count < kTilePositions) std::fill_n(to, rows * kTilePositions, 0.0f);
      for (int64_t row = 0; row < rows; row += kRowsTogether) {
        const int64_t row_end = std::min(row + kRowsTogether, rows);
        TakeRows<false>(one, object, first, count, row, row_end, to);
        if (other) TakeRows<true>(*other, object, first, count, row, row_end, to);
      }
    }
  });
  return made;
}

}  // namespace

at::Tensor Blocked(const at::Tensor& map) {
  if (map.dim() == 2) return MakeBlocked(map.unsqueeze(0), nullptr).squeeze(0);
  return MakeBlocked(map, nullptr);
}

at::Tensor BlockedSum(const at::Tensor& one, const at::Tensor& other) { return MakeBlocked(one, &other); }

at::Tensor PackPanels(const at::Tensor& matrix) {
  const int64_t missing = Missing(matrix.size(-2), kPanelRows);
  const at::Tensor whole = missing == 0 ? matrix : at::constant_pad_nd(matrix, {0, 0, 0, missing});
  std::vector<int64_t> sizes = whole.sizes().vec();
  sizes[sizes.size() - 2] /= kPanelRows;
  sizes.insert(sizes.end() - 1, kPanelRows);
  return whole.reshape(sizes).transpose(-2, -1).contiguous();
}

}  // namespace sam3_tracker
