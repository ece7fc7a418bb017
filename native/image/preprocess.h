// From images to pixel values: what transformers' TorchvisionBackend does to an image, on aten operators.
#pragma once

#include <ATen/ATen.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace sam3_tracker {

// In pixels.
struct ImageSize {
  int64_t height;
  int64_t width;
};

// torchvision's interpolation modes that work on tensors; kBilinear and kBicubic are antialiased.
enum class ResizeMode { kNearestExact, kBilinear, kBicubic };

// One image of any dtype: (height, width, channels) if `channels_last`, else (channels, height, width).
struct ImageInput {
  at::Tensor pixels;
  bool channels_last;
  // As PIL's convert("RGB"): alpha is dropped, not blended, and grey is repeated to three channels.
  bool convert_rgb;
};

struct ResizeOptions {
  // One for each image, all positive.
  std::vector<ImageSize> sizes;
  ResizeMode mode;
};

struct PadOptions {
  // The largest height and the largest width of the images where there is none.
  std::optional<ImageSize> size;
};

// The steps in their order; one that has no value is left out.
struct PreprocessOptions {
  std::optional<ResizeOptions> resize;
  // Cuts around the centre; pads with zeros where the image is smaller.
  std::optional<ImageSize> center_crop;
  // Factor of every value: folded into mean and std where these are given.
  std::optional<double> scale;
  // One value, or one for each channel, in units after `scale`; both are given or both are empty.
  std::vector<double> mean;
  std::vector<double> std;
  // Zeros at the right and at the bottom, put in after normalisation.
  std::optional<PadOptions> pad;
  // (height, width, channels) instead of (channels, height, width).
  bool output_channels_last = false;
  // What the steps give where there is none: float32 once normalised, the image's own dtype if nothing is
  // computed.
  std::optional<at::ScalarType> output_dtype;
  at::Device device = at::kCPU;
};

// Mirrors TorchvisionBackend._preprocess of transformers, with its numbers. The result is one tensor
// (images, channels, height, width) if all results have the same shape and dtype, or else one
// three-dimensional tensor for each image. Throws c10::Error for shapes that do not fit.
std::vector<at::Tensor> PreprocessImages(const std::vector<ImageInput>& images,
                                         const PreprocessOptions& options);

}  // namespace sam3_tracker
