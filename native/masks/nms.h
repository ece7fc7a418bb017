// Non-maximum suppression of boxes.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace sam3_tracker {

// Positions of the boxes that stay, best score first, equal scores in their order: torchvision.ops.nms,
// whose float32 arithmetic it repeats. A box goes where its IoU with a better one that stays is above
// `iou_threshold`. Boxes are xyxy; NaN scores come first, as torch sorts them.
std::vector<int64_t> NonMaximumSuppression(const std::vector<std::array<float, 4>>& boxes,
                                           const std::vector<float>& scores, double iou_threshold);

}  // namespace sam3_tracker
