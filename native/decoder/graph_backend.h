// The decoder in aten operators alone: for processors that the kernels of our own do not know.
#pragma once

#include <functional>

#include "checkpoint/script_module.h"
#include "decoder/decoder_backend.h"

namespace sam3_tracker {

// Runs the graph's methods prepare_image, prepare_features and decode_prepared. Objects are shared out among
// the threads one by one, so that what they compute on stays in the caches.
class GraphBackend : public DecoderBackend {
 public:
  // `module` is the mask decoder and outlives this. positions: the positional embeddings, (1, channels,
  // height, width).
  GraphBackend(ScriptModule* module, const at::Tensor& positions);

  std::vector<at::Tensor> ProjectFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) override;
  std::vector<at::Tensor> ProjectImages(const at::Tensor& embeddings, const at::Tensor& no_mask) override;
  DecodedObjects Decode(const ObjectsOfImage& objects) override;

 private:
  ScriptModule* module_;
  at::Tensor positions_;
  std::vector<at::Tensor> projected_positions_;
};

}  // namespace sam3_tracker
