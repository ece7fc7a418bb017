// Kernels of our own for the mask decoder in float32 on the CPU: what an object's tokens and the image's
// positions do with each other, and the masks that come of it, tile by tile, so that nothing between two
// matrix products leaves the cache. FusedBackend calls them; their aten twin is the decoder's method
// decode_prepared.
#pragma once

#include <cstdint>

namespace sam3_tracker {

// Positions of an image that lie side by side. A map of `rows` values a position is stored as (tiles, rows,
// kTilePositions), its last tile filled up with zeros.
inline constexpr int64_t kTilePositions = 64;

// Rows that a matrix product makes at a time. A packed matrix is (panels, depth, kPanelRows), its last panel
// filled up with zeros.
inline constexpr int64_t kPanelRows = 6;

// What an attention between an object's tokens and the image multiplies with each position. All scores of a
// position are a sum: one part from projections that many objects share, one from the keys of this object.
struct TokenSide {
  const float* projected = nullptr;  // (heads * tokens, head_dim)
  const float* positions = nullptr;  // tiles of (heads * head_dim)
  const float* folded = nullptr;     // (heads * tokens, channels), packed; null: no second part
};

// One step of an object through the image: attention of the image to the tokens with its layer norm, which
// changes the keys, and then attention of the tokens to the changed keys.
struct ImageWalk {
  int64_t positions = 0;
  int64_t channels = 0;
  int64_t heads = 0;
  int64_t head_dim = 0;
  int64_t tokens = 0;
  const float* keys = nullptr;  // tiles of (channels)
  float* new_keys = nullptr;    // tiles of (channels), may be `keys`; null: the keys stay as they are

  TokenSide update;                    // how much each position takes of each token
  const float* updates = nullptr;      // what it takes: (channels, heads * tokens), packed
  const float* norm_weight = nullptr;  // (channels)
  const float* norm_bias = nullptr;    // (channels)
  float norm_epsilon = 0;

  TokenSide attention;  // the tokens' questions
};

// What the tokens' attention has found in some of the tiles: not yet divided by the totals. `rows` is heads *
// tokens, filled up to PaddedRows.
struct AttentionSums {
  float* keys = nullptr;     // (channels, padded rows): the keys, weighted by exp(score - maximum)
  float* maxima = nullptr;   // (padded rows)
  float* totals = nullptr;   // (padded rows): of the weights
  float* scores = nullptr;   // scratch: (rows, kTilePositions)
  float* weights = nullptr;  // scratch: (kTilePositions, padded rows)
};

// Two transposed convolutions with kernel and stride 2, with layer norm, GELU and the high-resolution
// features between them, and the masks. A position of the image becomes 2 x 2 and then 4 x 4 pixels of the
// masks.
struct MaskUpscaling {
  int64_t positions = 0;
  int64_t width = 0;  // positions in a row of the image
  int64_t channels = 0;
  int64_t masks = 0;
  const float* keys = nullptr;         // tiles of (channels)
  const float* features1 = nullptr;    // tiles of (2, 2, channels / 4), the convolution's bias added
  const float* weight1 = nullptr;      // (2 * 2 * channels / 4, channels), packed
  const float* norm_weight = nullptr;  // (channels / 4)
  const float* norm_bias = nullptr;    // (channels / 4)
  float norm_epsilon = 0;
  const float* features2 = nullptr;     // tiles of (2, 2, 2, 2, channels / 8), the convolution's bias added
  const float* weight2 = nullptr;       // (2 * 2 * channels / 8, channels / 4), packed
  const float* mask_weights = nullptr;  // (masks, channels / 8)
  float* output = nullptr;              // (masks, 4 * height, 4 * width)
};

// The kernels for one kind of processor. Each works on the tiles [begin, end) and may be called for others at
// the same time. All tiles, buffers and packed matrices begin at multiples of 64 bytes.
struct DecoderKernels {
  void (*walk_image)(const ImageWalk& walk, int64_t begin, int64_t end, const AttentionSums& sums);
  // `scratch` holds MaskUpscalingScratch elements.
  void (*upscale_masks)(const MaskUpscaling& upscaling, int64_t begin, int64_t end, float* scratch);
};

// Heads * tokens filled up to whole vectors of every kind of processor.
constexpr int64_t PaddedRows(int64_t rows) { return (rows + 15) / 16 * 16; }

constexpr int64_t MaskUpscalingScratch(int64_t channels, int64_t masks) {
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
