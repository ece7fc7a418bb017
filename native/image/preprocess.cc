#include "image/preprocess.h"

#include <ATen/Version.h>
#include <c10/util/Exception.h>

#include <algorithm>
#include <string>

namespace sam3_tracker {
namespace {

// torchvision's rule: the uint8 kernel for bilinear is taken only where it is vectorised; elsewhere (and on a
// GPU) the image is resized as float32 and rounded, which gives other values.
bool ResizesBytesDirectly(const at::Tensor& image, ResizeMode mode) {
  if (mode == ResizeMode::kNearestExact) return true;
  if (!image.is_cpu()) return false;
  if (mode == ResizeMode::kBicubic) return true;
#if defined(__aarch64__) || defined(_M_ARM64)
  return true;
#else
  const std::string capability = at::get_cpu_capability();
  return capability == "AVX2" || capability == "AVX512";
#endif
}

// (C, H, W) to (1, C, H, W). The batch stride is what a batch of several would have: with the stride that
// unsqueeze gives, aten does not see that an image is channels-last and repacks it. torchvision does the
// same.
at::Tensor AsBatch(const at::Tensor& image) {
  return image.as_strided({1, image.size(0), image.size(1), image.size(2)},
                          {image.numel(), image.stride(0), image.stride(1), image.stride(2)});
}

at::Tensor Interpolate(const at::Tensor& batch, ImageSize size, ResizeMode mode) {
  const std::vector<int64_t> output_size = {size.height, size.width};
  switch (mode) {
    case ResizeMode::kNearestExact:
      return at::_upsample_nearest_exact2d(batch, output_size);
    case ResizeMode::kBilinear:
      return at::_upsample_bilinear2d_aa(batch, output_size, /*align_corners=*/false);
    case ResizeMode::kBicubic:
      return at::_upsample_bicubic2d_aa(batch, output_size, /*align_corners=*/false);
  }
  TORCH_CHECK(false, "unknown resize mode");
}

// torchvision.transforms.v2.functional.resize_image for one (C, H, W) image.
at::Tensor Resize(const at::Tensor& image, ImageSize size, ResizeMode mode) {
  if (image.size(1) == size.height && image.size(2) == size.width) return image;
  const at::ScalarType dtype = image.scalar_type();
  const bool direct = dtype == at::kFloat || dtype == at::kDouble ||
                      (dtype == at::kByte && ResizesBytesDirectly(image, mode));
  const at::Tensor batch = AsBatch(image);
  at::Tensor resized = Interpolate(direct ? batch : batch.to(at::kFloat), size, mode);
  if (!direct) {
    if (mode == ResizeMode::kBicubic && dtype == at::kByte) resized.clamp_(0, 255);
    if (at::isIntegralType(dtype, /*includeBool=*/false)) resized.round_();
    resized = resized.to(dtype);
  }
  return resized.squeeze(0);
}

// TorchvisionBackend.center_crop for one (C, H, W) image.
at::Tensor CenterCrop(const at::Tensor& image, ImageSize size) {
  const int64_t missing_height = std::max<int64_t>(size.height - image.size(1), 0);
  const int64_t missing_width = std::max<int64_t>(size.width - image.size(2), 0);
  at::Tensor padded = image;
  if (missing_height > 0 || missing_width > 0) {
    padded = at::constant_pad_nd(
        image, {missing_width / 2, (missing_width + 1) / 2, missing_height / 2, (missing_height + 1) / 2}, 0);
  }
  const int64_t top = (padded.size(1) - size.height) / 2;
  const int64_t left = (padded.size(2) - size.width) / 2;
  return padded.narrow(1, top, size.height).narrow(2, left, size.width);
}

// PIL's convert("RGB") on channels.
at::Tensor ConvertRgb(const at::Tensor& image) {
  const int64_t channels = image.size(0);
  if (channels <= 2) return image.narrow(0, 0, 1).expand({3, -1, -1});
  return channels == 3 ? image : image.narrow(0, 0, 3);
}

// Everything before rescaling: (C, H, W), most often a view.
at::Tensor Geometry(const ImageInput& input, size_t index, const PreprocessOptions& options) {
  at::Tensor pixels = input.pixels.to(options.device);
  // The float kernels round differently by memory layout, and the reference gives them planes.
  at::Tensor image = input.channels_last ? pixels.permute({2, 0, 1}) : pixels;
  if (image.scalar_type() != at::kByte) image = image.contiguous();
  if (options.resize) image = Resize(image, options.resize->sizes.at(index), options.resize->mode);
  // After resizing, where the image is most often smaller: channels do not mix.
  if (input.convert_rgb) image = ConvertRgb(image);
  return options.center_crop ? CenterCrop(image, *options.center_crop) : image;
}

// One value, or one for each channel, as (C, 1, 1), in units of the unscaled image.
at::Tensor ChannelConstant(const std::vector<double>& values, const PreprocessOptions& options) {
  at::Tensor constant = at::tensor(values, at::TensorOptions(at::kFloat).device(options.device));
  if (options.scale) constant = constant.mul(1.0 / *options.scale);
  return constant.view({-1, 1, 1});
}

// TorchvisionBackend.rescale_and_normalize, from `image` (C, H, W) into `output`, which has the result's
// dtype and may have more channels where `image` has one.
void RescaleAndNormalize(const at::Tensor& image, const PreprocessOptions& options, at::Tensor output) {
  if (options.mean.empty() && options.scale) {
    // Not in place: half-precision products round differently there.
    output.copy_(image.mul(*options.scale));
    return;
  }
  // Bytes are put in planes before they become floats: a quarter of the memory to walk through out of order.
  const bool planes_first = image.scalar_type() == at::kByte && !options.output_channels_last;
  output.copy_(planes_first ? image.contiguous() : image);
  if (!options.mean.empty()) {
    output.sub_(ChannelConstant(options.mean, options)).div_(ChannelConstant(options.std, options));
  }
}

at::ScalarType ResultDtype(const at::Tensor& image, const PreprocessOptions& options) {
  if (!options.mean.empty()) return at::kFloat;
  const at::ScalarType dtype = image.scalar_type();
  return options.scale && at::isIntegralType(dtype, /*includeBool=*/true) ? at::kFloat : dtype;
}

struct Result {
  at::Tensor image;
  int64_t channels;
  ImageSize size;
  at::ScalarType dtype;

  bool FitsWith(const Result& other) const {
    return channels == other.channels && size.height == other.size.height && size.width == other.size.width &&
           dtype == other.dtype;
  }
};

std::vector<Result> PlanResults(const std::vector<ImageInput>& inputs, const PreprocessOptions& options) {
  std::vector<Result> results;
  results.reserve(inputs.size());
  ImageSize largest{0, 0};
  for (size_t i = 0; i < inputs.size(); ++i) {
    const at::Tensor image = Geometry(inputs[i], i, options);
    // A grey image under three means becomes three channels, as broadcasting does in the reference.
    const auto channels = std::max(image.size(0), static_cast<int64_t>(options.mean.size()));
    results.push_back({image, channels, {image.size(1), image.size(2)}, ResultDtype(image, options)});
    largest = {std::max(largest.height, image.size(1)), std::max(largest.width, image.size(2))};
  }
  if (options.pad) {
    const ImageSize target = options.pad->size.value_or(largest);
    TORCH_CHECK(largest.height <= target.height && largest.width <= target.width,
                "Padding dimensions are negative. Please make sure that the `pad_size` is larger than the "
                "image size.");
    for (Result& result : results) result.size = target;
  }
  return results;
}

// Writes a result into `slot`, its place in the output.
void Fill(const Result& result, const PreprocessOptions& options, const at::Tensor& slot) {
  const at::Tensor planes = options.output_channels_last ? slot.permute({2, 0, 1}) : slot;
  RescaleAndNormalize(result.image, options,
                      planes.narrow(1, 0, result.image.size(1)).narrow(2, 0, result.image.size(2)));
}

at::Tensor Allocate(int64_t count, const Result& like, const PreprocessOptions& options) {
  std::vector<int64_t> shape = {count, like.channels, like.size.height, like.size.width};
  if (options.output_channels_last) shape = {count, like.size.height, like.size.width, like.channels};
  const auto tensor_options = at::TensorOptions(like.dtype).device(options.device);
  return options.pad ? at::zeros(shape, tensor_options) : at::empty(shape, tensor_options);
}

}  // namespace

std::vector<at::Tensor> PreprocessImages(const std::vector<ImageInput>& images,
                                         const PreprocessOptions& options) {
  TORCH_CHECK(!images.empty(), "no images");
  TORCH_CHECK(options.mean.empty() == options.std.empty(), "mean and std belong together");
  TORCH_CHECK(!options.resize || options.resize->sizes.size() == images.size(), "one size for each image");
  const std::vector<Result> results = PlanResults(images, options);
  const bool batched = std::all_of(results.begin(), results.end(),
                                   [&](const Result& result) { return result.FitsWith(results[0]); });

  std::vector<at::Tensor> outputs;
  if (batched) {
    outputs.push_back(Allocate(static_cast<int64_t>(results.size()), results[0], options));
    for (size_t i = 0; i < results.size(); ++i) {
      Fill(results[i], options, outputs[0][static_cast<int64_t>(i)]);
    }
  } else {
    for (const Result& result : results) {
      outputs.push_back(Allocate(1, result, options).squeeze(0));
      Fill(result, options, outputs.back());
    }
  }
  if (options.output_dtype) {
    for (at::Tensor& output : outputs) output = output.to(*options.output_dtype);
  }
  return outputs;
}

}  // namespace sam3_tracker
