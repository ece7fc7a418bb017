#include "addon/image_functions.h"

#include <ATen/ops/empty.h>

#include <array>
#include <cstring>
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

ImageSize AsImageSize(const Napi::Value& value, const std::string& name) {
  const std::array<int64_t, 2> size = AsSize(value, name);
  return {size[0], size[1]};
}

c10::ScalarType TypedArrayDType(const Napi::TypedArray& array) {
  switch (array.TypedArrayType()) {
    case napi_uint8_array:
    case napi_uint8_clamped_array:
      return c10::ScalarType::Byte;
    case napi_int8_array:
      return c10::ScalarType::Char;
    case napi_int16_array:
      return c10::ScalarType::Short;
    case napi_int32_array:
      return c10::ScalarType::Int;
    case napi_bigint64_array:
      return c10::ScalarType::Long;
    case napi_float32_array:
      return c10::ScalarType::Float;
    case napi_float64_array:
      return c10::ScalarType::Double;
    default:
      throw Napi::TypeError::New(array.Env(), "Expected pixels of another kind of typed array.");
  }
}

// Copies: a buffer that JavaScript holds can be transferred away while the job runs.
at::Tensor CopyPixels(const Napi::TypedArray& array, const std::array<int64_t, 3>& dims) {
  at::Tensor pixels = at::empty(dims, at::TensorOptions().dtype(TypedArrayDType(array)));
  if (pixels.nbytes() != array.ByteLength()) {
    throw Sam3Error(ErrorCode::kInvalidArgument, "Expected " + std::to_string(pixels.nbytes()) +
                                                     " bytes of pixels for this size but received " +
                                                     std::to_string(array.ByteLength()) + ".");
  }
  const auto* source = static_cast<const char*>(array.ArrayBuffer().Data()) + array.ByteOffset();
  if (pixels.nbytes() > 0) std::memcpy(pixels.data_ptr(), source, pixels.nbytes());
  return pixels;
}

ImageInput ReadImage(const Napi::Object& image) {
  const ImageSize size = AsImageSize(image.Get("size"), "size");
  const int64_t channels = AsInt64(image.Get("channels"), "channels");
  const bool channels_last = AsString(image.Get("layout"), "layout") == "HWC";
  const std::array<int64_t, 3> dims = channels_last
                                          ? std::array<int64_t, 3>{size.height, size.width, channels}
                                          : std::array<int64_t, 3>{channels, size.height, size.width};
  const Napi::Value data = image.Get("data");
  const at::Tensor pixels = data.IsTypedArray() ? CopyPixels(data.As<Napi::TypedArray>(), dims)
                                                : TensorObject::FromValue(data, "images").reshape(dims);
  return {pixels, channels_last, AsBool(image.Get("convertRgb"), "convertRgb")};
}

ResizeMode ReadResizeMode(const std::string& mode) {
  if (mode == "nearest-exact") return ResizeMode::kNearestExact;
  if (mode == "bilinear") return ResizeMode::kBilinear;
  if (mode == "bicubic") return ResizeMode::kBicubic;
  throw Sam3Error(ErrorCode::kInvalidArgument, "unknown resize mode \"" + mode + "\"");
}

PreprocessOptions ReadPreprocessOptions(const Napi::Object& options) {
  PreprocessOptions result;
  if (!options.Get("resize").IsNull()) {
    const Napi::Object resize = AsObject(options.Get("resize"), "resize");
    const Napi::Array sizes = AsArray(resize.Get("sizes"), "sizes");
    ResizeOptions read;
    for (uint32_t i = 0; i < sizes.Length(); ++i) read.sizes.push_back(AsImageSize(sizes.Get(i), "sizes"));
    read.mode = ReadResizeMode(AsString(resize.Get("mode"), "mode"));
    result.resize = std::move(read);
  }
  if (!options.Get("centerCrop").IsNull())
    result.center_crop = AsImageSize(options.Get("centerCrop"), "centerCrop");
  if (!options.Get("scale").IsNull()) result.scale = AsDouble(options.Get("scale"), "scale");
  if (!options.Get("mean").IsNull()) {
    result.mean = AsDoubleList(options.Get("mean"), "mean");
    result.std = AsDoubleList(options.Get("std"), "std");
  }
  if (!options.Get("pad").IsNull()) {
    const Napi::Value size = AsObject(options.Get("pad"), "pad").Get("size");
    result.pad = PadOptions{};
    if (!size.IsNull()) result.pad->size = AsImageSize(size, "pad");
  }
  result.output_channels_last = AsString(options.Get("outputLayout"), "outputLayout") == "HWC";
  if (!options.Get("outputDtype").IsNull()) {
    result.output_dtype = DTypeFromName(AsString(options.Get("outputDtype"), "outputDtype")).scalar_type;
  }
  result.device = ParseDevice(AsString(options.Get("device"), "device"));
  return result;
}

}  // namespace

Napi::Value PreprocessImagesJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = AsObject(info[0], "options");
    const Napi::Array list = AsArray(options.Get("images"), "images");
    std::vector<ImageInput> images;
    for (uint32_t i = 0; i < list.Length(); ++i) images.push_back(ReadImage(AsObject(list.Get(i), "images")));
    return RunJob(
        env, AddonData::Get(env).preprocess_executor(),
        [images = std::move(images), read = ReadPreprocessOptions(options)] {
          return PreprocessImages(images, read);
        },
        [](Napi::Env job_env, std::vector<at::Tensor>&& tensors) {
          return TensorObject::WrapList(job_env, tensors);
        });
  });
}

PictureOptions ReadPictureOptions(const Napi::Object& options) {
  const Napi::Array sizes = AsArray(options.Get("sizes"), "sizes");
  PictureOptions result;
  for (uint32_t i = 0; i < sizes.Length(); ++i) result.sizes.push_back(AsSize(sizes.Get(i), "sizes"));
  result.post_process = {AsDouble(options.Get("maskThreshold"), "mask_threshold"),
                         AsBool(options.Get("binarize"), "binarize"),
                         AsDouble(options.Get("maxHoleArea"), "max_hole_area"),
                         AsDouble(options.Get("maxSprinkleArea"), "max_sprinkle_area"),
                         AsBool(options.Get("nonOverlapping"), "apply_non_overlapping_constraints")};
  return result;
}

Napi::Value PostProcessMasksJob(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  return Guarded(env, [&] {
    const Napi::Object options = AsObject(info[0], "options");
    std::vector<at::Tensor> masks = AsTensorList(options.Get("masks"), "masks");
    return RunJob(
        env, AddonData::Get(env).tensor_executor(),
        [masks = std::move(masks),
         pictures = ReadPictureOptions(AsObject(options.Get("pictures"), "pictures"))] {
          return PostProcessMasks(masks, pictures);
        },
        [](Napi::Env job_env, std::vector<at::Tensor>&& tensors) {
          return TensorObject::WrapList(job_env, tensors);
        });
  });
}

}  // namespace sam3_tracker
