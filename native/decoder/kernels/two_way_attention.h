// The kernel walk_image of kernels.h, for the files that are compiled for one kind of processor.
#pragma once

#include "decoder/kernels/gemm.h"

namespace {

using sam3_tracker::AttentionSums;
using sam3_tracker::ImageWalk;
using sam3_tracker::TokenSide;

// Scores of a tile's positions: (heads * tokens, kTilePositions).
inline void ScoreTile(const ImageWalk& walk, const TokenSide& side, int64_t tile, const float* keys,
                      float* scores) {
  const int64_t rows = walk.heads * walk.tokens;
  const float* positions = side.positions + tile * walk.heads * walk.head_dim * kTilePositions;
  for (int64_t head = 0; head < walk.heads; ++head) {
    const float* projected = side.projected + head * walk.tokens * walk.head_dim;
    Multiply(RowMajor(projected, walk.tokens, walk.head_dim, walk.head_dim),
             positions + head * walk.head_dim * kTilePositions, kTilePositions, {},
             scores + head * walk.tokens * kTilePositions);
  }
  if (side.folded) Multiply(Packed(side.folded, rows, walk.channels), keys, kTilePositions, {scores}, scores);
}

// Softmax over the tokens of each head, for every position of the tile.
inline void SoftmaxOverTokens(const ImageWalk& walk, float* scores) {
  for (int64_t head = 0; head < walk.heads; ++head) {
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      float* const values = scores + head * walk.tokens * kTilePositions + column;
      Vector maximum = Load(values);
      for (int64_t token = 1; token < walk.tokens; ++token) {
        maximum = Max(maximum, Load(values + token * kTilePositions));
      }
      Vector total = Broadcast(0.0f);
      for (int64_t token = 0; token < walk.tokens; ++token) {
        float* const value = values + token * kTilePositions;
        const Vector weight = Exponential(Load(value) - maximum);
        total = total + weight;
        Store(value, weight);
      }
      const Vector share = Broadcast(1.0f) / total;
      for (int64_t token = 0; token < walk.tokens; ++token) {
        float* const value = values + token * kTilePositions;
        Store(value, Load(value) * share);
      }
    }
  }
}

// Turns the scores of a tile into weights of the softmax over all positions so far, and brings the sums of
// the earlier tiles to the new maxima. `count` positions of the tile are the image's.
inline void AddTile(const ImageWalk& walk, const float* keys, int64_t count, const AttentionSums& sums) {
  const int64_t rows = walk.heads * walk.tokens;
  const int64_t padded = sam3_tracker::PaddedRows(rows);
  alignas(64) float row_weights[kTilePositions];
  // Behind the scores.
  float* const factors = sums.scores + rows * kTilePositions;
  for (int64_t row = 0; row < rows; ++row) {
    float* const scores = sums.scores + row * kTilePositions;
    for (int64_t position = count; position < kTilePositions; ++position) scores[position] = -1e30f;
    Vector maxima = Broadcast(sums.maxima[row]);
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      maxima = Max(maxima, Load(scores + column));
    }
    const float maximum = MaxOf(maxima);
    alignas(64) float factor[kLanes];
    Store(factor, Exponential(Broadcast(sums.maxima[row] - maximum)));
    Vector total = Broadcast(0.0f);
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      const Vector weight = Exponential(Load(scores + column) - Broadcast(maximum));
      total = total + weight;
      Store(row_weights + column, weight);
    }
    for (int64_t position = count; position < kTilePositions; ++position) row_weights[position] = 0;
    for (int64_t position = 0; position < kTilePositions; ++position) {
      sums.weights[position * padded + row] = row_weights[position];
    }
    sums.maxima[row] = maximum;
    sums.totals[row] = sums.totals[row] * factor[0] + SumOf(total);
    factors[row] = factor[0];
  }
  Multiply(RowMajor(keys, walk.channels, kTilePositions, kTilePositions), sums.weights, padded,
           {sums.keys, factors}, sums.keys);
}

void WalkImage(const ImageWalk& walk, int64_t begin, int64_t end, const AttentionSums& sums) {
  const int64_t rows = walk.heads * walk.tokens;
  const int64_t padded = sam3_tracker::PaddedRows(rows);
  for (int64_t i = 0; i < padded; ++i) {
    sums.maxima[i] = -1e30f;
    sums.totals[i] = 0;
  }
  for (int64_t i = 0; i < walk.channels * padded; ++i) sums.keys[i] = 0;
  for (int64_t i = 0; i < kTilePositions * padded; ++i) sums.weights[i] = 0;
  for (int64_t i = 0; i < padded; ++i) sums.scores[rows * kTilePositions + i] = 0;

  for (int64_t tile = begin; tile < end; ++tile) {
    const float* keys = walk.keys + tile * walk.channels * kTilePositions;
    if (walk.new_keys) {
      ScoreTile(walk, walk.update, tile, keys, sums.scores);
      SoftmaxOverTokens(walk, sums.scores);
      float* const new_keys = walk.new_keys + tile * walk.channels * kTilePositions;
      Multiply(Packed(walk.updates, walk.channels, rows), sums.scores, kTilePositions, {keys}, new_keys);
      NormalizeTile(new_keys, walk.channels, walk.norm_weight, walk.norm_bias, walk.norm_epsilon);
      keys = new_keys;
    }
    ScoreTile(walk, walk.attention, tile, keys, sums.scores);
    const int64_t left = walk.positions - tile * kTilePositions;
    AddTile(walk, keys, left < kTilePositions ? left : kTilePositions, sums);
  }
}

}  // namespace
