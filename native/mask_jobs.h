// The jobs of segment-everything as JavaScript calls them.
#pragma once

#include <napi.h>

#include "mask_filter.h"
#include "tracker_model.h"

namespace sam3_tracker {

/// One batch of points on one crop.
struct MaskBatchOptions {
  std::vector<at::Tensor> image_embeddings;
  /// (points, 2), x and y in pixels of the model's square input.
  at::Tensor points;
  /// How many are decoded before their masks are encoded and let go; above 0.
  int64_t points_at_once;
  bool multimask_output;
  bool eager;
  MaskFilterOptions filter;
};

struct MaskBatch {
  std::vector<FilteredMask> masks;
  /// Time of the decoder, and of all that follows it. On a GPU work is queued, so that the second waits for
  /// the first.
  double decode_seconds;
  double filter_seconds;
};

MaskBatchOptions ReadMaskBatchOptions(const Napi::Object& options);
/// Decodes the points and filters their masks: one job of the model's thread.
MaskBatch GenerateMaskBatch(TrackerModel& model, const MaskBatchOptions& options);
Napi::Value ConvertMaskBatch(Napi::Env env, const MaskBatch& batch);

/// suppressOverlaps(options): Promise of the positions of the boxes that stay.
Napi::Value SuppressOverlapsJob(const Napi::CallbackInfo& info);
/// removeSmallRegions(options): Promise of runs and boxes afterwards, and of which masks changed.
Napi::Value RemoveSmallRegionsJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
