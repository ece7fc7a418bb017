#include "addon/tracker_model_object.h"

#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/image_functions.h"
#include "addon/mask_functions.h"
#include "addon/promise_job.h"
#include "addon/tensor_object.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

namespace sam3_tracker {
namespace {

constexpr napi_type_tag kModelTag = {0x1d4be07a9c3f4a62ULL, 0xb8e5510f7d2c9643ULL};

Prompts ReadPrompts(const Fields& fields) {
  return {.points = fields.Get<std::optional<at::Tensor>>("input_points"),
          .labels = fields.Get<std::optional<at::Tensor>>("input_labels"),
          .boxes = fields.Get<std::optional<at::Tensor>>("input_boxes"),
          .masks = fields.Get<std::optional<at::Tensor>>("input_masks")};
}

AttentionOptions ReadAttention(const Fields& fields) {
  return {.hidden_states = fields.Get<bool>("output_hidden_states"),
          .attentions = fields.Get<bool>("output_attentions"),
          .eager = fields.Get<bool>("eager_attention")};
}

Napi::Value WrapOptionalList(Napi::Env env, const std::optional<std::vector<at::Tensor>>& tensors) {
  if (!tensors) return env.Null();
  return TensorObject::WrapList(env, *tensors);
}

LoadOptions ReadLoadOptions(const Fields& fields) {
  return {.vision_encoder = fields.Get<std::string>("vision_encoder"),
          .prompt_encoder = fields.Get<std::string>("prompt_encoder"),
          .mask_decoder = fields.Get<std::string>("mask_decoder"),
          .weight_files = fields.Get<std::vector<SafetensorsTable>>("weight_files"),
          .random_weights = fields.Get<std::optional<RandomWeights>>("random_weights"),
          .device = fields.Device(),
          .dtype = fields.DType(),
          .stability = {.enabled = fields.Get<bool>("dynamic_multimask_via_stability"),
                        .delta = fields.Get<double>("dynamic_multimask_stability_delta"),
                        .threshold = fields.Get<double>("dynamic_multimask_stability_thresh")},
          .point_embeddings = fields.Get<int64_t>("num_point_embeddings")};
}

}  // namespace

// Reads the parts of NativeLoadOptions.
void Read(const Napi::Value& value, const std::string& name, SafetensorsEntry* result) {
  const Fields fields(value, name);
  *result = {.name = fields.Get<std::string>("name"),
             .dtype = fields.DType(),
             .shape = fields.Get<std::vector<int64_t>>("shape"),
             .begin = fields.Get<int64_t>("begin"),
             .end = fields.Get<int64_t>("end")};
}

void Read(const Napi::Value& value, const std::string& name, SafetensorsTable* result) {
  const Fields fields(value, name);
  *result = {.path = fields.Get<std::string>("path"),
             .size = fields.Get<int64_t>("size"),
             .entries = fields.Get<std::vector<SafetensorsEntry>>("weights")};
}

void Read(const Napi::Value& value, const std::string& name, RandomWeights* result) {
  const Fields fields(value, name);
  result->seed = static_cast<uint64_t>(fields.Get<int64_t>("seed"));
  const Napi::Array weights = ReadArray(fields.Value("weights"), "weights");
  for (uint32_t i = 0; i < weights.Length(); ++i) {
    const Fields weight(weights.Get(i), "weights");
    result->weights.emplace(weight.Get<std::string>("name"),
                            RandomWeight{.shape = weight.Get<std::vector<int64_t>>("shape"),
                                         .mean = weight.Get<double>("mean"),
                                         .standard_deviation = weight.Get<double>("standard_deviation")});
  }
}

Napi::Function TrackerModelObject::Define(Napi::Env env) {
  return DefineClass(env, "NativeTrackerModel",
                     {
                         InstanceAccessor<&TrackerModelObject::Device>("device"),
                         InstanceAccessor<&TrackerModelObject::DType>("dtype"),
                         InstanceAccessor<&TrackerModelObject::ParameterCount>("parameterCount"),
                         InstanceAccessor<&TrackerModelObject::Disposed>("disposed"),
                         InstanceMethod<&TrackerModelObject::Forward>("forward"),
                         InstanceMethod<&TrackerModelObject::GetImageFeatures>("getImageFeatures"),
                         InstanceMethod<&TrackerModelObject::GetImageEmbeddings>("getImageEmbeddings"),
                         InstanceMethod<&TrackerModelObject::GetPromptEmbeddings>("getPromptEmbeddings"),
                         InstanceMethod<&TrackerModelObject::GetImageWidePositionalEmbeddings>(
                             "getImageWidePositionalEmbeddings"),
                         InstanceMethod<&TrackerModelObject::To>("to"),
                         InstanceMethod<&TrackerModelObject::SaveWeights>("saveWeights"),
                         InstanceMethod<&TrackerModelObject::GenerateMasks>("generateMasks"),
                         InstanceMethod<&TrackerModelObject::Dispose>("dispose"),
                     });
}

Napi::Value TrackerModelObject::Load(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const std::shared_ptr<Executor> executor = Environment::Get(env).NewInferenceExecutor();
    return RunJob(
        env, *executor,
        [options = ReadLoadOptions(Fields(info[0]))] { return std::make_shared<TrackerModel>(options); },
        [executor](Napi::Env job_env, std::shared_ptr<TrackerModel>&& model) -> Napi::Value {
          return Wrap(job_env, std::move(model), executor);
        });
  });
}

Napi::Value TrackerModelObject::Wrap(Napi::Env env, std::shared_ptr<TrackerModel> model,
                                     std::shared_ptr<Executor> executor) {
  const Napi::Object object = Environment::Get(env).tracker_model_constructor.New({});
  auto* self = Napi::ObjectWrap<TrackerModelObject>::Unwrap(object);
  self->external_bytes_ = model->owned_bytes();
  self->model_ = std::move(model);
  self->executor_ = std::move(executor);
  Napi::MemoryManagement::AdjustExternalMemory(env, self->external_bytes_);
  return object;
}

TrackerModelObject::TrackerModelObject(const Napi::CallbackInfo& info)
    : Napi::ObjectWrap<TrackerModelObject>(info) {
  info.This().As<Napi::Object>().TypeTag(&kModelTag);
}

TrackerModelObject::~TrackerModelObject() { Release(); }

void TrackerModelObject::Release() {
  model_.reset();
  executor_.reset();
  if (external_bytes_ != 0) Napi::MemoryManagement::AdjustExternalMemory(Env(), -external_bytes_);
  external_bytes_ = 0;
}

const TrackerModel& TrackerModelObject::Get(Napi::Env env) const {
  if (!model_) throw ToJsError(env, NativeError{ErrorCode::kDisposed, "This model has been disposed.", ""});
  return *model_;
}

template <typename Work, typename Convert>
Napi::Value TrackerModelObject::Run(Napi::Env env, Work work, Convert convert) {
  Get(env);
  return RunJob(
      env, *executor_, [model = model_, work = std::move(work)] { return work(*model); },
      [executor = executor_, convert = std::move(convert)](Napi::Env job_env, auto&& result) -> Napi::Value {
        return convert(job_env, result);
      });
}

Napi::Value TrackerModelObject::Device(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), DeviceName(Get(info.Env()).device()));
}

Napi::Value TrackerModelObject::DType(const Napi::CallbackInfo& info) {
  return Napi::String::New(info.Env(), DTypeFromScalarType(Get(info.Env()).dtype()).name);
}

Napi::Value TrackerModelObject::ParameterCount(const Napi::CallbackInfo& info) {
  return Napi::Number::New(info.Env(), static_cast<double>(Get(info.Env()).parameter_count()));
}

Napi::Value TrackerModelObject::Disposed(const Napi::CallbackInfo& info) {
  return Napi::Boolean::New(info.Env(), model_ == nullptr);
}

Napi::Value TrackerModelObject::Forward(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    ForwardInput input{
        .pixel_values = fields.Get<std::optional<at::Tensor>>("pixel_values"),
        .image_embeddings = fields.Get<std::optional<std::vector<at::Tensor>>>("image_embeddings"),
        .prompts = ReadPrompts(fields),
        .multimask_output = fields.Get<bool>("multimask_output"),
        .attention_similarity = fields.Get<std::optional<at::Tensor>>("attention_similarity"),
        .target_embedding = fields.Get<std::optional<at::Tensor>>("target_embedding"),
        .attention = ReadAttention(fields),
        .post_process = fields.Get<std::optional<BatchPostProcessOptions>>("post_process"),
    };
    return Run(
        env, [input = std::move(input)](TrackerModel& model) { return model.Forward(input); },
        [](Napi::Env job_env, const ForwardResult& result) {
          Napi::Object object = Napi::Object::New(job_env);
          object.Set("iou_scores", TensorObject::Wrap(job_env, result.selected.iou_scores));
          object.Set("pred_masks", TensorObject::Wrap(job_env, result.selected.masks));
          object.Set("object_score_logits", TensorObject::Wrap(job_env, result.object_score_logits));
          object.Set("masks", WrapOptionalList(job_env, result.masks));
          object.Set("image_embeddings", TensorObject::WrapList(job_env, result.image_embeddings));
          object.Set("vision_hidden_states", WrapOptionalList(job_env, result.vision_hidden_states));
          object.Set("vision_attentions", WrapOptionalList(job_env, result.vision_attentions));
          object.Set("mask_decoder_attentions", WrapOptionalList(job_env, result.mask_decoder_attentions));
          return object;
        });
  });
}

Napi::Value TrackerModelObject::GetImageFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    const auto pixel_values = fields.Get<at::Tensor>("pixel_values");
    return Run(
        env,
        [pixel_values, attention = ReadAttention(fields)](TrackerModel& model) {
          return model.GetImageFeatures(pixel_values, attention);
        },
        [](Napi::Env job_env, const ImageFeatures& features) {
          Napi::Object object = Napi::Object::New(job_env);
          object.Set("last_hidden_state", TensorObject::Wrap(job_env, features.last_hidden_state));
          object.Set("hidden_states", WrapOptionalList(job_env, features.hidden_states));
          object.Set("attentions", WrapOptionalList(job_env, features.attentions));
          object.Set("fpn_hidden_states", TensorObject::WrapList(job_env, features.fpn_hidden_states));
          object.Set("fpn_position_encoding",
                     TensorObject::WrapList(job_env, features.fpn_position_encoding));
          return object;
        });
  });
}

Napi::Value TrackerModelObject::GetImageEmbeddings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    const auto pixel_values = fields.Get<at::Tensor>("pixel_values");
    const bool eager = fields.Get<bool>("eager_attention");
    return Run(
        env,
        [pixel_values, eager](TrackerModel& model) { return model.GetImageEmbeddings(pixel_values, eager); },
        [](Napi::Env job_env, const std::vector<at::Tensor>& levels) {
          return TensorObject::WrapList(job_env, levels);
        });
  });
}

Napi::Value TrackerModelObject::GetPromptEmbeddings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    return Run(
        env,
        [prompts = ReadPrompts(Fields(info[0]))](TrackerModel& model) {
          return model.GetPromptEmbeddings(prompts);
        },
        [](Napi::Env job_env, const PromptEmbeddings& embeddings) {
          Napi::Object object = Napi::Object::New(job_env);
          object.Set("sparse",
                     embeddings.sparse ? TensorObject::Wrap(job_env, *embeddings.sparse) : job_env.Null());
          object.Set("dense", TensorObject::Wrap(job_env, embeddings.dense));
          return object;
        });
  });
}

Napi::Value TrackerModelObject::GetImageWidePositionalEmbeddings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    return Run(
        env, [](TrackerModel& model) { return model.GetImageWidePositionalEmbeddings(); },
        [](Napi::Env job_env, const at::Tensor& embeddings) {
          return TensorObject::Wrap(job_env, embeddings);
        });
  });
}

Napi::Value TrackerModelObject::To(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    return Run(
        env,
        [device = fields.Device(), dtype = fields.DType()](TrackerModel& model) {
          return model.ConvertedTo(device, dtype);
        },
        [executor = executor_](Napi::Env job_env, const std::shared_ptr<TrackerModel>& model) {
          return Wrap(job_env, model, executor);
        });
  });
}

Napi::Value TrackerModelObject::SaveWeights(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const auto file = Fields(info[0]).Get<std::string>("file");
    return Run(
        env,
        [file](TrackerModel& model) {
          model.SaveWeights(file);
          return true;
        },
        [](Napi::Env job_env, bool) { return job_env.Undefined(); });
  });
}

Napi::Value TrackerModelObject::GenerateMasks(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    return Run(
        env,
        [options = As<MaskBatchOptions>(info[0], "options")](TrackerModel& model) {
          return sam3_tracker::GenerateMasks(model, options);
        },
        ConvertMaskBatch);
  });
}

void TrackerModelObject::Dispose(const Napi::CallbackInfo&) { Release(); }

}  // namespace sam3_tracker
