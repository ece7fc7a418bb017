// SAM3 Tracker: the three components and the steps between them. One thread at a time.
#pragma once

#include <ATen/core/Tensor.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "checkpoint/script_module.h"
#include "decoder/cpu_mask_decoder.h"
#include "masks/mask_selection.h"
#include "masks/post_process.h"
#include "runtime/device_graphs.h"

namespace sam3_tracker {

struct LoadOptions {
  std::string vision_encoder;
  std::string prompt_encoder;
  std::string mask_decoder;
  // Empty where the graphs hold their weights, or where the weights are random.
  std::vector<SafetensorsTable> weight_files;
  std::optional<RandomWeights> random_weights;
  c10::Device device;
  c10::ScalarType dtype;
  StabilityOptions stability;
  // num_point_embeddings of the prompt encoder: labels are below it.
  int64_t point_embeddings;
};

// Coordinates are pixels of the model's square input.
struct Prompts {
  std::optional<at::Tensor> points;  // (images, objects, points, 2), x and y
  std::optional<at::Tensor> labels;  // (images, objects, points)
  std::optional<at::Tensor> boxes;   // (images, objects, 4), xyxy
  // (images, 1 for all objects or one for each, height, width), logits
  std::optional<at::Tensor> masks;
};

struct PromptEmbeddings {
  std::optional<at::Tensor> sparse;  // (images, objects, tokens, channels)
  at::Tensor dense;                  // (images, or masks of all images, channels, height, width)
};

struct AttentionOptions {
  bool hidden_states;
  bool attentions;
  // attn_implementation: "eager" instead of "sdpa".
  bool eager;
};

struct ImageFeatures {
  at::Tensor last_hidden_state;
  std::optional<std::vector<at::Tensor>> hidden_states;
  std::optional<std::vector<at::Tensor>> attentions;
  std::vector<at::Tensor> fpn_hidden_states;
  std::vector<at::Tensor> fpn_position_encoding;
};

struct ForwardInput {
  std::optional<at::Tensor> pixel_values;                   // (images, channels, height, width)
  std::optional<std::vector<at::Tensor>> image_embeddings;  // one (images, channels, height, width) a level
  Prompts prompts;
  bool multimask_output;
  std::optional<at::Tensor> attention_similarity;
  std::optional<at::Tensor> target_embedding;
  AttentionOptions attention;
  // Masks in the original size are wanted, too.
  std::optional<BatchPostProcessOptions> post_process;
};

struct ForwardResult {
  ScoredMasks selected;
  at::Tensor object_score_logits;  // (images, objects, 1)
  // Where they were asked for: (objects, masks, height, width) an image.
  std::optional<std::vector<at::Tensor>> masks;
  std::vector<at::Tensor> image_embeddings;
  std::optional<std::vector<at::Tensor>> vision_hidden_states;
  std::optional<std::vector<at::Tensor>> vision_attentions;
  std::optional<std::vector<at::Tensor>> mask_decoder_attentions;
};

class TrackerModel {
 public:
  // Loads the graphs and binds the weights. Throws Sam3Error: see ScriptModule and BindingProblems, and
  // kWeightsUnexpected for weights that no graph asked for.
  explicit TrackerModel(const LoadOptions& options);

  // The same model on another device or in another dtype. This one stays as it is; what need not change is
  // shared by both.
  std::shared_ptr<TrackerModel> ConvertedTo(const c10::Device& device, c10::ScalarType dtype) const;

  // Writes parameters and buffers to a safetensors file under transformers' names, as they are. Throws
  // Sam3Error kFileNotWritten.
  void SaveWeights(const std::string& path) const;

  // Sam3TrackerModel.forward, get_image_features, get_image_embeddings, get_prompt_embeddings and
  // get_image_wide_positional_embeddings.
  ForwardResult Forward(const ForwardInput& input);
  ImageFeatures GetImageFeatures(const at::Tensor& pixel_values, const AttentionOptions& attention);
  std::vector<at::Tensor> GetImageEmbeddings(const at::Tensor& pixel_values, bool eager);
  // The results of these two share no memory with the weights: JavaScript may write to what it gets.
  PromptEmbeddings GetPromptEmbeddings(const Prompts& prompts);
  at::Tensor GetImageWidePositionalEmbeddings();

  const c10::Device& device() const { return device_; }
  c10::ScalarType dtype() const { return dtype_; }
  int64_t parameter_count() const;
  // Bytes of weights that this model does not share with a mapped file.
  int64_t owned_bytes() const;

 private:
  struct Components {
    ScriptModule vision_encoder;
    ScriptModule prompt_encoder;
    ScriptModule mask_decoder;
  };

  static Components LoadComponents(const LoadOptions& options);

  TrackerModel(const c10::Device& device, c10::ScalarType dtype, const StabilityOptions& stability,
               int64_t point_embeddings, Components components);

  at::Tensor OnDevice(const at::Tensor& tensor) const { return tensor.to(device_); }
  // Integers become floating ones, as in the reference, which adds half a pixel to them.
  at::Tensor Coordinates(const at::Tensor& tensor) const {
    return tensor.is_floating_point() ? OnDevice(tensor) : tensor.to(device_, at::kFloat);
  }
  // Runs a method of the vision encoder.
  c10::IValue Encode(const std::string& method, const at::Tensor& pixel_values);
  const at::Tensor& PositionalEmbeddings();
  // Throws kInvalidArgument for labels that have no embedding (on CUDA the lookup would end every later call
  // of the process) and for coordinates that are no finite numbers.
  void CheckPrompts(const Prompts& prompts) const;
  // Null where there are neither points nor boxes.
  std::optional<at::Tensor> EmbedSparse(const Prompts& prompts);
  // Masks in the form that the prompt encoder takes: (masks of all images, 1, height, width).
  at::Tensor EachMaskAlone(const at::Tensor& masks) const;
  // Masks, scores and attentions for `prompts`, which are checked, on the image embeddings that `result` has;
  // of `input` only what its other fields say counts.
  void Decode(const ForwardInput& input, const Prompts& prompts, ForwardResult* result);
  // Whether `Decode` is to be captured and replayed: on a GPU, for the few objects of a click.
  bool IsCapturable(const ForwardInput& input, const Prompts& prompts, int64_t images) const;
  void DecodeByGraph(const ForwardInput& input, const Prompts& prompts, ForwardResult* result);

  c10::Device device_;
  c10::ScalarType dtype_;
  StabilityOptions stability_;
  int64_t point_embeddings_;
  ScriptModule vision_encoder_;
  ScriptModule prompt_encoder_;
  ScriptModule mask_decoder_;
  CpuMaskDecoder cpu_mask_decoder_;
  // Depends on the weights alone, so it is computed with the first click.
  std::optional<at::Tensor> positional_embeddings_;
  // Where libtorch can capture. Last: the graphs read the weights.
  std::optional<DeviceGraphs> device_graphs_;
};

}  // namespace sam3_tracker
