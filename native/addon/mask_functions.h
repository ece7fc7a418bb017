// The jobs of segment-everything as JavaScript calls them.
#pragma once

#include <napi.h>

#include <atomic>
#include <memory>
#include <vector>

#include "masks/filter_masks.h"
#include "model/tracker_model.h"

namespace sam3_tracker {

// One batch of points on one crop.
struct MaskBatchOptions {
  std::vector<at::Tensor> image_embeddings;
  // (points, 2), x and y in pixels of the model's square input.
  at::Tensor points;
  // How many are decoded before their masks are encoded and let go; above 0.
  int64_t points_at_once;
  bool multimask_output;
  bool eager;
  MaskFilterOptions filter;
  // Set from the JS thread when nobody wants the masks any more; null where nobody can say so.
  std::shared_ptr<const std::atomic<bool>> cancelled;
};

struct MaskBatch {
  std::vector<FilteredMask> masks;
  // Time of the decoder, and of what follows it. On a GPU work is queued, so that the filter waits for the
  // decoder.
  double decode_seconds;
  MaskFilterSeconds seconds;
};

MaskBatchOptions ReadMaskBatchOptions(const Napi::Object& options);
// Decodes the points and filters their masks: one job of the model's thread. Once cancelled it ends with the
// points that are under way.
MaskBatch GenerateMaskBatch(TrackerModel& model, const MaskBatchOptions& options);
Napi::Value ConvertMaskBatch(Napi::Env env, const MaskBatch& batch);

// makeCancelFlag(): what generateMasks takes as `cancelFlag`, and cancel(flag) sets.
Napi::Value MakeCancelFlag(const Napi::CallbackInfo& info);
void SetCancelFlag(const Napi::CallbackInfo& info);

// suppressOverlaps(options): Promise of the positions of the boxes that stay.
Napi::Value SuppressOverlapsJob(const Napi::CallbackInfo& info);
// removeSmallRegions(options): Promise of RLE and boxes afterwards, and of which masks changed.
Napi::Value RemoveSmallRegionsJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
