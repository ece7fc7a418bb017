#include "masks/nms.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace sam3_tracker {
namespace {

using Box = std::array<float, 4>;

float Area(const Box& box) { return (box[2] - box[0]) * (box[3] - box[1]); }

float Intersection(const Box& a, const Box& b) {
  const float width = std::max(0.0f, std::min(a[2], b[2]) - std::max(a[0], b[0]));
  const float height = std::max(0.0f, std::min(a[3], b[3]) - std::max(a[1], b[1]));
  return width * height;
}

}  // namespace

std::vector<int64_t> NonMaximumSuppression(const std::vector<Box>& boxes, const std::vector<float>& scores,
                                           double iou_threshold) {
  std::vector<int64_t> order(boxes.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
    return scores[a] > scores[b] || (std::isnan(scores[a]) && !std::isnan(scores[b]));
  });
  std::vector<float> areas(boxes.size());
  std::transform(boxes.begin(), boxes.end(), areas.begin(), Area);
  std::vector<bool> suppressed(boxes.size(), false);
  std::vector<int64_t> kept;
  for (size_t i = 0; i < order.size(); ++i) {
    const int64_t best = order[i];
    if (suppressed[best]) continue;
    kept.push_back(best);
    for (size_t j = i + 1; j < order.size(); ++j) {
      const int64_t other = order[j];
      if (suppressed[other]) continue;
      const float intersection = Intersection(boxes[best], boxes[other]);
      // Two boxes without an area give NaN, which suppresses neither.
      const float iou = intersection / (areas[best] + areas[other] - intersection);
      if (iou > iou_threshold) suppressed[other] = true;
    }
  }
  return kept;
}

}  // namespace sam3_tracker
