// Decodes the objects of one image, in float32 on the CPU.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "masks/mask_selection.h"

namespace sam3_tracker {

struct DecodedObjects {
  ScoredMasks all;                 // of every mask token
  at::Tensor object_score_logits;  // (images, objects, 1)
};

// The objects of one image and what is known of the image; everything is one image's, in a first dimension of
// one.
struct ObjectsOfImage {
  std::vector<at::Tensor> features;  // from ProjectFeatures
  std::vector<at::Tensor> image;     // from ProjectImages; empty with a mask prompt
  at::Tensor embedding;              // (1, channels, height, width)
  std::optional<at::Tensor>
      mask;           // the mask prompts' dense embedding, (1 or objects, channels, height, width)
  at::Tensor sparse;  // (1, objects, tokens, channels)
};

class DecoderBackend {
 public:
  virtual ~DecoderBackend() = default;

  // What the decoder needs of the two high-resolution features, and of the image embeddings without a mask
  // prompt, (images, channels, height, width) each: tensors whose first dimension is the images, to be kept
  // for as long as they are decoded. no_mask: the dense embedding without a mask prompt.
  virtual std::vector<at::Tensor> ProjectFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) = 0;
  virtual std::vector<at::Tensor> ProjectImages(const at::Tensor& embeddings, const at::Tensor& no_mask) = 0;

  // Results (1, objects, ...).
  virtual DecodedObjects Decode(const ObjectsOfImage& objects) = 0;
};

}  // namespace sam3_tracker
