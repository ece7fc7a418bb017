// The mask decoder for many objects on the CPU in float32.
#pragma once

#include <ATen/core/List.h>
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "mask_selection.h"
#include "prepared_images.h"
#include "script_component.h"

namespace sam3_tracker {

struct DecodedObjects {
  ScoredMasks all;                 // of every mask token
  at::Tensor object_score_logits;  // (images, objects, 1)
};

// Runs the decoder's methods prepare_image, prepare_positions, prepare_features and decode_prepared: equal to
// its method decode but for rounding. What depends on the image alone is computed once for each image, and
// objects are shared out among the threads one by one, so that what they compute on stays in the caches.
class ObjectDecoder {
 public:
  // `component` is the mask decoder and outlives this.
  explicit ObjectDecoder(ScriptComponent* component);

  // image_embeddings: feat_s0, feat_s1 and the image embedding, (images, channels, height, width) each.
  // positions: (1, channels, height, width). sparse: (images, objects, tokens, channels). no_mask: the dense
  // embedding without a mask prompt. mask: that of mask prompts, (n, channels, height, width), where n is the
  // number of images or, with a mask for each object, that of all objects.
  DecodedObjects Decode(const std::vector<at::Tensor>& image_embeddings, const at::Tensor& positions,
                        const at::Tensor& sparse, const at::Tensor& no_mask,
                        const std::optional<at::Tensor>& mask);

 private:
  // Decodes the objects of one image into their places of `decoded`. `image_of` gives an object what
  // prepare_image gave for it, and is called by several threads at once.
  void DecodeObjects(const std::function<c10::List<at::Tensor>(int64_t object)>& image_of,
                     const c10::List<at::Tensor>& features, const at::Tensor& sparse, int64_t image,
                     DecodedObjects* decoded);

  ScriptComponent* component_;
  PreparedImagesCache cache_;
  // What prepare_positions gives: depends on the weights alone, so it is computed with the first click.
  std::vector<at::Tensor> prepared_positions_;
};

}  // namespace sam3_tracker
