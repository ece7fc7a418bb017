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

Prompts ReadPrompts(const Napi::Object& options) {
  Prompts prompts;
  prompts.points = AsOptionalTensor(options.Get("inputPoints"), "input_points");
  prompts.labels = AsOptionalTensor(options.Get("inputLabels"), "input_labels");
  prompts.boxes = AsOptionalTensor(options.Get("inputBoxes"), "input_boxes");
  prompts.masks = AsOptionalTensor(options.Get("inputMasks"), "input_masks");
  return prompts;
}

AttentionOptions ReadAttention(const Napi::Object& options) {
  return {AsBool(options.Get("outputHiddenStates"), "output_hidden_states"),
          AsBool(options.Get("outputAttentions"), "output_attentions"),
          AsBool(options.Get("eagerAttention"), "eager_attention")};
}

Napi::Value WrapOptionalList(Napi::Env env, const std::optional<std::vector<at::Tensor>>& tensors) {
  if (!tensors) return env.Null();
  return TensorObject::WrapList(env, *tensors);
}

std::optional<RandomWeights> ReadRandomWeights(const Napi::Value& value) {
  if (value.IsNull()) return std::nullopt;
  const Napi::Object options = AsObject(value, "randomWeights");
  RandomWeights random;
  random.seed = static_cast<uint64_t>(AsInt64(options.Get("seed"), "randomWeights.seed"));
  const Napi::Array weights = AsArray(options.Get("weights"), "randomWeights.weights");
  for (uint32_t i = 0; i < weights.Length(); ++i) {
    const Napi::Object weight = AsObject(weights.Get(i), "randomWeights.weights");
    random.weights.emplace(
        AsString(weight.Get("name"), "name"),
        RandomWeight{AsInt64List(weight.Get("shape"), "shape"), AsDouble(weight.Get("mean"), "mean"),
                     AsDouble(weight.Get("standardDeviation"), "standardDeviation")});
  }
  return random;
}

std::vector<SafetensorsTable> ReadWeightFiles(const Napi::Value& value) {
  const Napi::Array files = AsArray(value, "weight_files");
  std::vector<SafetensorsTable> tables(files.Length());
  for (uint32_t i = 0; i < files.Length(); ++i) {
    const Napi::Object file = AsObject(files.Get(i), "weight_files");
    tables[i].path = AsString(file.Get("path"), "path");
    tables[i].size = AsInt64(file.Get("size"), "size");
    const Napi::Array weights = AsArray(file.Get("weights"), "weights");
    for (uint32_t j = 0; j < weights.Length(); ++j) {
      const Napi::Object weight = AsObject(weights.Get(j), "weights");
      tables[i].entries.push_back({.name = AsString(weight.Get("name"), "name"),
                                   .dtype = DTypeFromName(AsString(weight.Get("dtype"), "dtype")).scalar_type,
                                   .shape = AsInt64List(weight.Get("shape"), "shape"),
                                   .begin = AsInt64(weight.Get("begin"), "begin"),
                                   .end = AsInt64(weight.Get("end"), "end")});
    }
  }
  return tables;
}

LoadOptions ReadLoadOptions(const Napi::Object& options) {
  return {AsString(options.Get("visionEncoder"), "visionEncoder"),
          AsString(options.Get("promptEncoder"), "promptEncoder"),
          AsString(options.Get("maskDecoder"), "maskDecoder"),
          ReadWeightFiles(options.Get("weight_files")),
          ReadRandomWeights(options.Get("randomWeights")),
          ParseDevice(AsString(options.Get("device"), "device")),
          DTypeFromName(AsString(options.Get("dtype"), "dtype")).scalar_type,
          {AsBool(options.Get("multimaskViaStability"), "multimaskViaStability"),
           AsDouble(options.Get("stabilityDelta"), "stabilityDelta"),
           AsDouble(options.Get("stabilityThreshold"), "stabilityThreshold")},
          AsInt64(options.Get("pointEmbeddings"), "pointEmbeddings")};
}

}  // namespace

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
    const std::shared_ptr<Executor> executor = AddonData::Get(env).NewInferenceExecutor();
    return RunJob(
        env, *executor,
        [options = ReadLoadOptions(AsObject(info[0], "options"))] {
          return std::make_shared<TrackerModel>(options);
        },
        [executor](Napi::Env job_env, std::shared_ptr<TrackerModel>&& model) -> Napi::Value {
          return Wrap(job_env, std::move(model), executor);
        });
  });
}

Napi::Value TrackerModelObject::Wrap(Napi::Env env, std::shared_ptr<TrackerModel> model,
                                     std::shared_ptr<Executor> executor) {
  const Napi::Object object = AddonData::Get(env).tracker_model_constructor.New({});
  auto* self = Napi::ObjectWrap<TrackerModelObject>::Unwrap(object);
  self->declared_bytes_ = model->owned_bytes();
  self->model_ = std::move(model);
  self->executor_ = std::move(executor);
  Napi::MemoryManagement::AdjustExternalMemory(env, self->declared_bytes_);
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
  if (declared_bytes_ != 0) Napi::MemoryManagement::AdjustExternalMemory(Env(), -declared_bytes_);
  declared_bytes_ = 0;
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
    const Napi::Object options = AsObject(info[0], "options");
    ForwardInput input;
    input.pixel_values = AsOptionalTensor(options.Get("pixelValues"), "pixel_values");
    if (!options.Get("imageEmbeddings").IsNull()) {
      input.image_embeddings = AsTensorList(options.Get("imageEmbeddings"), "image_embeddings");
    }
    input.prompts = ReadPrompts(options);
    input.multimask_output = AsBool(options.Get("multimaskOutput"), "multimask_output");
    input.attention_similarity = AsOptionalTensor(options.Get("attentionSimilarity"), "attention_similarity");
    input.target_embedding = AsOptionalTensor(options.Get("targetEmbedding"), "target_embedding");
    input.attention = ReadAttention(options);
    if (!options.Get("pictures").IsNull()) {
      input.pictures = ReadPictureOptions(AsObject(options.Get("pictures"), "pictures"));
    }
    return Run(
        env, [input = std::move(input)](TrackerModel& model) { return model.Forward(input); },
        [](Napi::Env job_env, const ForwardResult& result) {
          Napi::Object object = Napi::Object::New(job_env);
          object.Set("iouScores", TensorObject::Wrap(job_env, result.selected.iou_scores));
          object.Set("predMasks", TensorObject::Wrap(job_env, result.selected.masks));
          object.Set("objectScoreLogits", TensorObject::Wrap(job_env, result.object_score_logits));
          object.Set("masks", WrapOptionalList(job_env, result.masks));
          object.Set("imageEmbeddings", TensorObject::WrapList(job_env, result.image_embeddings));
          object.Set("visionHiddenStates", WrapOptionalList(job_env, result.vision_hidden_states));
          object.Set("visionAttentions", WrapOptionalList(job_env, result.vision_attentions));
          object.Set("maskDecoderAttentions", WrapOptionalList(job_env, result.mask_decoder_attentions));
          return object;
        });
  });
}

Napi::Value TrackerModelObject::GetImageFeatures(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = AsObject(info[0], "options");
    const at::Tensor pixel_values = TensorObject::FromValue(options.Get("pixelValues"), "pixel_values");
    return Run(
        env,
        [pixel_values, attention = ReadAttention(options)](TrackerModel& model) {
          return model.GetImageFeatures(pixel_values, attention);
        },
        [](Napi::Env job_env, const ImageFeatures& features) {
          Napi::Object object = Napi::Object::New(job_env);
          object.Set("lastHiddenState", TensorObject::Wrap(job_env, features.last_hidden_state));
          object.Set("hiddenStates", WrapOptionalList(job_env, features.hidden_states));
          object.Set("attentions", WrapOptionalList(job_env, features.attentions));
          object.Set("fpnHiddenStates", TensorObject::WrapList(job_env, features.fpn_hidden_states));
          object.Set("fpnPositionEncoding", TensorObject::WrapList(job_env, features.fpn_position_encoding));
          return object;
        });
  });
}

Napi::Value TrackerModelObject::GetImageEmbeddings(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = AsObject(info[0], "options");
    const at::Tensor pixel_values = TensorObject::FromValue(options.Get("pixelValues"), "pixel_values");
    const bool eager = AsBool(options.Get("eagerAttention"), "eager_attention");
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
        [prompts = ReadPrompts(AsObject(info[0], "options"))](TrackerModel& model) {
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
    const Napi::Object options = AsObject(info[0], "options");
    const c10::Device device = ParseDevice(AsString(options.Get("device"), "device"));
    const c10::ScalarType dtype = DTypeFromName(AsString(options.Get("dtype"), "dtype")).scalar_type;
    return Run(
        env, [device, dtype](TrackerModel& model) { return model.ConvertedTo(device, dtype); },
        [executor = executor_](Napi::Env job_env, const std::shared_ptr<TrackerModel>& model) {
          return Wrap(job_env, model, executor);
        });
  });
}

Napi::Value TrackerModelObject::SaveWeights(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const std::string file = AsString(AsObject(info[0], "options").Get("file"), "file");
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
        [options = ReadMaskBatchOptions(AsObject(info[0], "options"))](TrackerModel& model) {
          return GenerateMaskBatch(model, options);
        },
        ConvertMaskBatch);
  });
}

void TrackerModelObject::Dispose(const Napi::CallbackInfo&) { Release(); }

}  // namespace sam3_tracker
