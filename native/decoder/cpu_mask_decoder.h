// The mask decoder for many objects on the CPU in float32.
#pragma once

#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "checkpoint/script_module.h"
#include "decoder/decoder_backend.h"
#include "decoder/image_cache.h"

namespace sam3_tracker {

// Equal to the decoder's method decode but for rounding. What depends on the image alone is computed once for
// each image and kept for the next objects.
class CpuMaskDecoder {
 public:
  // `module` is the mask decoder and outlives this.
  explicit CpuMaskDecoder(ScriptModule* module);

  // image_embeddings: feat_s0, feat_s1 and the image embedding, (images, channels, height, width) each.
  // positions: (1, channels, height, width). sparse: (images, objects, tokens, channels). no_mask: the dense
  // embedding without a mask prompt. mask: that of mask prompts, (n, channels, height, width), where n is the
  // number of images or, with a mask for each object, that of all objects.
  DecodedObjects Decode(const std::vector<at::Tensor>& image_embeddings, const at::Tensor& positions,
                        const at::Tensor& sparse, const at::Tensor& no_mask,
                        const std::optional<at::Tensor>& mask);

 private:
  ScriptModule* module_;
  ImageCache cache_;
  // Made with the first click: it needs the positional embeddings.
  std::unique_ptr<DecoderBackend> backend_;
};

}  // namespace sam3_tracker
