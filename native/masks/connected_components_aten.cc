#include "masks/connected_components_aten.h"

#include <ATen/Functions.h>

#include <algorithm>
#include <cmath>
#include <utility>

namespace sam3_tracker {
namespace {

// Pixels that are labelled together, at up to 40 bytes each while that lasts (160 MiB).
constexpr int64_t kChunkPixels = int64_t{1} << 22;
// Steps until the device is asked for the first time whether labels still spread.
constexpr int64_t kFirstCheck = 64;
// Integers up to here are exact in float32, the cheapest dtype that max_pool2d takes everywhere.
constexpr int64_t kMostFloatLabels = int64_t{1} << 24;

// Labels after they have spread to the eight neighbours within their component; 0 stays outside.
at::Tensor Spread(const at::Tensor& labels, const at::Tensor& inside) {
  return at::max_pool2d(labels, {3, 3}, {1, 1}, {1, 1}).mul_(inside);
}

// Where pixels of `inside` (masks, height, width), bool, belong to an 8-connected component of at most
// `max_area` pixels.
//
// Each pixel starts as its own label, and takes the highest of its neighbours' in each step, so that after n
// steps it has the highest within n pixels of way through its component. n = max_area steps are enough to
// tell the small components exactly, and no convergence has to be waited for:
// - A component of at most n pixels has one label by then, since no way through it is longer.
// - Of a larger one whose labels still spread, the pixels of one label are no component. Where they touch a
//   higher label, one more step shows it. Where they touch lower ones only, the label stopped n pixels of
//   way from where it began, and all pixels on that way have it: they are more than n.
at::Tensor FindSmallComponents(const at::Tensor& inside, double max_area) {
  const int64_t masks = inside.size(0);
  const int64_t pixels = inside.size(1) * inside.size(2);
  const auto most = static_cast<int64_t>(std::floor(std::min(max_area, static_cast<double>(pixels))));
  const at::ScalarType dtype = pixels < kMostFloatLabels ? at::kFloat : at::kDouble;
  at::Tensor labels = at::arange(1, pixels + 1, inside.options().dtype(dtype))
                          .view({1, inside.size(1), inside.size(2)})
                          .mul(inside);
  // Natural masks are done long before a large limit's number of steps. An answer costs a wait for the
  // device, so it is asked for at 64 steps, 128, 256 and so on: at most as many steps again for nothing.
  int64_t next_check = kFirstCheck;
  for (int64_t step = 0; step < most; ++step) {
    at::Tensor spread = Spread(labels, inside);
    const bool is_done = step == next_check && spread.equal(labels);
    if (step == next_check) next_check *= 2;
    labels = std::move(spread);
    if (is_done) break;
  }
  const at::Tensor unfinished = Spread(labels, inside).ne_(labels);
  const at::Tensor positions = labels.flatten(1).to(at::kLong);
  // An unfinished pixel counts as too many.
  const at::Tensor weights = unfinished.flatten(1).to(at::kLong).mul_(most).add_(1);
  const at::Tensor areas =
      at::zeros({masks, pixels + 1}, positions.options()).scatter_add_(1, positions, weights);
  return areas.gather(1, positions).le(most).view(inside.sizes()).logical_and_(inside);
}

at::Tensor CleanChunk(const at::Tensor& masks, const ComponentLimits<double>& limits) {
  at::Tensor cleaned = masks;
  if (limits.areas.max_hole_area > 0)
    cleaned = cleaned.masked_fill(FindSmallComponents(masks.le(limits.threshold), limits.areas.max_hole_area),
                                  limits.hole_value);
  if (limits.areas.max_sprinkle_area > 0)
    cleaned =
        cleaned.masked_fill(FindSmallComponents(masks.gt(limits.threshold), limits.areas.max_sprinkle_area),
                            limits.sprinkle_value);
  return cleaned;
}

}  // namespace

at::Tensor FillHolesAndRemoveSprinklesWithAten(const at::Tensor& masks,
                                               const ComponentLimits<double>& limits) {
  at::Tensor cleaned = at::empty(masks.sizes(), masks.options());
  const int64_t count = masks.size(0);
  const int64_t chunk =
      std::max<int64_t>(1, kChunkPixels / std::max<int64_t>(1, masks.size(1) * masks.size(2)));
  for (int64_t begin = 0; begin < count; begin += chunk) {
    const int64_t length = std::min(chunk, count - begin);
    cleaned.narrow(0, begin, length).copy_(CleanChunk(masks.narrow(0, begin, length), limits));
  }
  return cleaned;
}

}  // namespace sam3_tracker
