// The decoder with kernels of our own for everything that is done at each position of the image.
#pragma once

#include "checkpoint/script_module.h"
#include "decoder/decoder_backend.h"
#include "decoder/kernels/kernels.h"

namespace sam3_tracker {

// Runs the graph's methods start_tokens, update_tokens and finish_tokens, and between them the
// kernels. A few objects go through the graph together; at the image they are shared out
// among the threads, and parts of the image where there are fewer objects than threads.
class FusedBackend : public DecoderBackend {
 public:
  // As GraphBackend.
  FusedBackend(ScriptModule* module, const DecoderKernels* kernels, const at::Tensor& positions);

  // Objects that go through the graph together, so that its weights are read once for all of them: a few, or
  // one for each thread.
  static int64_t ObjectsTogether(int64_t threads);

  // Tiles of both, feat_s1's first.
  std::vector<at::Tensor> ProjectFeatures(const at::Tensor& feat_s0, const at::Tensor& feat_s1) override;
  // Tiles of the image, of its keys and of its queries for the first block.
  std::vector<at::Tensor> ProjectImages(const at::Tensor& embeddings, const at::Tensor& no_mask) override;
  DecodedObjects Decode(const ObjectsOfImage& objects) override;

 private:
  struct Norm {
    at::Tensor weight;
    at::Tensor bias;
    float epsilon;
  };
  // The tokens' side of an attention, (objects, ...) each: see TokenProjections and the graph's interface.
  struct Projections {
    at::Tensor projected;
    at::Tensor folded;  // panels; undefined where the image's projection is the whole score

    // Of one object; image: tiles of the image's projection.
    TokenProjections Pointers(int64_t object, const at::Tensor& image) const;
  };
  // cross_attn_image_to_token of a block.
  struct ImageToToken {
    Projections tokens;
    at::Tensor image;   // tiles
    at::Tensor values;  // panels
    int64_t block;
  };

  // Of objects (1, some, tokens, channels). image: from ProjectImages, or the tiles of an image that is not
  // projected, (1 or some, ...).
  DecodedObjects DecodeTogether(const at::Tensor& sparse, const std::vector<at::Tensor>& image,
                                const std::vector<at::Tensor>& features);

  // Runs the kernel for all objects, from `keys` to `new_keys`, tiles of (1 or objects, ...), and returns
  // what cross_attn_token_to_image gathers: means of the keys, (objects, heads * tokens, channels). image:
  // tiles of the image's projection for it. image_to_token: null leaves the keys as they are.
  at::Tensor TwoWayAttention(const at::Tensor& keys, at::Tensor* new_keys, const ImageToToken* image_to_token,
                             const Projections& token_to_image, const at::Tensor& image) const;

  // Masks (1, objects, masks, 4 * height, 4 * width) of the keys (objects, ...) of all objects.
  at::Tensor OutputUpscaling(const at::Tensor& keys, const std::vector<at::Tensor>& features,
                             const at::Tensor& mask_weights) const;

  ScriptModule* module_;
  const DecoderKernels* kernels_;
  at::Tensor positions_;
  // Tiles of what prepare_positions gives.
  std::vector<at::Tensor> projected_positions_;
  // Of the blocks, and last the one between the convolutions.
  std::vector<Norm> norms_;
  // Panels.
  at::Tensor weight1_;
  at::Tensor weight2_;
  int64_t channels_;
  int64_t height_;
  int64_t width_;
  int64_t heads_;
  int64_t head_dim_;
};

}  // namespace sam3_tracker
