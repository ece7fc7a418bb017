#include "model/generate_masks.h"

#include <algorithm>
#include <utility>

#include "model/batch_memory.h"
#include "runtime/caching_allocator.h"
#include "runtime/error.h"
#include "runtime/stopwatch.h"

namespace sam3_tracker {
namespace {

// Gives memory back that the encoder or another job has left for its next tensors: those of the decoder have
// other sizes, and would come on top of it. What the thread's last batch has left it takes up again.
class BatchCacheScope {
 public:
  BatchCacheScope() {
    if (GetTensorCacheInfo().kept_bytes > kept_by_last_) ReleaseTensorCache();
  }
  ~BatchCacheScope() { kept_by_last_ = GetTensorCacheInfo().kept_bytes; }

  BatchCacheScope(const BatchCacheScope&) = delete;
  BatchCacheScope& operator=(const BatchCacheScope&) = delete;

 private:
  static thread_local size_t kept_by_last_;
};

thread_local size_t BatchCacheScope::kept_by_last_ = 0;

}  // namespace

MaskBatch GenerateMasks(TrackerModel& model, const MaskBatchOptions& options) {
  const BatchCacheScope cache;
  ForwardInput input;
  input.image_embeddings = options.image_embeddings;
  input.multimask_output = options.multimask_output;
  input.attention = {.hidden_states = false, .attentions = false, .eager = options.eager_attention};
  MaskBatch batch{};
  if (options.points.dim() != 2) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected points of two dimensions.");
  }
  const int64_t points = options.points.size(0);
  const int64_t at_once =
      PointsAtOnce(DecodingOf(model.device(), model.dtype(), options.eager_attention)).value_or(points);
  Stopwatch watch;
  for (int64_t begin = 0; begin < points; begin += at_once) {
    if (options.cancelled && options.cancelled->load(std::memory_order_relaxed)) break;
    input.prompts.points =
        options.points.slice(0, begin, std::min(begin + at_once, points)).unsqueeze(1).unsqueeze(0);
    const ScoredMasks predicted = model.Forward(input).selected;
    batch.decode_seconds += watch.Lap();
    for (FilteredMask& mask : FilterMasks(predicted, options.filter, batch.seconds)) {
      mask.index += begin * predicted.masks.size(2);
      batch.masks.push_back(std::move(mask));
    }
    watch.Lap();
  }
  return batch;
}

}  // namespace sam3_tracker
