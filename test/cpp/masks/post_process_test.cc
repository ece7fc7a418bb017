// Compares the row kernels of native/masks/post_process with their aten twin, and the twin's holes and
// sprinkles with a flood fill. Exits with the number of failures, each of which it prints.
#include "masks/post_process.h"

#include <ATen/ATen.h>

#include <cmath>
#include <cstdlib>
#include <exception>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../support/flood_fill.h"
#include "../support/tensor_checks.h"

namespace {

using sam3_tracker::Check;
using sam3_tracker::FloodFillAreas;
using sam3_tracker::PostProcessMasks;
using sam3_tracker::PostProcessMasksWithAten;
using sam3_tracker::PostProcessOptions;
using sam3_tracker::Random;
using sam3_tracker::Same;

constexpr PostProcessOptions kDefaults{0.0, true, 0.0, 0.0, false};

std::string Describe(const at::Tensor& masks, int64_t height, int64_t width,
                     const PostProcessOptions& options) {
  std::ostringstream out;
  out << masks.scalar_type() << ' ' << masks.sizes() << " to " << height << 'x' << width << ", threshold "
      << options.mask_threshold << ", binarize " << options.binarize << ", holes "
      << options.small_components.max_hole_area << ", sprinkles "
      << options.small_components.max_sprinkle_area << ", non-overlapping " << options.non_overlapping;
  return out.str();
}

void CheckAgainstTwin(const at::Tensor& masks, int64_t height, int64_t width,
                      const PostProcessOptions& options) {
  const at::Tensor before = masks.clone();
  const at::Tensor got = PostProcessMasks(masks, height, width, options);
  Check(Same(got, PostProcessMasksWithAten(masks, height, width, options)),
        "the same bits as aten: " + Describe(masks, height, width, options));
  Check(Same(masks, before), "the input unchanged: " + Describe(masks, height, width, options));
}

void TestRandomSizes() {
  const std::vector<at::ScalarType> dtypes{at::kFloat, at::kDouble, at::kBFloat16, at::kHalf};
  for (int round = 0; round < 80; ++round) {
    const at::ScalarType dtype = dtypes[static_cast<size_t>(round) % dtypes.size()];
    const at::Tensor masks =
        (at::randn({Random(1, 4), Random(1, 4), Random(1, 60), Random(1, 60)}) * 8).to(dtype);
    const PostProcessOptions options{
        round % 3 == 0 ? 0.0 : at::randn({1}).item<double>(),
        round % 5 != 0,
        static_cast<double>(round % 7 == 0 ? Random(1, 9) : 0),
        static_cast<double>(round % 11 == 0 ? Random(1, 9) : 0),
        round % 2 == 0,
    };
    CheckAgainstTwin(masks, Random(1, 300), Random(1, 300), options);
  }
}

void TestExtremeSizes() {
  for (const auto& [height, width] : std::vector<std::pair<int64_t, int64_t>>{
           {1, 1}, {1, 500}, {500, 1}, {20, 20}, {288, 288}, {1200, 1800}, {7, 2000}}) {
    for (const bool non_overlapping : {false, true}) {
      PostProcessOptions options = kDefaults;
      options.non_overlapping = non_overlapping;
      CheckAgainstTwin(at::randn({2, 3, 288, 288}), height, width, options);
      CheckAgainstTwin(at::randn({2, 3, 1, 1}), height, width, options);
      CheckAgainstTwin(at::randn({2, 1, 1, 40}), height, width, options);
      CheckAgainstTwin(at::randn({2, 1, 40, 1}), height, width, options);
    }
  }
  CheckAgainstTwin(at::empty({0, 3, 8, 8}), 200, 300, kDefaults);
}

void TestTiesAndSpecialValues() {
  // Logits on a coarse grid: many upsampled values lie on the threshold itself, and many objects tie.
  const at::Tensor ties = at::randint(-2, 3, {3, 2, 24, 24}).to(at::kFloat) * 0.25;
  at::Tensor special = at::randn({3, 2, 24, 24});
  special.index_put_({special.abs() < 0.1}, std::numeric_limits<float>::quiet_NaN());
  special.index_put_({special > 2}, std::numeric_limits<float>::infinity());
  special.index_put_({special < -2}, -std::numeric_limits<float>::infinity());
  for (const at::Tensor& masks : {ties, special}) {
    for (const double threshold : {0.0, 0.25, -0.3, -11.0}) {
      for (const bool non_overlapping : {false, true}) {
        for (const bool binarize : {false, true}) {
          for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
            for (const double area : {0.0, 3.0}) {
              CheckAgainstTwin(masks.to(dtype), 96, 192, {threshold, binarize, area, area, non_overlapping});
            }
          }
        }
      }
    }
  }
}

void TestStridedInput() {
  const at::Tensor strided = at::randn({3, 40, 2, 50}).permute({0, 2, 1, 3});
  CheckAgainstTwin(strided, 200, 300, kDefaults);
  CheckAgainstTwin(at::randn({2, 5, 40, 50}).contiguous(at::MemoryFormat::ChannelsLast), 200, 300, kDefaults);
}

void TestManyObjects() {
  // More than one chunk of the twin, which takes 67 million pixels at once: planes of 18 million.
  PostProcessOptions options = kDefaults;
  CheckAgainstTwin(at::randn({4, 1, 64, 64}), 3000, 6000, options);
  options.non_overlapping = true;
  CheckAgainstTwin(at::randn({2, 2, 64, 64}), 3000, 6000, options);
}

at::Tensor CleanByFloodFill(const at::Tensor& masks, double threshold, double max_hole_area,
                            double max_sprinkle_area) {
  at::Tensor result = masks.clone();
  const int64_t height = masks.size(2);
  const int64_t width = masks.size(3);
  const int64_t area = height * width;
  const float limit = static_cast<float>(threshold);
  for (int64_t plane = 0; plane < masks.size(0) * masks.size(1); ++plane) {
    const float* logits = masks.const_data_ptr<float>() + plane * area;
    float* output = result.mutable_data_ptr<float>() + plane * area;
    std::vector<bool> background(static_cast<size_t>(area));
    std::vector<bool> foreground(static_cast<size_t>(area));
    for (int64_t i = 0; i < area; ++i) {
      background[static_cast<size_t>(i)] = logits[i] <= limit;
      foreground[static_cast<size_t>(i)] = logits[i] > limit;
    }
    const std::vector<int64_t> holes = FloodFillAreas(background, height, width);
    const std::vector<int64_t> sprinkles = FloodFillAreas(foreground, height, width);
    for (int64_t i = 0; i < area; ++i) {
      const auto hole = static_cast<double>(holes[static_cast<size_t>(i)]);
      const auto sprinkle = static_cast<double>(sprinkles[static_cast<size_t>(i)]);
      if (hole > 0 && hole <= max_hole_area) output[i] = static_cast<float>(threshold + 10);
      if (sprinkle > 0 && sprinkle <= max_sprinkle_area) output[i] = static_cast<float>(threshold - 10);
    }
  }
  return result;
}

void TestHolesAndSprinkles() {
  for (int round = 0; round < 120; ++round) {
    const int64_t height = Random(1, 40);
    const int64_t width = Random(1, 40);
    at::Tensor masks = at::randn({2, 2, height, width}) + at::randn({1}) * 0.8;
    if (round % 4 == 0) masks.index_put_({masks.abs() < 0.2}, std::numeric_limits<float>::quiet_NaN());
    if (round % 4 == 1) masks = at::round(masks);
    const PostProcessOptions options{
        round % 2 == 0 ? 0.0 : 0.3,
        false,
        static_cast<double>(Random(0, 12)),
        static_cast<double>(Random(0, 12)) + 0.5,
        false,
    };
    const at::Tensor expected =
        CleanByFloodFill(masks, options.mask_threshold, options.small_components.max_hole_area,
                         options.small_components.max_sprinkle_area);
    PostProcessOptions plain = options;
    plain.small_components.max_hole_area = 0;
    plain.small_components.max_sprinkle_area = 0;
    for (const auto& [out_height, out_width] :
         std::vector<std::pair<int64_t, int64_t>>{{height, width}, {150, 170}}) {
      Check(Same(PostProcessMasks(masks, out_height, out_width, options),
                 PostProcessMasksWithAten(expected, out_height, out_width, plain)),
            "components as flood fill finds them: " + Describe(masks, out_height, out_width, options));
    }
  }
}

void TestErrors() {
  const auto message = [](const at::Tensor& masks, int64_t height, int64_t width,
                          PostProcessOptions options) {
    try {
      PostProcessMasks(masks, height, width, options);
    } catch (const std::exception& error) {
      return std::string(error.what());
    }
    return std::string("no error");
  };
  const auto contains = [](const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
  };
  Check(contains(message(at::randn({3, 8, 8}), 9, 9, kDefaults), "4 dimensions"),
        "three dimensions are refused");
  Check(contains(message(at::randn({1, 1, 8, 8}), 0, 9, kDefaults), "greater than 0"), "height 0 is refused");
  Check(contains(message(at::randn({1, 1, 0, 8}), 9, 9, kDefaults), "greater than 0"),
        "empty masks are refused");
  PostProcessOptions clean = kDefaults;
  clean.small_components.max_hole_area = 4;
  Check(contains(message(at::ones({1, 1, 8, 8}, at::kLong), 9, 9, clean), "floating dtype"),
        "integers have no holes");
  PostProcessOptions huge = kDefaults;
  huge.mask_threshold = 1e300;
  Check(contains(message(at::randn({1, 1, 8, 8}), 200, 200, huge), "without overflow"),
        "a threshold beyond float32 is refused");
}

}  // namespace

int main() {
  at::manual_seed(7);
  TestRandomSizes();
  TestExtremeSizes();
  TestTiesAndSpecialValues();
  TestStridedInput();
  TestManyObjects();
  TestHolesAndSprinkles();
  TestErrors();
  return sam3_tracker::ReportChecks();
}
