#include "masks/post_process.h"

#include <ATen/Dispatch.h>
#include <ATen/Functions.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <limits>

#include "masks/connected_components.h"
#include "masks/connected_components_aten.h"
#include "masks/row_kernels.h"
#include "masks/upsample.h"

namespace sam3_tracker {
namespace {

// Meta's SAM2 predictor moves filled and removed components this far from the threshold.
constexpr double kComponentMargin = 10.0;
// Elements of the float temporary that PostProcessMasksWithAten allows itself on the way to booleans (256
// MiB).
constexpr int64_t kAtenChunkElements = int64_t{1} << 26;

at::Tensor UpsampleWithAten(const at::Tensor& masks, int64_t height, int64_t width, bool non_overlapping) {
  const std::array<int64_t, 2> size{height, width};
  const at::Tensor upsampled = at::upsample_bilinear2d(masks, size, /*align_corners=*/false);
  if (!non_overlapping || upsampled.size(0) == 1) return upsampled;
  const at::Tensor winner = at::argmax(upsampled, /*dim=*/0, /*keepdim=*/true);
  const at::Tensor objects =
      at::arange(upsampled.size(0), winner.options()).reshape({upsampled.size(0), 1, 1, 1});
  return at::where(at::eq(winner, objects), upsampled, at::clamp_max(upsampled, kSuppressedLogit));
}

// Whether ATen upsamples these masks by its channels-last kernel, whose sums are ordered otherwise. Such
// outputs are small or come from strided input, so they are left to it.
bool AtenUsesChannelsLast(const at::Tensor& masks, int64_t height, int64_t width) {
  return (masks.is_contiguous(at::MemoryFormat::ChannelsLast) && masks.size(1) > 3) ||
         IsSmallOutput(height, width);
}

bool RowKernelsApply(const at::Tensor& masks, int64_t height, int64_t width, bool binarize) {
  constexpr int64_t kMaxIndex = std::numeric_limits<int32_t>::max();
  const at::ScalarType dtype = masks.scalar_type();
  const bool full_precision = dtype == at::kFloat || dtype == at::kDouble;
  const bool reduced_precision = dtype == at::kHalf || dtype == at::kBFloat16;
  return masks.is_cpu() && (full_precision || (binarize && reduced_precision)) && masks.numel() > 0 &&
         height > 0 && width > 0 && masks.size(3) <= kMaxIndex && masks.size(2) <= kMaxIndex &&
         !AtenUsesChannelsLast(masks, height, width);
}

void CheckMasks(const at::Tensor& masks) {
  TORCH_CHECK(masks.defined() && masks.dim() == 4,
              "Masks must have 4 dimensions, (objects, masks, height, width), but have ",
              masks.defined() ? masks.dim() : 0);
}

bool HasComponentsToClean(const at::Tensor& masks, const PostProcessOptions& options) {
  if (options.small_components.AllStay()) return false;
  TORCH_CHECK(masks.is_floating_point(), "Holes and sprinkles need masks of a floating dtype, not ",
              masks.scalar_type());
  return masks.numel() > 0;
}

// What to rewrite in masks of a dtype, in its precision.
template <typename T>
ComponentLimits<T> LimitsFor(at::ScalarType dtype, const PostProcessOptions& options) {
  const auto rounded = [&](double value) { return static_cast<T>(RoundTo(dtype, value)); };
  return {options.small_components, rounded(options.mask_threshold),
          rounded(options.mask_threshold + kComponentMargin),
          rounded(options.mask_threshold - kComponentMargin)};
}

}  // namespace

bool IsSmallOutput(int64_t height, int64_t width) { return height + width <= 128; }

at::Tensor CleanComponents(const at::Tensor& masks, const PostProcessOptions& options) {
  if (!masks.is_cpu()) return CleanComponentsWithAten(masks, options);
  if (!HasComponentsToClean(masks, options)) return masks;
  const at::ScalarType dtype = masks.scalar_type();
  const at::ScalarType work_dtype = dtype == at::kDouble ? at::kDouble : at::kFloat;
  const at::Tensor cleaned = at::empty(masks.sizes(), masks.options().dtype(work_dtype)).copy_(masks);
  const int64_t height = masks.size(2);
  const int64_t width = masks.size(3);
  const int64_t area = height * width;
  AT_DISPATCH_FLOATING_TYPES(work_dtype, "clean_components", [&] {
    const ComponentLimits<scalar_t> limits = LimitsFor<scalar_t>(dtype, options);
    scalar_t* data = cleaned.mutable_data_ptr<scalar_t>();
    at::parallel_for(0, masks.size(0) * masks.size(1), 1, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i)
        FillHolesAndRemoveSprinkles(data + i * area, height, width, limits);
    });
  });
  return cleaned.to(masks.options());
}

at::Tensor CleanComponentsWithAten(const at::Tensor& masks, const PostProcessOptions& options) {
  if (!HasComponentsToClean(masks, options)) return masks;
  return FillHolesAndRemoveSprinklesWithAten(masks.flatten(0, 1),
                                             LimitsFor<double>(masks.scalar_type(), options))
      .view(masks.sizes());
}

at::Tensor PostProcessMasksWithAten(const at::Tensor& masks, int64_t height, int64_t width,
                                    const PostProcessOptions& options) {
  CheckMasks(masks);
  const at::Tensor cleaned = CleanComponents(masks, options);
  if (!options.binarize) return UpsampleWithAten(cleaned, height, width, options.non_overlapping);
  // Objects compete with each other, masks of one object do not: the dimension that can be cut differs.
  const int64_t dim = options.non_overlapping ? 1 : 0;
  const int64_t slices = masks.size(dim);
  const int64_t slice_elements = std::max<int64_t>(1, masks.size(1 - dim) * height * width);
  const int64_t chunk =
      std::clamp<int64_t>(kAtenChunkElements / slice_elements, 1, std::max<int64_t>(slices, 1));
  if (chunk >= slices) {
    return UpsampleWithAten(cleaned, height, width, options.non_overlapping).gt(options.mask_threshold);
  }
  at::Tensor output =
      at::empty({masks.size(0), masks.size(1), height, width}, masks.options().dtype(at::kBool));
  for (int64_t begin = 0; begin < slices; begin += chunk) {
    const int64_t length = std::min(chunk, slices - begin);
    at::Tensor target = output.narrow(dim, begin, length);
    const at::Tensor part = cleaned.narrow(dim, begin, length);
    at::gt_out(target, UpsampleWithAten(part, height, width, options.non_overlapping),
               options.mask_threshold);
  }
  return output;
}

at::Tensor PostProcessMasks(const at::Tensor& masks, int64_t height, int64_t width,
                            const PostProcessOptions& options) {
  CheckMasks(masks);
  if (!RowKernelsApply(masks, height, width, options.binarize)) {
    return PostProcessMasksWithAten(masks, height, width, options);
  }
  const at::ScalarType dtype = masks.scalar_type();
  const at::Tensor source = CleanComponents(masks, options)
                                .to(dtype == at::kDouble ? at::kDouble : at::kFloat)
                                .contiguous(at::MemoryFormat::Contiguous);
  const at::Tensor output = at::empty({masks.size(0), masks.size(1), height, width},
                                      masks.options().dtype(options.binarize ? at::kBool : dtype));
  UpsampleMasks(source, dtype, RoundTo(dtype, options.mask_threshold), options.non_overlapping, output);
  return output;
}

std::vector<at::Tensor> PostProcessMasks(const std::vector<at::Tensor>& masks,
                                         const BatchPostProcessOptions& options) {
  TORCH_CHECK(masks.size() == options.original_sizes.size(), "Expected as many sizes as images with masks.");
  std::vector<at::Tensor> results;
  for (size_t i = 0; i < masks.size(); ++i) {
    const auto [height, width] = options.original_sizes[i];
    results.push_back(PostProcessMasks(masks[i], height, width, options.post_process));
  }
  return results;
}

}  // namespace sam3_tracker
