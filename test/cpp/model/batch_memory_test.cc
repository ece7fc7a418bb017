// What batches of points take, in the sizes of facebook/sam3 and of the bundled model.
#include "model/batch_memory.h"

#include <cmath>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "../support/tensor_checks.h"
#include "runtime/error.h"

namespace {

using namespace sam3_tracker;

const c10::Device kCpu(c10::kCPU);
const DecoderSizes kSam3{
    .feature_sizes = {{288, 288}, {144, 144}, {72, 72}}, .hidden_size = 256, .num_multimask_outputs = 3};
const DecoderSizes kBundled{
    .feature_sizes = {{96, 96}, {48, 48}, {24, 24}}, .hidden_size = 64, .num_multimask_outputs = 3};

BatchDecoding PointByPoint(int64_t threads, bool has_kernels) {
  return {.device = kCpu,
          .dtype = c10::kFloat,
          .eager_attention = false,
          .threads = threads,
          .has_kernels = has_kernels};
}

// The most points within some numbers of bytes; -1 for no limit.
using Limits = std::vector<std::pair<double, int64_t>>;

void CheckMemory(const std::string& name, const BatchDecoding& decoding, const DecoderSizes& sizes,
                 double least, const Limits& limits) {
  const BatchMemory memory(decoding, sizes);
  Check(memory.least() == least, name + ": a point takes " + std::to_string(memory.least()));
  Check(memory.PointsWithin(least) == 1, name + ": one point within what one takes");
  for (const auto& [bytes, points] : limits) {
    const int64_t found = memory.PointsWithin(bytes).value_or(-1);
    Check(found == points, name + ": " + std::to_string(found) + " points within " + std::to_string(bytes));
  }
}

void TestPointByPoint() {
  CheckMemory("kernels, 1 thread", PointByPoint(1, true), kSam3, 43794432,
              {{60e6, 2}, {87588864, 5}, {100e6, 7}, {140e6, 13}, {200e6, -1}});
  CheckMemory("kernels, 2 threads", PointByPoint(2, true), kSam3, 43794432,
              {{60e6, 2}, {87588864, 5}, {100e6, 7}, {140e6, 13}, {200e6, -1}});
  CheckMemory("kernels, 7 threads", PointByPoint(7, true), kSam3, 43794432,
              {{60e6, 2}, {87588864, 4}, {100e6, 5}, {140e6, 10}, {200e6, 19}, {1e9, -1}});
  CheckMemory("no kernels, 1 thread", PointByPoint(1, false), kSam3, 56401920,
              {{60e6, 2}, {100e6, 14}, {112803840, -1}});
  CheckMemory("no kernels, 2 threads", PointByPoint(2, false), kSam3, 56401920,
              {{60e6, 1}, {100e6, 6}, {112803840, 10}, {140e6, -1}});
  CheckMemory("no kernels, 7 threads", PointByPoint(7, false), kSam3, 56401920,
              {{60e6, 1}, {100e6, 2}, {140e6, 3}, {200e6, 5}, {1e9, -1}});
  CheckMemory("bundled, kernels", PointByPoint(2, true), kBundled, 1769472, {{3538944, 3}, {60e6, -1}});
  CheckMemory("bundled, no kernels", PointByPoint(2, false), kBundled, 1843200, {{3686400, 4}, {60e6, -1}});
}

void TestAsOne() {
  for (const bool has_kernels : {true, false}) {
    for (const int64_t threads : {1, 7}) {
      BatchDecoding eager = PointByPoint(threads, has_kernels);
      eager.eager_attention = true;
      BatchDecoding half = PointByPoint(threads, has_kernels);
      half.dtype = c10::kBFloat16;
      BatchDecoding cuda = PointByPoint(threads, has_kernels);
      cuda.device = c10::Device(c10::kCUDA, 0);
      for (const BatchDecoding& decoding : {eager, cuda}) {
        CheckMemory("as one", decoding, kSam3, 77635584,
                    {{100e6, 1}, {140e6, 2}, {155271168, 2}, {200e6, 3}, {1e9, 19}});
        CheckMemory("as one, bundled", decoding, kBundled, 2433024, {{4866048, 2}, {60e6, 34}, {1e9, 589}});
      }
      CheckMemory("half precision", half, kSam3, 58226688,
                  {{60e6, 1}, {116453376, 2}, {140e6, 3}, {200e6, 4}, {1e9, 25}});
      CheckMemory("half precision, bundled", half, kBundled, 1824768, {{60e6, 46}, {1e9, 785}});
      for (const BatchDecoding& decoding : {eager, half, cuda})
        Check(!PointsAtOnce(decoding), "a batch is decoded as one");
    }
  }
}

void TestPointsAtOnce() {
  for (const auto& [threads, points] : {std::pair(1, 16), {2, 16}, {3, 18}, {7, 21}, {16, 16}, {48, 48}})
    Check(PointsAtOnce(PointByPoint(threads, true)) == points, std::to_string(threads) + " threads");
}

// A hierarchical encoder has more levels: the decoder takes the last three.
void TestLevels() {
  DecoderSizes more = kSam3;
  more.feature_sizes.insert(more.feature_sizes.begin(), {576, 576});
  CheckMemory("four levels", PointByPoint(1, true), more, 43794432, {});
  try {
    const BatchMemory memory(PointByPoint(1, true),
                             {.feature_sizes = {{1, 1}}, .hidden_size = 8, .num_multimask_outputs = 3});
    Check(false, "too few levels are refused");
  } catch (const Sam3Error& error) {
    Check(error.code() == ErrorCode::kInvalidArgument, error.what());
  }
}

// Sizes of 0, below and huge ones, and numbers of bytes that are none, give an error or a number.
void TestRefusals() {
  const double infinity = std::numeric_limits<double>::infinity();
  for (const int64_t side : {int64_t{0}, int64_t{-8}, int64_t{1} << 53}) {
    DecoderSizes sizes = kSam3;
    for (auto& size : sizes.feature_sizes) size = {side, 72};
    for (const double bytes : {0.0, -1e18, 1e18, infinity, -infinity, std::nan("")}) {
      const BatchMemory memory(PointByPoint(2, true), sizes);
      try {
        memory.PointsWithin(bytes);
        Check(side > 0 && std::isfinite(bytes), "sizes of " + std::to_string(side) + " are refused");
      } catch (const Sam3Error& error) {
        Check(error.code() == ErrorCode::kInvalidArgument, error.what());
      }
    }
  }
}

}  // namespace

int main() {
  TestPointByPoint();
  TestAsOne();
  TestPointsAtOnce();
  TestLevels();
  TestRefusals();
  return ReportChecks();
}
