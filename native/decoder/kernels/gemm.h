// Matrix products of a few rows that stay in the vector registers, for the decoder's kernels.
#pragma once

#include "decoder/kernels/kernels.h"
#include "decoder/kernels/simd.h"

namespace {

using sam3_tracker::kPanelRows;
using sam3_tracker::kTilePositions;

// The left matrix, (rows, depth).
struct LeftMatrix {
  const float* data;
  int64_t rows;
  int64_t depth;
  // Elements from a row to the next; packed matrices have none.
  int64_t stride;
  bool is_packed;
};

inline LeftMatrix PackedPanels(const float* data, int64_t rows, int64_t depth) {
  return {data, rows, depth, 0, true};
}
inline LeftMatrix RowMajor(const float* data, int64_t rows, int64_t depth, int64_t stride) {
  return {data, rows, depth, stride, false};
}

// What a product is added to: nothing, a matrix, or a matrix whose columns are multiplied with factors.
struct Addend {
  const float* data = nullptr;
  const float* factors = nullptr;
};

// kRows rows of a product, kVectors vectors wide. `stride` is that of the right matrix, the addend and the
// result; `left` has its rows `left_stride` elements apart, packed ones beside each other.
template <int kRows, int kVectors, bool kIsPacked>
inline void MultiplyBlock(const float* left, int64_t left_stride, int64_t depth, const float* right,
                          int64_t stride, const Addend& addend, float* result) {
  Vector sums[kRows][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      sums[i][j] = addend.data ? Load(addend.data + i * stride + j * kLanes) : Broadcast(0.0f);
    }
  }
  if (addend.factors) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      const Vector factor = Load(addend.factors + j * kLanes);
#pragma GCC unroll 8
      for (int i = 0; i < kRows; ++i) sums[i][j] = sums[i][j] * factor;
    }
  }
  if (addend.data) {
    // The next rows' addend, which may be far away: it arrives while these are multiplied.
    const float* next = addend.data + kPanelRows * stride;
    for (int i = 0; i < kRows; ++i) {
      for (int j = 0; j < kVectors; ++j) Prefetch(next + i * stride + j * kLanes);
    }
  }
  for (int64_t k = 0; k < depth; ++k) {
    Vector columns[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) columns[j] = Load(right + k * stride + j * kLanes);
#pragma GCC unroll 8
    for (int i = 0; i < kRows; ++i) {
      const Vector factor = Broadcast(kIsPacked ? left[k * kPanelRows + i] : left[i * left_stride + k]);
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sums[i][j] = MultiplyAdd(factor, columns[j], sums[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < kRows; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) Store(result + i * stride + j * kLanes, sums[i][j]);
  }
}

template <int kVectors, bool kIsPacked>
inline void MultiplyColumns(const LeftMatrix& left, const float* right, int64_t stride, const Addend& addend,
                            float* result) {
  static_assert(kPanelRows == 6);
  const int64_t depth = left.depth;
  for (int64_t row = 0; row < left.rows; row += kPanelRows) {
    const float* panel = left.data + row * (kIsPacked ? depth : left.stride);
    const Addend below = {addend.data ? addend.data + row * stride : nullptr, addend.factors};
    float* to = result + row * stride;
    switch (left.rows - row) {
      case 1:
        MultiplyBlock<1, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
        break;
      case 2:
        MultiplyBlock<2, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
        break;
      case 3:
        MultiplyBlock<3, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
        break;
      case 4:
        MultiplyBlock<4, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
        break;
      case 5:
        MultiplyBlock<5, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
        break;
      default:
        MultiplyBlock<6, kVectors, kIsPacked>(panel, left.stride, depth, right, stride, below, to);
    }
  }
}

template <bool kIsPacked>
inline void MultiplyAllColumns(const LeftMatrix& left, const float* right, int64_t columns,
                               const Addend& addend, float* result) {
  const int64_t vectors = columns / kLanes;
  const int64_t blocks = (vectors + kBlockVectors - 1) / kBlockVectors;
  int64_t begin = 0;
  for (int64_t block = 0; block < blocks; ++block) {
    // As wide as each other: a narrow block waits for its own sums.
    const int64_t width = (vectors - begin) / (blocks - block);
    const int64_t offset = begin * kLanes;
    const Addend beside = {addend.data ? addend.data + offset : nullptr,
                           addend.factors ? addend.factors + offset : nullptr};
    switch (width) {
      case 1:
        MultiplyColumns<1, kIsPacked>(left, right + offset, columns, beside, result + offset);
        break;
      case 2:
        MultiplyColumns<2, kIsPacked>(left, right + offset, columns, beside, result + offset);
        break;
#if defined(__AVX512F__)
      case 3:
        MultiplyColumns<3, kIsPacked>(left, right + offset, columns, beside, result + offset);
        break;
      default:
        MultiplyColumns<4, kIsPacked>(left, right + offset, columns, beside, result + offset);
#endif
    }
    begin += width;
  }
}

// result (rows, columns) = left (rows, depth) times right (depth, columns), plus the addend (rows, columns);
// `columns` are whole vectors, and the addend may be the result.
inline void Multiply(const LeftMatrix& left, const float* right, int64_t columns, const Addend& addend,
                     float* result) {
  if (left.is_packed) {
    MultiplyAllColumns<true>(left, right, columns, addend, result);
  } else {
    MultiplyAllColumns<false>(left, right, columns, addend, result);
  }
}

// Layer norm over `rows` values of each position of a tile, in place.
inline void NormalizeTile(float* tile, int64_t rows, const float* weight, const float* bias, float epsilon) {
  const Vector share = Broadcast(1.0f / static_cast<float>(rows));
  for (int64_t column = 0; column < kTilePositions; column += kLanes) {
    float* const values = tile + column;
    Vector sum = Broadcast(0.0f);
    for (int64_t row = 0; row < rows; ++row) sum = sum + Load(values + row * kTilePositions);
    const Vector mean = sum * share;
    Vector squares = Broadcast(0.0f);
    for (int64_t row = 0; row < rows; ++row) {
      const Vector distance = Load(values + row * kTilePositions) - mean;
      squares = MultiplyAdd(distance, distance, squares);
    }
    const Vector scale = Broadcast(1.0f) / SquareRoot(MultiplyAdd(squares, share, Broadcast(epsilon)));
    for (int64_t row = 0; row < rows; ++row) {
      float* const value = values + row * kTilePositions;
      Store(value, MultiplyAdd((Load(value) - mean) * scale, Broadcast(weight[row]), Broadcast(bias[row])));
    }
  }
}

}  // namespace
