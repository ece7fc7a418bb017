// The kernel two_way_attention of kernels.h, for the files that are compiled for one kind of processor.
#pragma once

#include "decoder/kernels/gemm.h"

namespace {

using sam3_tracker::OnlineSoftmax;
using sam3_tracker::TokenProjections;
using sam3_tracker::TwoWayAttentionArgs;

// Scores of a tile's positions: (heads * tokens, kTilePositions).
inline void ScoreTile(const TwoWayAttentionArgs& args, const TokenProjections& side, int64_t tile,
                      const float* keys, float* scores) {
  const int64_t rows = args.heads * args.tokens;
  const float* positions = side.image + tile * args.heads * args.head_dim * kTilePositions;
  for (int64_t head = 0; head < args.heads; ++head) {
    const float* projected = side.projected + head * args.tokens * args.head_dim;
    Multiply(RowMajor(projected, args.tokens, args.head_dim, args.head_dim),
             positions + head * args.head_dim * kTilePositions, kTilePositions, {},
             scores + head * args.tokens * kTilePositions);
  }
  if (side.folded)
    Multiply(PackedPanels(side.folded, rows, args.channels), keys, kTilePositions, {scores}, scores);
}

// Softmax over the tokens of each head, for every position of the tile.
inline void SoftmaxOverTokens(const TwoWayAttentionArgs& args, float* scores) {
  for (int64_t head = 0; head < args.heads; ++head) {
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      float* const values = scores + head * args.tokens * kTilePositions + column;
      Vector maximum = Load(values);
      for (int64_t token = 1; token < args.tokens; ++token) {
        maximum = Max(maximum, Load(values + token * kTilePositions));
      }
      Vector total = Broadcast(0.0f);
      for (int64_t token = 0; token < args.tokens; ++token) {
        float* const value = values + token * kTilePositions;
        const Vector weight = Exponential(Load(value) - maximum);
        total = total + weight;
        Store(value, weight);
      }
      const Vector share = Broadcast(1.0f) / total;
      for (int64_t token = 0; token < args.tokens; ++token) {
        float* const value = values + token * kTilePositions;
        Store(value, Load(value) * share);
      }
    }
  }
}

// Turns the scores of a tile into weights of the softmax over all positions so far, and brings the sums of
// the earlier tiles to the new running maxima. `count` positions of the tile are the image's.
inline void AddTile(const TwoWayAttentionArgs& args, const float* keys, int64_t count,
                    const OnlineSoftmax& softmax) {
  const int64_t rows = args.heads * args.tokens;
  const int64_t padded = sam3_tracker::PaddedRows(rows);
  alignas(64) float row_weights[kTilePositions];
  // Behind the scores.
  float* const factors = softmax.scores + rows * kTilePositions;
  for (int64_t row = 0; row < rows; ++row) {
    float* const scores = softmax.scores + row * kTilePositions;
    for (int64_t position = count; position < kTilePositions; ++position) scores[position] = -1e30f;
    Vector maxima = Broadcast(softmax.running_max[row]);
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      maxima = Max(maxima, Load(scores + column));
    }
    const float maximum = MaxOf(maxima);
    alignas(64) float factor[kLanes];
    Store(factor, Exponential(Broadcast(softmax.running_max[row] - maximum)));
    Vector total = Broadcast(0.0f);
    for (int64_t column = 0; column < kTilePositions; column += kLanes) {
      const Vector weight = Exponential(Load(scores + column) - Broadcast(maximum));
      total = total + weight;
      Store(row_weights + column, weight);
    }
    for (int64_t position = count; position < kTilePositions; ++position) row_weights[position] = 0;
    for (int64_t position = 0; position < kTilePositions; ++position) {
      softmax.weights[position * padded + row] = row_weights[position];
    }
    softmax.running_max[row] = maximum;
    softmax.running_sum[row] = softmax.running_sum[row] * factor[0] + SumOf(total);
    factors[row] = factor[0];
  }
  Multiply(RowMajor(keys, args.channels, kTilePositions, kTilePositions), softmax.weights, padded,
           {softmax.keys, factors}, softmax.keys);
}

void TwoWayAttention(const TwoWayAttentionArgs& args, int64_t begin, int64_t end,
                     const OnlineSoftmax& softmax) {
  const int64_t rows = args.heads * args.tokens;
  const int64_t padded = sam3_tracker::PaddedRows(rows);
  for (int64_t i = 0; i < padded; ++i) {
    softmax.running_max[i] = -1e30f;
    softmax.running_sum[i] = 0;
  }
  for (int64_t i = 0; i < args.channels * padded; ++i) softmax.keys[i] = 0;
  for (int64_t i = 0; i < kTilePositions * padded; ++i) softmax.weights[i] = 0;
  for (int64_t i = 0; i < padded; ++i) softmax.scores[rows * kTilePositions + i] = 0;

  for (int64_t tile = begin; tile < end; ++tile) {
    const float* keys = args.keys + tile * args.channels * kTilePositions;
    if (args.new_keys) {
      ScoreTile(args, args.image_to_token, tile, keys, softmax.scores);
      SoftmaxOverTokens(args, softmax.scores);
      float* const new_keys = args.new_keys + tile * args.channels * kTilePositions;
      Multiply(PackedPanels(args.image_to_token_values, args.channels, rows), softmax.scores, kTilePositions,
               {keys}, new_keys);
      NormalizeTile(new_keys, args.channels, args.norm_weight, args.norm_bias, args.norm_epsilon);
      keys = new_keys;
    }
    ScoreTile(args, args.token_to_image, tile, keys, softmax.scores);
    const int64_t left = args.positions - tile * kTilePositions;
    AddTile(args, keys, left < kTilePositions ? left : kTilePositions, softmax);
  }
}

}  // namespace
