// The decoder's kernels beside the same in aten operators, for every kind of processor that this one can be.
#include "decoder/kernels/kernels.h"

#include <ATen/ATen.h>
#include <ATen/Version.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "decoder/blocked_layout.h"

namespace {

using namespace sam3_tracker;

int failures = 0;

void Expect(bool condition, const std::string& what) {
  if (condition) return;
  ++failures;
  std::printf("FAILED: %s\n", what.c_str());
}

// The largest difference, as a part of the largest value.
double Difference(const at::Tensor& ours, const at::Tensor& expected) {
  return (ours - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

// Ours must be as near to the exact result as 1e-5 of the scale, or, where the numbers magnify rounding, as 3
// times the distance of aten's own float32.
void ExpectNear(const at::Tensor& ours, const at::Tensor& in_float32, const at::Tensor& exact,
                const std::string& name) {
  const double difference = Difference(ours, exact);
  const double allowed = std::max(1e-5, 3 * Difference(in_float32, exact));
  Expect(difference <= allowed, name + " differ by " + std::to_string(difference * 1e6) +
                                    "e-6, allowed are " + std::to_string(allowed * 1e6) + "e-6");
}

at::Tensor Random(at::IntArrayRef sizes, double scale = 1) { return at::randn(sizes) * scale; }

at::Tensor FromTiles(const at::Tensor& tiles, int64_t positions) {
  return tiles.transpose(1, 2).reshape({-1, tiles.size(1)}).narrow(0, 0, positions);
}

struct Shape {
  int64_t positions;
  int64_t channels;
  int64_t heads;
  int64_t head_dim;
  int64_t tokens;
};

struct Side {
  at::Tensor projected, folded, positions, tiles, packed;

  Side(const Shape& shape, double scale)
      : projected(Random({shape.heads * shape.tokens, shape.head_dim}, scale)),
        folded(Random({shape.heads * shape.tokens, shape.channels}, scale)),
        positions(Random({shape.positions, shape.heads * shape.head_dim})),
        tiles(Blocked(positions.t())),
        packed(PackPanels(folded)) {}

  TokenProjections Pointers(bool is_folded) const {
    return {projected.const_data_ptr<float>(), tiles.const_data_ptr<float>(),
            is_folded ? packed.const_data_ptr<float>() : nullptr};
  }

  // (heads * tokens, positions), in the keys' dtype.
  at::Tensor Scores(const Shape& shape, const at::Tensor& keys, bool is_folded) const {
    const at::Tensor by_head = positions.to(keys.scalar_type())
                                   .view({shape.positions, shape.heads, shape.head_dim})
                                   .permute({1, 2, 0});
    const at::Tensor tokens = projected.to(keys.scalar_type()).view({shape.heads, shape.tokens, -1});
    const at::Tensor scores = at::bmm(tokens, by_head).flatten(0, 1);
    return is_folded ? scores + at::mm(folded.to(keys.scalar_type()), keys.t()) : scores;
  }
};

struct Buffers {
  at::Tensor keys, running_max, running_sum, scores, weights;

  explicit Buffers(const Shape& shape) {
    const int64_t rows = shape.heads * shape.tokens;
    const int64_t padded = PaddedRows(rows);
    // What was there before must not matter.
    keys = at::full({shape.channels, padded}, NAN);
    running_max = at::full({padded}, NAN);
    running_sum = at::full({padded}, NAN);
    scores = at::full({rows * kTilePositions + padded}, NAN);
    weights = at::full({kTilePositions, padded}, NAN);
  }

  OnlineSoftmax Pointers() const {
    return {keys.data_ptr<float>(), running_max.data_ptr<float>(), running_sum.data_ptr<float>(),
            scores.data_ptr<float>(), weights.data_ptr<float>()};
  }
};

enum class UpdateKind { kNone, kShared, kFolded };

void TestTwoWayAttention(const DecoderKernels& kernels, const Shape& shape, UpdateKind kind, double scale,
                         const std::string& name) {
  const at::Tensor keys = Random({shape.positions, shape.channels});
  const Side update(shape, scale);
  const Side attention(shape, scale);
  const at::Tensor updates = Random({shape.heads * shape.tokens, shape.channels});
  const at::Tensor weight = Random({shape.channels});
  const at::Tensor bias = Random({shape.channels});
  const bool is_folded = kind == UpdateKind::kFolded;

  // New keys and means.
  const auto attend_in = [&](c10::ScalarType dtype) {
    at::Tensor new_keys = keys.to(dtype);
    if (kind != UpdateKind::kNone) {
      const at::Tensor scores = update.Scores(shape, new_keys, is_folded);
      const at::Tensor weights =
          at::softmax(scores.view({shape.heads, shape.tokens, shape.positions}), 1).flatten(0, 1);
      new_keys = at::layer_norm(new_keys + at::mm(weights.t(), updates.to(dtype)), {shape.channels},
                                weight.to(dtype), bias.to(dtype), 1e-5);
    }
    const at::Tensor weights = at::softmax(attention.Scores(shape, new_keys, true), 1);
    return std::pair(new_keys, at::mm(weights, new_keys));
  };
  const auto [keys_in_float32, means_in_float32] = attend_in(at::kFloat);
  const auto [exact_keys, exact_means] = attend_in(at::kDouble);

  const at::Tensor tiles = Blocked(keys.t());
  const at::Tensor packed_updates = PackPanels(updates.t());
  // In place, as all blocks but the first args.
  const at::Tensor new_keys = tiles.clone();
  TwoWayAttentionArgs args;
  args.positions = shape.positions;
  args.channels = shape.channels;
  args.heads = shape.heads;
  args.head_dim = shape.head_dim;
  args.tokens = shape.tokens;
  args.keys = is_folded ? new_keys.const_data_ptr<float>() : tiles.const_data_ptr<float>();
  args.token_to_image = attention.Pointers(true);
  if (kind != UpdateKind::kNone) {
    args.new_keys = new_keys.data_ptr<float>();
    args.image_to_token = update.Pointers(is_folded);
    args.image_to_token_values = packed_updates.const_data_ptr<float>();
    args.norm_weight = weight.const_data_ptr<float>();
    args.norm_bias = bias.const_data_ptr<float>();
    args.norm_epsilon = 1e-5F;
  }
  // In two parts, which are brought together here as FusedBackend does.
  const int64_t middle = (tiles.size(0) + 1) / 2;
  std::vector<Buffers> parts;
  for (const auto& [begin, end] : {std::pair(int64_t{0}, middle), std::pair(middle, tiles.size(0))}) {
    if (begin == end) continue;
    parts.emplace_back(shape);
    kernels.two_way_attention(args, begin, end, parts.back().Pointers());
  }
  at::Tensor running_max = parts.front().running_max;
  for (const Buffers& part : parts) running_max = at::maximum(running_max, part.running_max);
  at::Tensor sums = at::zeros_like(parts.front().keys);
  at::Tensor running_sum = at::zeros_like(running_max);
  for (const Buffers& part : parts) {
    const at::Tensor share = at::exp(part.running_max - running_max);
    sums = sums + share * part.keys;
    running_sum = running_sum + share * part.running_sum;
  }
  const at::Tensor means = (sums / running_sum).t().narrow(0, 0, shape.heads * shape.tokens);
  ExpectNear(means, means_in_float32, exact_means, name + ": means");
  if (kind == UpdateKind::kNone) return;
  ExpectNear(FromTiles(new_keys, shape.positions), keys_in_float32, exact_keys, name + ": keys");
}

void TestUpscaling(const DecoderKernels& kernels, int64_t height, int64_t width, int64_t channels,
                   int64_t masks, double scale, const std::string& name) {
  const at::Tensor keys = Random({height * width, channels}, scale);
  const at::Tensor features1 = Random({height * width, channels}, scale);
  const at::Tensor features2 = Random({height * width, 2 * channels}, scale);
  const at::Tensor weight1 = Random({channels, channels}, 0.1);
  const at::Tensor weight2 = Random({channels / 2, channels / 4}, 0.1);
  const at::Tensor weight = Random({channels / 4});
  const at::Tensor bias = Random({channels / 4});
  const at::Tensor mask_weights = Random({masks, channels / 8});

  const auto masks_in = [&](c10::ScalarType dtype) {
    const at::Tensor once = at::mm(keys.to(dtype), weight1.to(dtype).t()) + features1.to(dtype);
    const at::Tensor activated = at::gelu(at::layer_norm(once.view({-1, channels / 4}), {channels / 4},
                                                         weight.to(dtype), bias.to(dtype), 1e-6));
    const at::Tensor twice =
        at::gelu(at::mm(activated, weight2.to(dtype).t()) + features2.to(dtype).view({-1, channels / 2}));
    return at::mm(mask_weights.to(dtype), twice.view({-1, channels / 8}).t())
        .view({masks, height, width, 2, 2, 2, 2})
        .permute({0, 1, 3, 5, 2, 4, 6})
        .reshape({masks, 4 * height, 4 * width});
  };

  const at::Tensor key_tiles = Blocked(keys.t());
  const at::Tensor tiles1 = Blocked(features1.t());
  const at::Tensor tiles2 = Blocked(features2.t());
  const at::Tensor packed1 = PackPanels(weight1);
  const at::Tensor packed2 = PackPanels(weight2);
  const at::Tensor output = at::full({masks, 4 * height, 4 * width}, NAN);
  const at::Tensor scratch = at::full({OutputUpscalingScratch(channels, masks)}, NAN);
  OutputUpscalingArgs upscaling;
  upscaling.positions = height * width;
  upscaling.width = width;
  upscaling.channels = channels;
  upscaling.masks = masks;
  upscaling.keys = key_tiles.const_data_ptr<float>();
  upscaling.features1 = tiles1.const_data_ptr<float>();
  upscaling.weight1 = packed1.const_data_ptr<float>();
  upscaling.norm_weight = weight.const_data_ptr<float>();
  upscaling.norm_bias = bias.const_data_ptr<float>();
  upscaling.norm_epsilon = 1e-6F;
  upscaling.features2 = tiles2.const_data_ptr<float>();
  upscaling.weight2 = packed2.const_data_ptr<float>();
  upscaling.mask_weights = mask_weights.const_data_ptr<float>();
  upscaling.output = output.data_ptr<float>();
  kernels.output_upscaling(upscaling, 0, key_tiles.size(0), scratch.data_ptr<float>());
  ExpectNear(output, masks_in(at::kFloat), masks_in(at::kDouble), name + ": masks");
}

void TestKernels(const DecoderKernels& kernels, const std::string& processor) {
  const Shape shapes[] = {
      {5184, 256, 8, 16, 8},  // facebook/sam3, a point
      {576, 64, 4, 8, 9},     // the bundled model, a box
      {100, 32, 2, 8, 7},     // less than whole tiles, vectors and panels
      {64, 40, 5, 3, 13},    {63, 8, 1, 4, 1}, {1, 16, 3, 2, 30}, {130, 24, 8, 16, 11},
  };
  for (const Shape& shape : shapes) {
    const std::string name = processor + ", " + std::to_string(shape.positions) + " positions, " +
                             std::to_string(shape.channels) + " channels";
    TestTwoWayAttention(kernels, shape, UpdateKind::kNone, 0.1, name + ", image unchanged");
    TestTwoWayAttention(kernels, shape, UpdateKind::kShared, 0.3, name + ", shared image");
    TestTwoWayAttention(kernels, shape, UpdateKind::kFolded, 0.1, name + ", own image");
    // Scores around a hundred: most weights are as good as zero.
    TestTwoWayAttention(kernels, shape, UpdateKind::kFolded, 4, name + ", sharp");
  }
  for (const auto& [height, width, channels, masks] : {std::array<int64_t, 4>{72, 72, 256, 4},
                                                       {24, 24, 64, 4},
                                                       {5, 13, 32, 2},
                                                       {1, 1, 8, 1},
                                                       {3, 70, 24, 9}}) {
    const std::string name = processor + ", " + std::to_string(height) + " x " + std::to_string(width);
    TestUpscaling(kernels, height, width, channels, masks, 1, name);
    // Far into both ends of GELU.
    TestUpscaling(kernels, height, width, channels, masks, 30, name + ", large values");
  }
}

// Maps of some objects, whose positions or whose rows lie side by side.
at::Tensor RandomMaps(int64_t objects, int64_t rows, int64_t positions, bool is_channels_last) {
  if (is_channels_last) return at::randn({objects, positions, rows}).transpose(1, 2);
  return at::randn({objects, rows, positions});
}

void TestBlockedLayout() {
  for (const auto& [objects, rows, positions] :
       {std::array<int64_t, 3>{1, 256, 5184}, {3, 40, 130}, {2, 17, 64}, {1, 1, 1}, {4, 33, 63}}) {
    for (const int layouts : {0, 1, 2, 3}) {
      const at::Tensor shared = RandomMaps(1, rows, positions, (layouts & 1) != 0);
      const at::Tensor own = RandomMaps(objects, rows, positions, (layouts & 2) != 0);
      const at::Tensor sum = shared + own;
      const int64_t missing = (kTilePositions - positions % kTilePositions) % kTilePositions;
      const at::Tensor expected =
          at::constant_pad_nd(sum, {0, missing}).reshape({objects, rows, -1, kTilePositions}).transpose(1, 2);
      const std::string name = "blocked layout, " + std::to_string(objects) + " objects, " +
                               std::to_string(positions) + " positions, layouts " + std::to_string(layouts);
      Expect(at::equal(Blocked(sum), expected), name);
      Expect(at::equal(Blocked(sum[0]), expected[0]), name + ", one map");
      Expect(at::equal(BlockedSum(shared, own), expected), name + ", of a sum");
      Expect(at::equal(BlockedSum(own, shared), expected), name + ", the other way round");
    }
  }
}

}  // namespace

int main() {
  at::manual_seed(1);
  TestBlockedLayout();
  const std::string capability = at::get_cpu_capability();
  int kinds = 0;
#if defined(SAM3_TRACKER_X86_KERNELS)
  Expect(FindDecoderKernels() == (capability == "AVX512" ? &sam3_tracker::avx512::kDecoderKernels
                                  : capability == "AVX2" ? &sam3_tracker::avx2::kDecoderKernels
                                                         : nullptr),
         "the kernels found are those for " + capability);
  if (capability == "AVX512") {
    TestKernels(sam3_tracker::avx512::kDecoderKernels, "AVX-512");
    ++kinds;
  }
  if (capability == "AVX512" || capability == "AVX2") {
    TestKernels(sam3_tracker::avx2::kDecoderKernels, "AVX2");
    ++kinds;
  }
#else
  Expect(FindDecoderKernels() == nullptr, "there are no kernels for this kind of processor");
#endif
  if (failures > 0) return EXIT_FAILURE;
  std::printf("kernels: all passed for %d kinds of processor (%s)\n", kinds, capability.c_str());
  return EXIT_SUCCESS;
}
