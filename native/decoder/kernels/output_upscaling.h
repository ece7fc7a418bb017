// The kernel output_upscaling of kernels.h, for the files that are compiled for one kind of processor.
#pragma once

#include "decoder/kernels/gemm.h"

namespace {

using sam3_tracker::OutputUpscalingArgs;

inline void GeluTile(float* tile, int64_t rows) {
  for (int64_t i = 0; i < rows * kTilePositions; i += kLanes) Store(tile + i, Gelu(Load(tile + i)));
}

// Puts the pixels of a tile's positions into their places: pixels (2, 2, 2, 2, masks, kTilePositions), where
// the first two are the row and the column of the first doubling.
inline void PlacePixels(const OutputUpscalingArgs& upscaling, int64_t tile, const float* pixels) {
  const int64_t plane = 16 * upscaling.positions;
  const int64_t row = 4 * upscaling.width;
  const int64_t first = tile * kTilePositions;
  const int64_t left = upscaling.positions - first;
  const int64_t count = left < kTilePositions ? left : kTilePositions;
  for (int64_t part = 0; part < 16; part += 2) {
    const int64_t y = part / 8 * 2 + part / 2 % 2;
    const int64_t x = part / 4 % 2 * 2;
    for (int64_t mask = 0; mask < upscaling.masks; ++mask) {
      const float* even = pixels + (part * upscaling.masks + mask) * kTilePositions;
      const float* odd = even + upscaling.masks * kTilePositions;
      int64_t column = first % upscaling.width;
      float* to = upscaling.output + mask * plane + (first / upscaling.width * 4 + y) * row + 4 * column + x;
      for (int64_t position = 0; position < count; ++position) {
        to[0] = even[position];
        to[1] = odd[position];
        to += 4;
        if (++column == upscaling.width) {
          column = 0;
          to += 3 * row;
        }
      }
    }
  }
}

void OutputUpscaling(const OutputUpscalingArgs& upscaling, int64_t begin, int64_t end, float* scratch) {
  const int64_t channels = upscaling.channels;
  const int64_t half = channels / 2;
  const int64_t quarter = channels / 4;
  float* const once = scratch;
  float* const twice = once + channels * kTilePositions;
  float* const pixels = twice + half * kTilePositions;
  for (int64_t tile = begin; tile < end; ++tile) {
    const float* keys = upscaling.keys + tile * channels * kTilePositions;
    const float* features1 = upscaling.features1 + tile * channels * kTilePositions;
    Multiply(PackedPanels(upscaling.weight1, channels, channels), keys, kTilePositions, {features1}, once);
    for (int64_t part = 0; part < 4; ++part) {
      float* const values = once + part * quarter * kTilePositions;
      NormalizeTile(values, quarter, upscaling.norm_weight, upscaling.norm_bias, upscaling.norm_epsilon);
      GeluTile(values, quarter);
      const float* features2 = upscaling.features2 + (tile * 4 + part) * half * kTilePositions;
      Multiply(PackedPanels(upscaling.weight2, half, quarter), values, kTilePositions, {features2}, twice);
      GeluTile(twice, half);
      for (int64_t pixel = 0; pixel < 4; ++pixel) {
        Multiply(RowMajor(upscaling.mask_weights, upscaling.masks, channels / 8, channels / 8),
                 twice + pixel * channels / 8 * kTilePositions, kTilePositions, {},
                 pixels + (part * 4 + pixel) * upscaling.masks * kTilePositions);
      }
    }
    PlacePixels(upscaling, tile, pixels);
  }
}

}  // namespace
