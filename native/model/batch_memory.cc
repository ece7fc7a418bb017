#include "model/batch_memory.h"

#include <ATen/Parallel.h>

#include <cmath>

#include "decoder/fused_backend.h"
#include "decoder/kernels/kernels.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// Points whose masks are held as logits at the same time, where the decoder takes points one by one anyway.
constexpr int64_t kPointsAtOnce = 16;

// More than any memory holds.
constexpr double kMostPoints = 9007199254740992.0;

// The next multiple of the threads: points are shared out among them, so many at a time as they would be all
// at once.
int64_t RoundUp(int64_t points, int64_t threads) { return (points + threads - 1) / threads * threads; }

// How many of each of a model's maps, finest first, and of a mask.
struct Maps {
  double full;
  double half;
  double keys;
  double mask;
};

// Alive at once: for an image, for each object that is under way, and for each mask of an object that is
// decoded.
struct LiveMaps {
  Maps image;
  Maps object;
  Maps decoded;
};

// From measured peaks of the resident set, in the size of facebook/sam3 on the CPU, after a batch of another
// image. Points one by one (float32) with the kernels: 35 to 38 MiB for one, 66 to 67 for four, 118 to 121
// for 16 and 130 to 150 for 64, with one thread and with two, where these make 42, 76, 152 and 152. Without
// the kernels, with the maps of an earlier decoder: 36 to 59 MiB for one, 87 to 98 for 16 and for 64 with one
// thread, 101 to 124 with two, where these make 54, 101 and 126. Batches of 1, 12 and 24 decoded as one: 73,
// 546 and 1088 MiB in float32 with eager attention, 43, 446 and 715 in bfloat16, where these make 74, 610 and
// 1195, and 55, 457 and 896.

// The kernels go through the image in tiles and keep nothing else of it.
constexpr LiveMaps kWithKernels = {.image = {.full = 1, .half = 1, .keys = 3, .mask = 0},
                                   .object = {.full = 0, .half = 0, .keys = 1, .mask = 0},
                                   .decoded = {.full = 0, .half = 0, .keys = 0, .mask = 5}};
constexpr LiveMaps kWithoutKernels = {.image = {.full = 1, .half = 1, .keys = 2, .mask = 0},
                                      .object = {.full = 1, .half = 1, .keys = 2, .mask = 0},
                                      .decoded = {.full = 0, .half = 0, .keys = 0, .mask = 2.5}};
// Of a batch that is decoded as one.
constexpr LiveMaps kAsOne = {.image = {.full = 1, .half = 1, .keys = 2, .mask = 0},
                             .object = {.full = 2, .half = 1, .keys = 4, .mask = 0},
                             .decoded = {.full = 0, .half = 0, .keys = 0, .mask = 2.5}};

// Elements of each map.
Maps ElementsOf(const DecoderSizes& sizes) {
  const size_t levels = sizes.feature_sizes.size();
  if (levels < 3) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected the sizes of at least three levels of features.");
  }
  const auto area = [&](size_t level) {
    const auto [height, width] = sizes.feature_sizes[level];
    return static_cast<double>(height) * static_cast<double>(width);
  };
  const auto channels = static_cast<double>(sizes.hidden_size);
  return {.full = area(levels - 3) * channels / 8,
          .half = area(levels - 2) * channels / 4,
          .keys = area(levels - 1) * channels,
          .mask = area(levels - 3)};
}

double Sum(const Maps& counts, const Maps& elements) {
  return counts.full * elements.full + counts.half * elements.half + counts.keys * elements.keys +
         counts.mask * elements.mask;
}

}  // namespace

BatchDecoding DecodingOf(const c10::Device& device, c10::ScalarType dtype, bool eager_attention) {
  return {.device = device,
          .dtype = dtype,
          .eager_attention = eager_attention,
          .threads = at::get_num_threads(),
          .has_kernels = FindDecoderKernels() != nullptr};
}

std::optional<int64_t> PointsAtOnce(const BatchDecoding& decoding) {
  if (!decoding.device.is_cpu() || decoding.dtype != c10::kFloat || decoding.eager_attention) {
    return std::nullopt;
  }
  return RoundUp(kPointsAtOnce, decoding.threads);
}

BatchMemory::BatchMemory(const BatchDecoding& decoding, const DecoderSizes& sizes)
    : at_once_(PointsAtOnce(decoding)),
      under_way_(decoding.has_kernels ? FusedBackend::ObjectsTogether(decoding.threads) : decoding.threads) {
  const LiveMaps& live = !at_once_ ? kAsOne : decoding.has_kernels ? kWithKernels : kWithoutKernels;
  const Maps elements = ElementsOf(sizes);
  // Half precision is float32 here and there.
  const double bytes = decoding.dtype == c10::kFloat ? 4 : 3;
  image_ = Sum(live.image, elements) * bytes;
  object_ = Sum(live.object, elements) * bytes;
  masks_ = Sum(live.decoded, elements) * bytes * static_cast<double>(sizes.num_multimask_outputs + 1);
}

std::optional<int64_t> BatchMemory::PointsWithin(double bytes) const {
  const double left = bytes - image_;
  const double each = object_ + masks_;
  // Of a quotient that no integer holds the conversion is undefined.
  if (!(each > 0) || !(std::abs(left / each) < kMostPoints)) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected sizes of at least 1 and a number of bytes.");
  }
  const auto points = static_cast<int64_t>(std::floor(left / each));
  if (!at_once_) return points;
  const double objects = static_cast<double>(under_way_) * object_;
  if (left >= objects + static_cast<double>(*at_once_) * masks_) return std::nullopt;
  if (points < under_way_) return points;
  return static_cast<int64_t>(std::floor((left - objects) / masks_));
}

}  // namespace sam3_tracker
