// How many points of segment-everything are decoded at once, and what a batch of them takes in memory.
#pragma once

#include <c10/core/Device.h>
#include <c10/core/ScalarType.h>

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

namespace sam3_tracker {

// How a model decodes a batch.
struct BatchDecoding {
  c10::Device device;
  c10::ScalarType dtype;
  // attn_implementation: "eager".
  bool eager_attention;
  int64_t threads;
  // Whether the decoder has kernels of its own for this processor.
  bool has_kernels;
};

// With this process's threads and kernels.
BatchDecoding DecodingOf(const c10::Device& device, c10::ScalarType dtype, bool eager_attention);

// How many points are decoded before their masks are encoded and let go; nullopt where the decoder takes a
// batch as one, whose size is the caller's choice then.
std::optional<int64_t> PointsAtOnce(const BatchDecoding& decoding);

// Of a model's configuration.
struct DecoderSizes {
  // backbone_feature_sizes of the vision encoder, [height, width] each; the last three are the decoder's.
  std::vector<std::array<int64_t, 2>> feature_sizes;
  int64_t hidden_size;
  int64_t num_multimask_outputs;
};

// What batches take beside the model and the embeddings, about: the decoder's maps, and masks before they are
// encoded.
class BatchMemory {
 public:
  // Throws Sam3Error kInvalidArgument for fewer than three feature sizes.
  BatchMemory(const BatchDecoding& decoding, const DecoderSizes& sizes);

  // Bytes that one point takes.
  double least() const { return image_ + object_ + masks_; }

  // The most points that a batch may have to take so many bytes, at least least(); nullopt where more take no
  // more.
  std::optional<int64_t> PointsWithin(double bytes) const;

 private:
  std::optional<int64_t> at_once_;
  // Objects that are decoded at the same time.
  int64_t under_way_;
  // Bytes: once for the image, for each object that is under way, and for the masks of each point that is at
  // once decoded.
  double image_;
  double object_;
  double masks_;
};

}  // namespace sam3_tracker
