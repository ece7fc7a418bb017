// Compares the streamed masks of native/masks/filter_masks, their boxes and small regions with the aten twin
// and with plain loops. Exits with the number of failures, each of which it prints.
#include "masks/filter_masks.h"

#include <ATen/ATen.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <iostream>
#include <limits>
#include <numeric>
#include <sstream>
#include <string>
#include <vector>

#include "../support/flood_fill.h"
#include "masks/nms.h"
#include "masks/rle.h"
#include "runtime/error.h"

namespace {

using sam3_tracker::FilteredMask;
using sam3_tracker::FilterMasks;
using sam3_tracker::FilterMasksWithAten;
using sam3_tracker::FloodFillAreas;
using sam3_tracker::MaskFilterOptions;
using sam3_tracker::NonMaximumSuppression;
using sam3_tracker::PixelBox;
using sam3_tracker::RleCounts;
using sam3_tracker::ScoredMasks;

int failures = 0;
int checks = 0;
int64_t kept_masks = 0;
sam3_tracker::MaskFilterSeconds seconds{0, 0};

void Check(bool condition, const std::string& what) {
  ++checks;
  if (condition) return;
  ++failures;
  std::cerr << "FAILED: " << what << "\n";
}

int64_t Random(int64_t low, int64_t high) { return at::randint(low, high + 1, {1}).item<int64_t>(); }

MaskFilterOptions KeepAll(int64_t height, int64_t width) {
  return {0, 0, 1, 0, 0, 0, {0, 0, width, height}, {0, 0, width, height}, height, width};
}

bool SameFloat(float a, float b) { return a == b || (std::isnan(a) && std::isnan(b)); }

void CheckAgainstTwin(const ScoredMasks& predicted, const MaskFilterOptions& options,
                      const std::string& what) {
  const std::vector<FilteredMask> got = FilterMasks(predicted, options, seconds);
  const std::vector<FilteredMask> expected = FilterMasksWithAten(predicted, options, seconds);
  kept_masks += static_cast<int64_t>(got.size());
  bool same = got.size() == expected.size();
  for (size_t i = 0; same && i < got.size(); ++i) {
    same = got[i].index == expected[i].index && got[i].score == expected[i].score &&
           SameFloat(got[i].stability_score, expected[i].stability_score) && got[i].box == expected[i].box &&
           got[i].counts == expected[i].counts;
  }
  std::ostringstream text;
  text << what << ": " << predicted.masks.scalar_type() << ' ' << predicted.masks.sizes() << " to "
       << options.image_height << 'x' << options.image_width << ", " << got.size() << " and "
       << expected.size() << " masks";
  Check(same, text.str());
}

// Blobs: what masks look like, with wide areas on one side of every threshold.
at::Tensor SmoothMasks(int64_t points, int64_t masks, int64_t size) {
  const at::Tensor coarse = at::randn({points, masks, 5, 5}) * 12;
  return at::upsample_bicubic2d(coarse, {{size, size}}, false).unsqueeze(0);
}

void TestAgainstTwin() {
  const std::vector<at::ScalarType> dtypes{at::kFloat, at::kDouble, at::kBFloat16, at::kHalf};
  for (int round = 0; round < 120; ++round) {
    const at::ScalarType dtype = dtypes[static_cast<size_t>(round) % dtypes.size()];
    const int64_t points = Random(1, 5);
    const int64_t masks = Random(1, 4);
    at::Tensor logits = round % 3 == 0 ? at::randn({1, points, masks, Random(1, 50), Random(1, 50)}) * 4
                                       : SmoothMasks(points, masks, Random(2, 96));
    // Logits on a coarse grid: many upsampled values lie on a threshold itself.
    if (round % 5 == 0) logits = at::round(logits * 2) / 4;
    if (round % 11 == 0) logits.index_put_({logits.abs() < 0.1}, std::numeric_limits<float>::quiet_NaN());
    if (round % 13 == 0) logits.index_put_({logits > 6}, std::numeric_limits<float>::infinity());
    const int64_t height = Random(1, 400);
    const int64_t width = Random(1, 400);
    MaskFilterOptions options = KeepAll(height, width);
    if (round % 2 == 0) options.pred_iou_thresh = 0.4;
    if (round % 4 < 2) options.stability_score_thresh = 0.6;
    options.stability_score_offset = round % 7 == 0 ? -0.5 : 1.0;
    options.mask_threshold = round % 6 == 0 ? 0.3 : 0.0;
    if (round % 8 == 0)
      options.small_components.max_hole_area = options.small_components.max_sprinkle_area = 5;
    if (round % 3 == 1) {
      options.crop_box[0] = Random(0, width - 1);
      options.crop_box[1] = Random(0, height - 1);
      options.crop_box[2] = Random(options.crop_box[0] + 1, width);
      options.crop_box[3] = Random(options.crop_box[1] + 1, height);
    }
    // Every mask but those at the edges, or every mask.
    if (round % 4 == 1) options.bounds = options.crop_box;
    CheckAgainstTwin({logits.to(dtype), at::rand({1, points, masks}).to(dtype)}, options,
                     "round " + std::to_string(round));
  }
  CheckAgainstTwin({SmoothMasks(8, 3, 288), at::rand({1, 8, 3})}, KeepAll(1200, 1800), "a photo");
  // More than one chunk of the twin, which takes 67 million pixels at once.
  CheckAgainstTwin({SmoothMasks(3, 2, 96), at::rand({1, 3, 2})}, KeepAll(4000, 6000), "several chunks");
  const at::Tensor uniform = at::cat({at::full({1, 1, 1, 8, 8}, 3.0), at::full({1, 1, 1, 8, 8}, -3.0)}, 1);
  CheckAgainstTwin({uniform, at::ones({1, 2, 1})}, KeepAll(200, 300), "a full and an empty mask");
  Check(seconds.filter > 0 && seconds.upsample > 0, "the time of both stages is told");
  Check(kept_masks > 300, "the rounds keep masks: " + std::to_string(kept_masks));
}

// The mask's pixels by the plainest way, in column-major order.
std::vector<bool> PixelsOf(const RleCounts& counts) {
  std::vector<bool> pixels;
  for (size_t i = 0; i < counts.size(); ++i) pixels.insert(pixels.end(), counts[i], i % 2 == 1);
  return pixels;
}

RleCounts RleOf(const std::vector<bool>& pixels) {
  sam3_tracker::RleWriter writer;
  for (size_t i = 0; i < pixels.size(); ++i) writer.Set(pixels[i], static_cast<int64_t>(i));
  return writer.Finish(static_cast<int64_t>(pixels.size()));
}

void TestPixels() {
  const int64_t height = 150;
  const int64_t width = 170;
  MaskFilterOptions options = KeepAll(height, width);
  options.crop_box = {10, 30, 160, 150};
  options.bounds = options.crop_box;
  const at::Tensor logits = SmoothMasks(3, 2, 40);
  const std::vector<FilteredMask> masks = FilterMasks({logits, at::ones({1, 3, 2})}, options, seconds);
  Check(masks.size() == 6, "all masks pass");
  const at::Tensor upsampled = at::upsample_bilinear2d(logits.flatten(1, 2), {{120, 150}}, false).squeeze(0);
  for (const FilteredMask& mask : masks) {
    at::Tensor expected = at::zeros({height, width}, at::kBool);
    expected.slice(0, 30, 150).slice(1, 10, 160).copy_(upsampled[mask.index].gt(0));
    const at::Tensor columns = expected.t().contiguous();
    std::vector<bool> pixels(columns.const_data_ptr<bool>(), columns.const_data_ptr<bool>() + height * width);
    Check(PixelsOf(mask.counts) == pixels, "the pixels of mask " + std::to_string(mask.index));
    Check(mask.counts == RleOf(pixels), "the RLE of mask " + std::to_string(mask.index));
    const at::Tensor where = expected.nonzero();
    const at::Tensor low = std::get<0>(where.min(0));
    const at::Tensor high = std::get<0>(where.max(0));
    const PixelBox box = {low[1].item<int64_t>(), low[0].item<int64_t>(), high[1].item<int64_t>(),
                          high[0].item<int64_t>()};
    Check(mask.box == box, "the box of mask " + std::to_string(mask.index));
  }
}

void TestEdges() {
  // A mask in the middle of the left half: cut by the left edge of the right crop, whole in the image.
  at::Tensor logits = at::full({1, 1, 1, 10, 10}, -5.0);
  logits.slice(3, 4, 6).slice(4, 0, 5).fill_(5.0);
  MaskFilterOptions options = KeepAll(200, 400);
  const at::Tensor scores = at::ones({1, 1, 1});
  Check(FilterMasks({logits, scores}, options, seconds).size() == 1, "a mask at the image's edge stays");
  options.crop_box = {200, 0, 400, 200};
  Check(FilterMasks({logits, scores}, options, seconds).empty(), "a mask at a crop's edge goes");
  options.bounds = options.crop_box;
  Check(FilterMasks({logits, scores}, options, seconds).size() == 1,
        "a mask at the edge of what is looked at stays");
}

// SAM's remove_small_regions by flood fill.
std::vector<bool> RemoveByFloodFill(std::vector<bool> pixels, int64_t height, int64_t width, int64_t min_area,
                                    bool sprinkles) {
  std::vector<bool> working = pixels;
  if (!sprinkles) working.flip();
  // Column-major: the image's columns are the flood fill's rows.
  const std::vector<int64_t> areas = FloodFillAreas(working, width, height);
  int64_t largest = 0;
  for (const int64_t area : areas) largest = std::max(largest, area);
  std::vector<bool> result = pixels;
  for (size_t i = 0; i < pixels.size(); ++i) {
    if (working[i] && areas[i] < min_area && !(sprinkles && largest < min_area)) result[i] = !sprinkles;
  }
  return result;
}

void TestSmallRegions() {
  for (int round = 0; round < 200; ++round) {
    const int64_t height = Random(1, 30);
    const int64_t width = Random(1, 30);
    const double share = round % 3 == 0 ? 0.7 : 0.4;
    std::vector<bool> pixels(static_cast<size_t>(height * width));
    for (size_t i = 0; i < pixels.size(); ++i) pixels[i] = at::rand({1}).item<double>() < share;
    const int64_t min_area = Random(1, 15);
    RleCounts counts = RleOf(pixels);
    const RleCounts before = counts;
    const bool changed = sam3_tracker::RemoveSmallRegions(&counts, height, width, min_area);
    std::vector<bool> expected = RemoveByFloodFill(pixels, height, width, min_area, false);
    const std::vector<int64_t> sprinkles = FloodFillAreas(expected, width, height);
    int64_t largest = 0;
    for (const int64_t area : sprinkles) largest = std::max(largest, area);
    // Where all sprinkles are small the largest stays, which of equals is not said: those rounds count areas
    // only.
    const bool all_small = largest > 0 && largest < min_area;
    expected = RemoveByFloodFill(expected, height, width, min_area, true);
    const std::string what = "round " + std::to_string(round);
    if (all_small) {
      const std::vector<bool> left = PixelsOf(counts);
      Check(std::count(left.begin(), left.end(), true) == largest, "the largest sprinkle stays: " + what);
    } else {
      Check(PixelsOf(counts) == expected, "small regions as flood fill finds them: " + what);
      Check(changed == (counts != before), "a change is told: " + what);
    }
  }
}

void TestSuppression() {
  const std::vector<std::array<float, 4>> boxes{{0, 0, 10, 10}, {0, 0, 10, 9}, {20, 20, 30, 30},
                                                {5, 5, 5, 5},   {5, 5, 5, 5},  {0, 0, 10, 8}};
  Check(NonMaximumSuppression(boxes, {0.5f, 0.9f, 0.7f, 0.1f, 0.1f, 0.2f}, 0.8) ==
            std::vector<int64_t>({1, 2, 3, 4}),
        "the better of two that overlap stays, and boxes without an area");
  Check(NonMaximumSuppression(boxes, {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f}, 0.85) ==
            std::vector<int64_t>({0, 2, 3, 4, 5}),
        "equal scores keep their order, and the suppressed suppress nothing");
  Check(NonMaximumSuppression({}, {}, 0.5).empty(), "no boxes");
  Check(NonMaximumSuppression({{0, 0, 2, 1}, {1, 0, 3, 1}}, {1, 0}, 1.0 / 3).size() == 1,
        "the float32 IoU is compared in double: 1/3 rounds up");
}

template <typename Function>
bool IsRefused(const Function& function) {
  try {
    function();
  } catch (const sam3_tracker::Sam3Error& error) {
    return error.code() == sam3_tracker::ErrorCode::kInvalidArgument;
  }
  return false;
}

// Sizes of 0, below and huge ones end at once, whatever loop they would have run.
void TestRefusals() {
  constexpr int64_t kHuge = int64_t{1} << 53;
  constexpr int64_t kLongest = sam3_tracker::kLongestSide;
  constexpr int64_t kMost = std::numeric_limits<int64_t>::max();
  const std::vector<int64_t> wrong{0, -1, -kHuge, kLongest + 1, kHuge, kMost};
  const ScoredMasks predicted{at::randn({1, 2, 3, 8, 8}), at::rand({1, 2, 3})};
  const auto both_refuse = [&](const MaskFilterOptions& options, const std::string& what) {
    for (const auto& filter : {FilterMasks, FilterMasksWithAten})
      Check(IsRefused([&] { filter(predicted, options, seconds); }), what);
  };
  for (const int64_t side : wrong) {
    for (const int64_t other : {int64_t{16}, side}) {
      const std::string text = std::to_string(side) + " and " + std::to_string(other);
      both_refuse(KeepAll(side, other), "an image of " + text);
      both_refuse(KeepAll(other, side), "an image of " + text);
      for (const auto& [height, width] : {std::pair(side, other), std::pair(other, side)}) {
        RleCounts counts{0, 256};
        Check(IsRefused([&] { sam3_tracker::RemoveSmallRegions(&counts, height, width, 4); }),
              "regions of an image of " + text);
      }
    }
    for (size_t at = 0; at < 4; ++at) {
      MaskFilterOptions options = KeepAll(16, 16);
      options.crop_box[at] = at < 2 && side == 0 ? 16 : side;
      both_refuse(options, "a crop with " + std::to_string(side) + " at " + std::to_string(at));
    }
  }
  both_refuse(KeepAll(kLongest, 256), "2^32 pixels");
  for (const RleCounts& wrong_counts : {RleCounts{}, {255}, {257}, {0, 0}, {4294967295u, 4294967295u}}) {
    RleCounts counts = wrong_counts;
    Check(IsRefused([&] { sam3_tracker::RemoveSmallRegions(&counts, 16, 16, 4); }), "runs that do not fill");
  }
  RleCounts counts{0, 256};
  for (const int64_t area : {int64_t{0}, int64_t{-1}, -kMost, kMost})
    sam3_tracker::RemoveSmallRegions(&counts, 16, 16, area);
  Check(counts == RleCounts{0, 256}, "any area leaves the only region");
}

}  // namespace

int main() {
  at::manual_seed(3);
  TestAgainstTwin();
  TestPixels();
  TestEdges();
  TestSmallRegions();
  TestSuppression();
  TestRefusals();
  std::cout << checks << " checks, " << failures << " failures\n";
  return failures == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
