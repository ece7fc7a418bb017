// Compares components found in aten calls with those found run by run, bit for bit. Exits with 1 and
// prints what differs.
#include <ATen/ATen.h>

#include <cstdlib>
#include <functional>
#include <iostream>
#include <limits>
#include <sstream>
#include <string>
#include <utility>
#include <vector>

#include "../support/tensor_checks.h"
#include "masks/post_process.h"

namespace {

using sam3_tracker::Check;
using sam3_tracker::CleanComponents;
using sam3_tracker::CleanComponentsWithAten;
using sam3_tracker::PostProcessOptions;
using sam3_tracker::Random;
using sam3_tracker::Same;

void CheckAgainstRuns(const std::string& name, const at::Tensor& masks, double threshold,
                      double max_hole_area, double max_sprinkle_area) {
  const PostProcessOptions options{threshold, false, max_hole_area, max_sprinkle_area, false};
  const at::Tensor before = masks.clone();
  const at::Tensor got = CleanComponentsWithAten(masks, options);
  std::ostringstream what;
  what << name << ' ' << masks.scalar_type() << ' ' << masks.sizes() << ", threshold " << threshold
       << ", holes " << max_hole_area << ", sprinkles " << max_sprinkle_area;
  Check(Same(got, CleanComponents(masks, options)), what.str());
  Check(Same(masks, before), "the input unchanged: " + what.str());
}

// (1, 1, side, side), 1 where `inside` is true and -1 elsewhere.
at::Tensor Draw(int64_t side, const std::function<bool(int64_t y, int64_t x)>& inside) {
  at::Tensor mask = at::full({1, 1, side, side}, -1.0F);
  float* data = mask.mutable_data_ptr<float>();
  for (int64_t y = 0; y < side; ++y)
    for (int64_t x = 0; x < side; ++x)
      if (inside(y, x)) data[y * side + x] = 1;
  return mask;
}

// A path of one pixel's width from a corner to the middle: no other shape of its area has a longer way
// through.
at::Tensor Spiral(int64_t side) {
  at::Tensor mask = at::full({1, 1, side, side}, -1.0F);
  float* data = mask.mutable_data_ptr<float>();
  constexpr std::pair<int64_t, int64_t> kSteps[] = {{0, 1}, {1, 0}, {0, -1}, {-1, 0}};
  int64_t y = 0;
  int64_t x = 0;
  data[0] = 1;
  int64_t length = side - 1;
  for (size_t turn = 0; length > 0; ++turn) {
    for (int64_t step = 0; step < length; ++step) {
      y += kSteps[turn % 4].first;
      x += kSteps[turn % 4].second;
      data[y * side + x] = 1;
    }
    // The first three sides have one length, then every second turn takes two off.
    if (turn >= 2 && turn % 2 == 0) length -= 2;
  }
  return mask;
}

// Limits around each component's own area, below and above the first question about convergence (64 steps),
// and all there is.
std::vector<double> Limits(int64_t area) {
  const auto all = static_cast<double>(area);
  return {0.5, 1,  2,  3,   7.5,     20,  62,      63,
          64,  65, 66, 130, all - 1, all, 2 * all, std::numeric_limits<double>::infinity()};
}

void TestAdversarialShapes() {
  for (const int64_t side : {1, 2, 3, 8, 9, 21, 40}) {
    const std::vector<std::pair<std::string, at::Tensor>> shapes{
        {"empty", Draw(side, [](int64_t, int64_t) { return false; })},
        {"full", Draw(side, [](int64_t, int64_t) { return true; })},
        {"checkerboard", Draw(side, [](int64_t y, int64_t x) { return (y + x) % 2 == 0; })},
        {"separate pixels", Draw(side, [](int64_t y, int64_t x) { return y % 2 == 0 && x % 2 == 0; })},
        {"one pixel", Draw(side, [&](int64_t y, int64_t x) { return y == side / 2 && x == side / 2; })},
        {"comb", Draw(side, [](int64_t y, int64_t x) { return y == 0 || x % 2 == 0; })},
        {"comb upside down", Draw(side, [&](int64_t y, int64_t x) { return y == side - 1 || x % 2 == 0; })},
        {"stripes", Draw(side, [](int64_t, int64_t x) { return x % 2 == 0; })},
        {"diagonals", Draw(side, [](int64_t y, int64_t x) { return (y + x) % 3 == 0; })},
        {"serpentine",
         Draw(side,
              [&](int64_t y, int64_t x) { return y % 2 == 0 || x == ((y / 2) % 2 == 0 ? side - 1 : 0); })},
        {"rings", Draw(side,
                       [&](int64_t y, int64_t x) {
                         return std::min(std::min(y, side - 1 - y), std::min(x, side - 1 - x)) % 2 == 0;
                       })},
        {"spiral", Spiral(side)},
    };
    for (const auto& [name, mask] : shapes) {
      // Each turn and reflection gives the pixels of a shape labels in another order.
      for (int turns = 0; turns < 4; ++turns) {
        const at::Tensor turned = at::rot90(mask, turns, {2, 3}).contiguous();
        for (const double limit : Limits(side * side)) {
          CheckAgainstRuns(name, turned, 0, limit, 0);
          CheckAgainstRuns(name, turned, 0, 0, limit);
        }
        CheckAgainstRuns(name + " reflected", turned.flip({3}), 0, 20, 20);
        CheckAgainstRuns(name + " inverted", -turned, 0, 20, 63);
      }
    }
  }
}

// Paths of every length around the limit, as components of their own and with a blob at their end.
void TestPathsAroundTheLimit() {
  for (const int64_t limit : {1, 2, 5, 20, 64, 70}) {
    for (int64_t length = std::max<int64_t>(1, limit - 2); length <= limit + 2; ++length) {
      const int64_t side = limit + 8;
      const at::Tensor path = Draw(side, [&](int64_t y, int64_t x) { return y == 3 && x < length; });
      const at::Tensor diagonal = Draw(side, [&](int64_t y, int64_t x) { return y == x && x < length; });
      const at::Tensor blob = Draw(
          side, [&](int64_t y, int64_t x) { return (y == 3 && x < length) || (y > 3 && y < 6 && x < 2); });
      for (const at::Tensor& mask : {path, diagonal, blob})
        for (int turns = 0; turns < 4; ++turns)
          CheckAgainstRuns("path", at::rot90(mask, turns, {2, 3}).contiguous(), 0, static_cast<double>(limit),
                           static_cast<double>(limit));
    }
  }
}

void TestRandomMasks() {
  const std::vector<at::ScalarType> dtypes{at::kFloat, at::kDouble, at::kBFloat16, at::kHalf};
  for (int round = 0; round < 300; ++round) {
    const int64_t height = Random(1, 60);
    const int64_t width = Random(1, 60);
    at::Tensor masks = at::randn({Random(1, 3), Random(1, 3), height, width}) + at::randn({1}) * 0.8;
    // Smoothed, so that components have all sizes; on a grid, so that values lie on the threshold; holes of
    // NaN.
    if (round % 3 == 0) masks = at::avg_pool2d(masks, {3, 3}, {1, 1}, {1, 1}) * 3;
    if (round % 4 == 1) masks = at::round(masks);
    if (round % 4 == 2) masks.index_put_({masks.abs() < 0.2}, std::numeric_limits<float>::quiet_NaN());
    if (round % 8 == 3) {
      masks.index_put_({masks > 1.5}, std::numeric_limits<float>::infinity());
      masks.index_put_({masks < -1.5}, -std::numeric_limits<float>::infinity());
    }
    const auto limit = [&] {
      const int64_t most = round % 5 == 0 ? height * width : 40;
      return static_cast<double>(Random(0, most)) + (round % 2 == 0 ? 0 : 0.5);
    };
    const double threshold = round % 2 == 0 ? 0.0 : at::randn({1}).item<double>();
    CheckAgainstRuns("random", masks.to(dtypes[static_cast<size_t>(round) % dtypes.size()]), threshold,
                     limit(), limit());
  }
}

void TestLayoutsAndSizes() {
  CheckAgainstRuns("strided", at::randn({3, 40, 2, 50}).permute({0, 2, 1, 3}), 0, 6, 6);
  CheckAgainstRuns("channels last", at::randn({2, 5, 40, 50}).contiguous(at::MemoryFormat::ChannelsLast), 0,
                   6, 6);
  CheckAgainstRuns("one row", at::randn({2, 1, 1, 300}), 0, 3, 3);
  CheckAgainstRuns("one column", at::randn({2, 1, 300, 1}), 0, 3, 3);
  CheckAgainstRuns("no masks", at::empty({0, 1, 8, 8}), 0, 3, 3);
  // Full size, and more than one chunk of masks.
  const at::Tensor smooth = at::avg_pool2d(at::randn({1, 60, 288, 288}), {5, 5}, {1, 1}, {2, 2});
  CheckAgainstRuns("full size", smooth, 0, 20, 20);
  CheckAgainstRuns("full size", smooth.narrow(1, 0, 2), 0, 288 * 288, 300);
}

void TestWhatIsRefused() {
  try {
    CleanComponentsWithAten(at::ones({1, 1, 8, 8}, at::kLong), {0, false, 4, 0, false});
    Check(false, "integers have no holes");
  } catch (const c10::Error& error) {
    Check(std::string(error.what()).find("floating dtype") != std::string::npos, "integers have no holes");
  }
  const at::Tensor masks = at::randn({1, 1, 8, 8});
  Check(CleanComponentsWithAten(masks, {0, false, 0, 0, false}).is_same(masks),
        "nothing asked for, nothing done");
}

}  // namespace

int main() {
  const c10::InferenceMode guard;
  at::manual_seed(11);
  TestAdversarialShapes();
  TestPathsAroundTheLimit();
  TestRandomMasks();
  TestLayoutsAndSizes();
  TestWhatIsRefused();
  return sam3_tracker::ReportChecks();
}
