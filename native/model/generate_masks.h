// One batch of segment-everything: points on one part of an image to the masks that pass the filters.
#pragma once

#include <ATen/core/Tensor.h>

#include <atomic>
#include <memory>
#include <vector>

#include "masks/filter_masks.h"
#include "model/tracker_model.h"

namespace sam3_tracker {

// Set from another thread when nobody wants the masks any more.
using CancelFlag = std::shared_ptr<std::atomic<bool>>;

struct MaskBatchOptions {
  // Of the one image that the crop is.
  std::vector<at::Tensor> image_embeddings;
  at::Tensor points;  // (points, 2), x and y in pixels of the model's square input
  bool multimask_output;
  bool eager_attention;
  MaskFilterOptions filter;
  CancelFlag cancelled;  // null where nobody can say so
};

struct MaskBatch {
  std::vector<FilteredMask> masks;
  // Time of the decoder, and of what follows it. On a GPU work is queued, so that the filter waits for the
  // decoder.
  double decode_seconds;
  MaskFilterSeconds seconds;
};

// Decodes the points, some at once (see PointsAtOnce), and filters their masks. Once cancelled it ends with
// the points that are under way. Throws as TrackerModel::Forward and FilterMasks.
MaskBatch GenerateMasks(TrackerModel& model, const MaskBatchOptions& options);

}  // namespace sam3_tracker
