// Kernels of our own for the mask decoder in float32 on the CPU: the image's side of its
// two-way attention, and output upscaling, tile by tile, so that nothing between two matrix products leaves
// the cache. FusedBackend calls them; their aten twin is the decoder's method decode_prepared.
#pragma once

#include <cstdint>

namespace sam3_tracker {

// Blocked layout: a map of `rows` values a position is stored as tiles (tiles, rows, kTilePositions), the
// last one filled up with zeros.
inline constexpr int64_t kTilePositions = 64;

// Packed panels: a matrix is stored as (panels, depth, kPanelRows), the last panel filled up with zeros; a
// product makes so many rows at a time.
inline constexpr int64_t kPanelRows = 6;

// The tokens' side of an attention between them and the image. The scores of a position are a sum: one part
// from projections that many objects share, one from the keys of this object, into whose factor the image
// side's weights are folded.
struct TokenProjections {
  const float* projected = nullptr;  // (heads * tokens, head_dim)
  const float* image = nullptr;      // tiles of (heads * head_dim): the image's or its positions' projection
  const float* folded = nullptr;     // (heads * tokens, channels), panels; null: no second part
};

// What the image does in a TwoWayAttentionBlock: cross_attn_image_to_token with its layer norm, which changes
// the keys, and then the next cross_attn_token_to_image over the changed keys.
struct TwoWayAttentionArgs {
  int64_t positions = 0;
  int64_t channels = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t tokens = 0;
  const float* keys = nullptr;  // tiles of (channels)
  float* new_keys = nullptr;    // tiles of (channels), may be `keys`; null: the keys stay as they are

  TokenProjections image_to_token;
  const float* image_to_token_values = nullptr;  // (channels, heads * tokens), panels
  const float* norm_weight = nullptr;            // (channels)
  const float* norm_bias = nullptr;              // (channels)
  float norm_epsilon = 0;

  TokenProjections token_to_image;
};

// State of the online softmax of cross_attn_token_to_image over some of the tiles. `rows` is heads * tokens,
// filled up to PaddedRows.
struct OnlineSoftmax {
  float* keys = nullptr;  // (channels, padded rows): sums of the keys, weighted by exp(score - running max)
  float* running_max = nullptr;  // (padded rows)
  float* running_sum = nullptr;  // (padded rows): of the weights
  float* scores = nullptr;       // scratch: (rows, kTilePositions)
  float* weights = nullptr;      // scratch: (kTilePositions, padded rows)
};

// Two transposed convolutions with kernel and stride 2, with layer norm, GELU and the high-resolution
// features between them, and the masks. A position of the image becomes 2 x 2 and then 4 x 4 pixels of the
// masks.
struct OutputUpscalingArgs {
  int64_t positions = 0;
  int64_t width = 0;  // positions in a row of the image
  int64_t channels = 0;
  int64_t masks = 0;
  const float* keys = nullptr;         // tiles of (channels)
  const float* features1 = nullptr;    // tiles of (2, 2, channels / 4), the convolution's bias added
  const float* weight1 = nullptr;      // (2 * 2 * channels / 4, channels), panels
  const float* norm_weight = nullptr;  // (channels / 4)
  const float* norm_bias = nullptr;    // (channels / 4)
  float norm_epsilon = 0;
  const float* features2 = nullptr;     // tiles of (2, 2, 2, 2, channels / 8), the convolution's bias added
  const float* weight2 = nullptr;       // (2 * 2 * channels / 8, channels / 4), panels
  const float* mask_weights = nullptr;  // (masks, channels / 8)
  float* output = nullptr;              // (masks, 4 * height, 4 * width)
};

// The kernels for one kind of processor. Each works on the tiles [begin, end) and may be called for others at
// the same time. All tiles, buffers and panels begin at multiples of 64 bytes.
struct DecoderKernels {
  void (*two_way_attention)(const TwoWayAttentionArgs& args, int64_t begin, int64_t end,
                            const OnlineSoftmax& softmax);
  // `scratch` holds OutputUpscalingScratch elements.
  void (*output_upscaling)(const OutputUpscalingArgs& upscaling, int64_t begin, int64_t end, float* scratch);
};

// Heads * tokens filled up to whole vectors of every kind of processor.
constexpr int64_t PaddedRows(int64_t rows) { return (rows + 15) / 16 * 16; }

constexpr int64_t OutputUpscalingScratch(int64_t channels, int64_t masks) {
  return kTilePositions * (channels + channels / 2 + 16 * masks);
}

// The kernels for this processor, or null where there are none: aten's choice, which the environment variable
// ATEN_CPU_CAPABILITY (default, avx2, avx512) lowers.
const DecoderKernels* FindDecoderKernels();

namespace avx2 {
extern const DecoderKernels kDecoderKernels;
}
namespace avx512 {
extern const DecoderKernels kDecoderKernels;
}

}  // namespace sam3_tracker
