#include "decoder/cpu_mask_decoder.h"

#include <ATen/ops/cat.h>

#include "decoder/fused_backend.h"
#include "decoder/graph_backend.h"
#include "decoder/kernels/kernels.h"

namespace sam3_tracker {
namespace {

// Four images in the size of facebook/sam3.
constexpr int64_t kCachedBytes = int64_t{128} << 20;

std::vector<at::Tensor> OneImage(const std::vector<at::Tensor>& parts, int64_t image) {
  std::vector<at::Tensor> one;
  for (const at::Tensor& part : parts) one.push_back(part.size(0) == 1 ? part : part.narrow(0, image, 1));
  return one;
}

std::unique_ptr<DecoderBackend> MakeBackend(ScriptModule* module, const at::Tensor& positions) {
  const DecoderKernels* kernels = FindDecoderKernels();
  if (kernels) return std::make_unique<FusedBackend>(module, kernels, positions);
  return std::make_unique<GraphBackend>(module, positions);
}

at::Tensor Joined(const std::vector<at::Tensor>& of_images) {
  return of_images.size() == 1 ? of_images.front() : at::cat(of_images);
}

}  // namespace

CpuMaskDecoder::CpuMaskDecoder(ScriptModule* module) : module_(module), cache_(kCachedBytes) {}

DecodedObjects CpuMaskDecoder::Decode(const std::vector<at::Tensor>& image_embeddings,
                                      const at::Tensor& positions, const at::Tensor& sparse,
                                      const at::Tensor& no_mask, const std::optional<at::Tensor>& mask) {
  if (!backend_) backend_ = MakeBackend(module_, positions);
  const std::shared_ptr<CachedImages> kept = cache_.Get(image_embeddings);
  const at::Tensor& embedding = image_embeddings.at(2);
  if (kept->features.empty()) {
    kept->features = backend_->ProjectFeatures(image_embeddings.at(0), image_embeddings.at(1));
  }
  if (!mask && kept->image.empty()) kept->image = backend_->ProjectImages(embedding, no_mask);
  cache_.Trim();

  std::vector<at::Tensor> masks;
  std::vector<at::Tensor> iou_scores;
  std::vector<at::Tensor> object_score_logits;
  const int64_t images = sparse.size(0);
  for (int64_t image = 0; image < images; ++image) {
    ObjectsOfImage objects{OneImage(kept->features, image),
                           {},
                           embedding.narrow(0, image, 1),
                           std::nullopt,
                           sparse.narrow(0, image, 1)};
    if (mask) {
      const int64_t masks_of_image = mask->size(0) / images;
      objects.mask = mask->narrow(0, image * masks_of_image, masks_of_image);
    } else {
      objects.image = OneImage(kept->image, image);
    }
    const DecodedObjects decoded = backend_->Decode(objects);
    masks.push_back(decoded.all.masks);
    iou_scores.push_back(decoded.all.iou_scores);
    object_score_logits.push_back(decoded.object_score_logits);
  }
  return {{Joined(masks), Joined(iou_scores)}, Joined(object_score_logits)};
}

}  // namespace sam3_tracker
