#include "model/tracker_model.h"

#include <ATen/Functions.h>
#include <ATen/ops/ones.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <map>
#include <utility>

#include "checkpoint/safetensors_writer.h"
#include "runtime/caching_allocator.h"
#include "runtime/error.h"

namespace sam3_tracker {
namespace {

// Beyond these the kernels of a decoding take longer than their launches, and a captured graph would keep all
// of its memory: about 40 MB an object of facebook/sam3's size in bfloat16.
constexpr int64_t kMostCapturedObjects = 4;

// Whether a condition holds for all values of a prompt, which has a few: an operator takes longer than they
// do.
template <typename Condition>
bool AllOf(const at::Tensor& prompt, const Condition& condition) {
  const at::Tensor values = prompt.to(at::kCPU, at::kDouble).contiguous();
  const double* const data = values.const_data_ptr<double>();
  return std::all_of(data, data + values.numel(), condition);
}

std::vector<at::Tensor> TensorList(const c10::IValue& value) { return value.toTensorVector(); }

}  // namespace

TrackerModel::Components TrackerModel::LoadComponents(const LoadOptions& options) {
  WeightStore store = options.random_weights
                          ? WeightStore(*options.random_weights, options.device, options.dtype)
                          : WeightStore(options.weight_files, options.device, options.dtype);
  BindingProblems problems;
  const auto load = [&](const std::string& path) { return ScriptModule(path, &store, &problems); };
  // A braced list is evaluated in its order, which random weights depend on.
  Components components{load(options.vision_encoder), load(options.prompt_encoder),
                        load(options.mask_decoder)};
  problems.is_without_decoder = !options.weight_files.empty() && components.mask_decoder.weights().empty();
  problems.Throw();
  const std::vector<std::string> unused = store.Unused();
  if (unused.empty()) return components;
  std::string names;
  for (size_t i = 0; i < unused.size() && i < 8; ++i) names += (i == 0 ? "" : ", ") + unused[i];
  throw Sam3Error(ErrorCode::kWeightsUnexpected, "The checkpoint holds " + std::to_string(unused.size()) +
                                                     " weights that no graph of this configuration has: " +
                                                     names + (unused.size() > 8 ? ", ..." : "") + ".");
}

TrackerModel::TrackerModel(const LoadOptions& options)
    : TrackerModel(options.device, options.dtype, options.stability, options.point_embeddings,
                   LoadComponents(options)) {}

TrackerModel::TrackerModel(const c10::Device& device, c10::ScalarType dtype,
                           const StabilityOptions& stability, int64_t point_embeddings, Components components)
    : device_(device),
      dtype_(dtype),
      stability_(stability),
      point_embeddings_(point_embeddings),
      vision_encoder_(std::move(components.vision_encoder)),
      prompt_encoder_(std::move(components.prompt_encoder)),
      mask_decoder_(std::move(components.mask_decoder)),
      cpu_mask_decoder_(&mask_decoder_) {
  if (DeviceGraphs::IsSupportedOn(device_)) device_graphs_.emplace(device_);
}

std::shared_ptr<TrackerModel> TrackerModel::ConvertedTo(const c10::Device& device,
                                                        c10::ScalarType dtype) const {
  WeightUpload upload(device);
  // Not make_shared, which cannot call a private constructor.
  return std::shared_ptr<TrackerModel>(new TrackerModel(
      device, dtype, stability_, point_embeddings_,
      {vision_encoder_.ConvertedTo(&upload, dtype), prompt_encoder_.ConvertedTo(&upload, dtype),
       mask_decoder_.ConvertedTo(&upload, dtype)}));
}

void TrackerModel::SaveWeights(const std::string& path) const {
  std::map<std::string, at::Tensor> weights;
  for (const ScriptModule* component : {&vision_encoder_, &prompt_encoder_, &mask_decoder_}) {
    for (const auto& [name, tensor] : component->weights()) weights.emplace(name, tensor);
  }
  WriteSafetensors(path, weights);
}

int64_t TrackerModel::parameter_count() const {
  return vision_encoder_.parameter_count() + prompt_encoder_.parameter_count() +
         mask_decoder_.parameter_count();
}

int64_t TrackerModel::owned_bytes() const {
  return vision_encoder_.owned_bytes() + prompt_encoder_.owned_bytes() + mask_decoder_.owned_bytes();
}

c10::IValue TrackerModel::Encode(const std::string& method, const at::Tensor& pixel_values) {
  const auto began = std::chrono::steady_clock::now();
  c10::IValue output = vision_encoder_.Run(method, {OnDevice(pixel_values)});
  // Beside an encode that takes long, giving memory back costs nothing; a small one would spend its time on
  // page faults. Clicks without a pause would keep it from ever being idle.
  const bool is_large = std::chrono::steady_clock::now() - began > std::chrono::milliseconds(500);
  if (device_.is_cpu() && is_large) {
    ReleaseTensorCache();
    ReturnFreeMemory();
  }
  return output;
}

ImageFeatures TrackerModel::GetImageFeatures(const at::Tensor& pixel_values,
                                             const AttentionOptions& attention) {
  const bool with_weights = attention.eager && attention.attentions;
  std::string method = "get_image_features";
  if (with_weights) {
    method += "_with_attentions";
  } else {
    if (attention.hidden_states) method += "_with_hidden_states";
    if (attention.eager) method += "_eager";
  }
  const c10::IValue output = Encode(method, pixel_values);
  const auto& elements = output.toTupleRef().elements();
  ImageFeatures features;
  features.last_hidden_state = elements.at(0).toTensor();
  features.fpn_hidden_states = TensorList(elements.at(1));
  features.fpn_position_encoding = TensorList(elements.at(2));
  if (attention.hidden_states) features.hidden_states = TensorList(elements.at(3));
  // Scaled dot product attention has no weights to give: the reference returns an empty tuple then.
  if (attention.attentions)
    features.attentions = with_weights ? TensorList(elements.at(4)) : std::vector<at::Tensor>();
  return features;
}

std::vector<at::Tensor> TrackerModel::GetImageEmbeddings(const at::Tensor& pixel_values, bool eager) {
  return TensorList(Encode(eager ? "get_image_embeddings_eager" : "get_image_embeddings", pixel_values));
}

void TrackerModel::CheckPrompts(const Prompts& prompts) const {
  for (const auto& [name, tensor] :
       {std::pair("input_points", &prompts.points), std::pair("input_boxes", &prompts.boxes)}) {
    if (*tensor && !AllOf(**tensor, [](double value) { return std::isfinite(value); })) {
      throw Sam3Error(ErrorCode::kInvalidArgument, std::string("Expected finite coordinates for ") + name +
                                                       " but received NaN or an infinity.");
    }
  }
  if (!prompts.labels) return;
  const auto last = static_cast<double>(point_embeddings_ - 1);
  const auto is_known = [last](double label) {
    return label == -10 || label == -1 || (label >= 0 && label <= last);
  };
  if (!AllOf(*prompts.labels, is_known)) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected labels -10, -1 or 0 to " +
                                                     std::to_string(point_embeddings_ - 1) +
                                                     " for input_labels but received others.");
  }
}

std::optional<at::Tensor> TrackerModel::EmbedSparse(const Prompts& prompts) {
  if (prompts.points) {
    const at::Tensor points = Coordinates(*prompts.points);
    // The graph pads them with -1, which bytes do not have.
    const at::Tensor labels = prompts.labels->to(device_, at::kLong);
    if (!prompts.boxes) return prompt_encoder_.Run("embed_points", {points, labels}).toTensor();
    return prompt_encoder_.Run("embed_points_and_boxes", {points, labels, Coordinates(*prompts.boxes)})
        .toTensor();
  }
  if (prompts.boxes) return prompt_encoder_.Run("embed_boxes", {Coordinates(*prompts.boxes)}).toTensor();
  return std::nullopt;
}

at::Tensor TrackerModel::EachMaskAlone(const at::Tensor& masks) const {
  return masks.reshape({-1, 1, masks.size(2), masks.size(3)}).to(device_, dtype_);
}

PromptEmbeddings TrackerModel::GetPromptEmbeddings(const Prompts& prompts) {
  CheckPrompts(prompts);
  int64_t images = 1;
  if (prompts.points) images = prompts.points->size(0);
  if (prompts.boxes) images = prompts.boxes->size(0);
  const at::Tensor dense =
      prompts.masks
          ? prompt_encoder_.Run("embed_masks_as_they_are", {EachMaskAlone(*prompts.masks)}).toTensor()
          : prompt_encoder_.Run("embed_no_mask", {images}).toTensor().clone();
  return {EmbedSparse(prompts), dense};
}

at::Tensor TrackerModel::GetImageWidePositionalEmbeddings() { return PositionalEmbeddings().clone(); }

const at::Tensor& TrackerModel::PositionalEmbeddings() {
  if (!positional_embeddings_) {
    positional_embeddings_ = prompt_encoder_.Run("image_wide_positional_embeddings", {}).toTensor();
  }
  return *positional_embeddings_;
}

ForwardResult TrackerModel::Forward(const ForwardInput& input) {
  ForwardResult result;
  if (input.image_embeddings) {
    for (const at::Tensor& level : *input.image_embeddings)
      result.image_embeddings.push_back(OnDevice(level));
  } else if (input.attention.hidden_states || input.attention.attentions) {
    ImageFeatures features = GetImageFeatures(*input.pixel_values, input.attention);
    result.vision_hidden_states = std::move(features.hidden_states);
    result.vision_attentions = std::move(features.attentions);
    result.image_embeddings =
        TensorList(vision_encoder_.Run("embeddings_from_features", {features.fpn_hidden_states}));
  } else {
    result.image_embeddings = GetImageEmbeddings(*input.pixel_values, input.attention.eager);
  }

  Prompts prompts = input.prompts;
  if (prompts.points && !prompts.labels) {
    // The reference's ones, for padding points too.
    prompts.labels = at::ones(prompts.points->sizes().slice(0, 3), prompts.points->options().dtype(at::kInt));
  }
  CheckPrompts(prompts);
  if (IsCapturable(input, prompts, result.image_embeddings.back().size(0))) {
    DecodeByGraph(input, prompts, &result);
  } else {
    Decode(input, prompts, &result);
  }
  if (input.post_process)
    result.masks = PostProcessMasks(result.selected.masks.unbind(), *input.post_process);
  return result;
}

bool TrackerModel::IsCapturable(const ForwardInput& input, const Prompts& prompts, int64_t images) const {
  int64_t objects = 1;
  if (prompts.masks) objects = prompts.masks->size(1);
  if (prompts.boxes) objects = prompts.boxes->size(1);
  if (prompts.points) objects = prompts.points->size(1);
  return device_graphs_ && images * objects <= kMostCapturedObjects && !input.attention_similarity &&
         !input.target_embedding && !input.attention.attentions;
}

void TrackerModel::DecodeByGraph(const ForwardInput& input, const Prompts& prompts, ForwardResult* result) {
  PositionalEmbeddings();  // Not during capture: it would be kept in the memory of the graph.
  std::vector<at::Tensor> inputs = result->image_embeddings;
  const size_t levels = inputs.size();
  std::string name = input.multimask_output ? "masks" : "mask";
  if (input.attention.eager) name += " eager";
  const auto parts = [](auto& of) { return std::array{&of.points, &of.labels, &of.boxes, &of.masks}; };
  for (const std::optional<at::Tensor>* part : parts(prompts)) {
    name += *part ? " 1" : " 0";
    if (*part) inputs.push_back(**part);
  }
  const std::vector<at::Tensor> outputs =
      device_graphs_->Run(name, inputs, [&](const std::vector<at::Tensor>& given) {
        ForwardResult decoded;
        decoded.image_embeddings.assign(given.begin(), given.begin() + static_cast<std::ptrdiff_t>(levels));
        Prompts moved = prompts;
        auto next = given.begin() + static_cast<std::ptrdiff_t>(levels);
        for (std::optional<at::Tensor>* part : parts(moved)) {
          if (*part) *part = *next++;
        }
        Decode(input, moved, &decoded);
        return std::vector{decoded.selected.masks, decoded.selected.iou_scores, decoded.object_score_logits};
      });
  result->selected = {outputs[0], outputs[1]};
  result->object_score_logits = outputs[2];
}

void TrackerModel::Decode(const ForwardInput& input, const Prompts& prompts, ForwardResult* result) {
  const std::vector<at::Tensor>& embeddings = result->image_embeddings;
  std::optional<at::Tensor> sparse = EmbedSparse(prompts);
  if (!sparse) {
    sparse = prompt_encoder_.Run("embed_no_prompt", {embeddings.back().size(0)}).toTensor();
    // Masks alone: an object for each.
    if (prompts.masks) sparse = sparse->repeat({1, prompts.masks->size(1), 1, 1});
  }
  std::optional<at::Tensor> mask;
  if (prompts.masks) {
    mask = prompt_encoder_.Run("embed_masks", {EachMaskAlone(*prompts.masks)}).toTensor();
  }
  const auto embed_no_mask = [&](int64_t images) {
    return prompt_encoder_.Run("embed_no_mask", {images}).toTensor();
  };
  const auto on_device = [this](const std::optional<at::Tensor>& tensor) {
    return tensor ? c10::IValue(tensor->to(device_, dtype_)) : c10::IValue();
  };
  // In half precision another order of operations rounds visibly otherwise than the reference's does.
  const bool is_plain = !input.attention_similarity && !input.target_embedding &&
                        !input.attention.attentions && !input.attention.eager;
  if (is_plain && device_.is_cpu() && dtype_ == at::kFloat) {
    const DecodedObjects decoded =
        cpu_mask_decoder_.Decode(embeddings, PositionalEmbeddings(), *sparse, embed_no_mask(1), mask);
    result->selected = SelectMasks(decoded.all, input.multimask_output, stability_);
    result->object_score_logits = decoded.object_score_logits;
    return;
  }
  std::string method = input.attention.attentions ? "decode_with_attentions" : "decode";
  if (input.attention.eager) method += "_eager";
  const c10::IValue output = mask_decoder_.Run(
      method, {embeddings.back(), PositionalEmbeddings(), *sparse,
               mask ? *mask : embed_no_mask(embeddings.back().size(0)), embeddings[0], embeddings[1],
               on_device(input.attention_similarity), on_device(input.target_embedding)});
  const auto& elements = output.toTupleRef().elements();
  result->selected =
      SelectMasks({elements.at(0).toTensor(), elements.at(1).toTensor()}, input.multimask_output, stability_);
  result->object_score_logits = elements.at(2).toTensor();
  if (input.attention.attentions) result->mask_decoder_attentions = TensorList(elements.at(3));
}

}  // namespace sam3_tracker
