#include "addon/image_functions.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "addon/arguments.h"
#include "addon/environment.h"
#include "addon/errors.h"
#include "addon/promise_job.h"
#include "addon/tensor_object.h"
#include "image/preprocess.h"
#include "masks/post_process.h"
#include "runtime/device.h"
#include "runtime/dtype.h"

namespace sam3_tracker {
namespace {

ResizeMode ReadResizeMode(const std::string& mode) {
  if (mode == "nearest-exact") return ResizeMode::kNearestExact;
  if (mode == "bilinear") return ResizeMode::kBilinear;
  if (mode == "bicubic") return ResizeMode::kBicubic;
  throw Sam3Error(ErrorCode::kInvalidArgument, "unknown resize mode \"" + mode + "\"");
}

}  // namespace

void Read(const Napi::Value& value, const std::string& name, ImageSize* result) {
  const auto [height, width] = As<std::array<int64_t, 2>>(value, name);
  *result = {.height = height, .width = width};
}

void Read(const Napi::Value& value, const std::string& name, ImageInput* result) {
  const Fields image(value, name);
  const auto [height, width] = image.Get<ImageSize>("size");
  const auto channels = image.Get<int64_t>("channels");
  const bool channels_last = image.Get<std::string>("layout") == "HWC";
  std::array<int64_t, 3> dims{channels, height, width};
  if (channels_last) dims = {height, width, channels};
  *result = {.pixels = image.Get<at::Tensor>("data").reshape(dims),
             .channels_last = channels_last,
             .convert_rgb = image.Get<bool>("convert_rgb")};
}

void Read(const Napi::Value& value, const std::string& name, ResizeOptions* result) {
  const Fields resize(value, name);
  *result = {.sizes = resize.Get<std::vector<ImageSize>>("sizes"),
             .mode = ReadResizeMode(resize.Get<std::string>("mode"))};
}

void Read(const Napi::Value& value, const std::string& name, PadOptions* result) {
  *result = {.size = Fields(value, name).Get<std::optional<ImageSize>>("size")};
}

Napi::Value PreprocessImagesJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Fields fields(info[0]);
    const auto dtype = fields.Get<std::optional<std::string>>("output_dtype");
    PreprocessOptions options{
        .resize = fields.Get<std::optional<ResizeOptions>>("resize"),
        .center_crop = fields.Get<std::optional<ImageSize>>("center_crop"),
        .scale = fields.Get<std::optional<double>>("scale"),
        .mean = fields.Get<std::optional<std::vector<double>>>("mean").value_or(std::vector<double>()),
        .std = fields.Get<std::optional<std::vector<double>>>("std").value_or(std::vector<double>()),
        .pad = fields.Get<std::optional<PadOptions>>("pad"),
        .output_channels_last = fields.Get<std::string>("output_layout") == "HWC",
        .output_dtype = dtype ? std::optional(DTypeFromName(*dtype).scalar_type) : std::nullopt,
        .device = fields.Device(),
    };
    return RunJob(
        env, Environment::Get(env).preprocess_executor(),
        [images = fields.Get<std::vector<ImageInput>>("images"), options = std::move(options)] {
          return PreprocessImages(images, options);
        },
        [](Napi::Env job_env, std::vector<at::Tensor>&& tensors) {
          return TensorObject::WrapList(job_env, tensors);
        });
  });
}

void Read(const Napi::Value& value, const std::string& name, SmallComponents* result) {
  const Fields fields(value, name);
  *result = {.max_hole_area = fields.Get<double>("max_hole_area"),
             .max_sprinkle_area = fields.Get<double>("max_sprinkle_area")};
}

void Read(const Napi::Value& value, const std::string& name, BatchPostProcessOptions* result) {
  const Fields fields(value, name);
  *result = {.original_sizes = fields.Get<std::vector<std::array<int64_t, 2>>>("original_sizes"),
             .post_process = {
                 .mask_threshold = fields.Get<double>("mask_threshold"),
                 .binarize = fields.Get<bool>("binarize"),
                 .small_components = As<SmallComponents>(value, name),
                 .non_overlapping = fields.Get<bool>("apply_non_overlapping_constraints"),
             }};
}

Napi::Value PostProcessMasksJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    return RunJob(
        env, Environment::Get(env).tensor_executor(),
        [masks = Fields(info[0]).Get<std::vector<at::Tensor>>("masks"),
         options = As<BatchPostProcessOptions>(info[0], "options")] {
          return PostProcessMasks(masks, options);
        },
        [](Napi::Env job_env, std::vector<at::Tensor>&& tensors) {
          return TensorObject::WrapList(job_env, tensors);
        });
  });
}

}  // namespace sam3_tracker
