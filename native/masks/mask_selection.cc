#include "masks/mask_selection.h"

#include <ATen/Functions.h>

namespace sam3_tracker {
namespace {

// Sam3TrackerMaskDecoder._get_stability_scores.
at::Tensor StabilityScores(const at::Tensor& masks, double delta) {
  const at::Tensor logits = masks.flatten(-2);
  const at::Tensor inner = logits.gt(delta).sum(-1).to(at::kFloat);
  const at::Tensor outer = logits.gt(-delta).sum(-1).to(at::kFloat);
  return at::where(outer.gt(0), inner / outer, at::ones({}, outer.options()));
}

}  // namespace

ScoredMasks SelectMasks(const ScoredMasks& all, bool multimask_output, const StabilityOptions& stability) {
  const at::Tensor single_mask = all.masks.slice(2, 0, 1);
  const at::Tensor single_score = all.iou_scores.slice(2, 0, 1);
  const at::Tensor multi_masks = all.masks.slice(2, 1);
  const at::Tensor multi_scores = all.iou_scores.slice(2, 1);
  if (multimask_output) return {multi_masks.contiguous(), multi_scores.contiguous()};
  if (!stability.enabled) return {single_mask.contiguous(), single_score.contiguous()};
  const at::Tensor best = at::argmax(multi_scores, -1, /*keepdim=*/true);
  const at::Tensor best_score = multi_scores.gather(2, best);
  const at::Tensor best_mask = multi_masks.gather(
      2, best.unsqueeze(-1).unsqueeze(-1).expand({-1, -1, 1, multi_masks.size(-2), multi_masks.size(-1)}));
  const at::Tensor stable = StabilityScores(single_mask, stability.delta).ge(stability.threshold);
  return {at::where(stable.unsqueeze(-1).unsqueeze(-1), single_mask, best_mask),
          at::where(stable, single_score, best_score)};
}

}  // namespace sam3_tracker
