// Which of the decoder's masks the caller gets.
#pragma once

#include <ATen/core/Tensor.h>

#include <utility>

namespace sam3_tracker {

struct StabilityOptions {
  // dynamic_multimask_via_stability, _delta and _thresh of Sam3TrackerMaskDecoderConfig; on logits.
  bool enabled;
  double delta;
  double threshold;
};

struct ScoredMasks {
  at::Tensor masks;       // (images, objects, masks, height, width), logits
  at::Tensor iou_scores;  // (images, objects, masks)
};

// The multimask tokens, or the single mask: token 0, or where its stability is under the threshold the
// best-scored of the others. `all` holds every token's mask. Mirrors the end of
// Sam3TrackerMaskDecoder.forward.
ScoredMasks SelectMasks(const ScoredMasks& all, bool multimask_output, const StabilityOptions& stability);

}  // namespace sam3_tracker
