// Weights that go over in chunks arrive as they were, whatever their size, order and dtype. The device is the
// host here; with a GPU, `weight_upload_test cuda:0` does the same there.
#include "checkpoint/weight_upload.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>
#include <exception>
#include <string>
#include <utility>
#include <vector>

namespace {

using sam3_tracker::WeightUpload;

constexpr int64_t kChunk = 256;

int failures = 0;

void Check(bool ok, const std::string& what) {
  if (ok) return;
  ++failures;
  std::fprintf(stderr, "FAILED: %s\n", what.c_str());
}

std::vector<std::pair<std::string, at::Tensor>> Weights() {
  const auto numbers = [](at::IntArrayRef shape) { return at::randn(shape, at::kFloat); };
  return {
      {"one number", numbers({})},
      {"none", numbers({0, 3})},
      {"less than a chunk", numbers({7})},
      {"a chunk", numbers({kChunk / 4})},
      {"a chunk and a number", numbers({kChunk / 4 + 1})},
      {"many chunks", numbers({61, 67})},
      {"transposed", numbers({61, 67}).t()},
      {"channels last", numbers({3, 5, 7, 11}).contiguous(at::MemoryFormat::ChannelsLast)},
      {"with holes", numbers({64, 64}).slice(1, 0, 64, 3)},
      {"bfloat16", numbers({1001}).to(at::kBFloat16)},
      {"float64", numbers({1001}).to(at::kDouble)},
      {"integers", at::arange(1001, at::kLong)},
      {"truth values", numbers({1001}).gt(0)},
  };
}

void ArrivesAsItWas(const c10::Device& device) {
  const std::vector<std::pair<std::string, at::Tensor>> weights = Weights();
  for (const c10::ScalarType dtype : {at::kFloat, at::kHalf, at::kBFloat16}) {
    // One uploader for all, as for a model: each weight starts where the one before it ended.
    WeightUpload upload(device, kChunk);
    std::vector<at::Tensor> arrived;
    for (const auto& [name, weight] : weights) {
      const at::Tensor source = weight.clone();
      arrived.push_back(
          upload.CopyInChunks(source, source.is_floating_point() ? dtype : source.scalar_type()));
      // What is written to the source afterwards must not travel.
      source.zero_();
    }
    for (size_t i = 0; i < weights.size(); ++i) {
      const auto& [name, weight] = weights[i];
      const at::Tensor expected = weight.is_floating_point() ? weight.to(dtype) : weight;
      const std::string what = name + " to " + c10::toString(dtype);
      Check(arrived[i].device() == device && arrived[i].scalar_type() == expected.scalar_type(),
            what + ": device and dtype");
      Check(arrived[i].sizes() == expected.sizes() && arrived[i].cpu().equal(expected), what + ": numbers");
      if (weight.is_non_overlapping_and_dense())
        Check(arrived[i].strides() == weight.strides(), what + ": order in memory");
    }
  }
}

void PlacesOnTheHostWithoutACopy() {
  WeightUpload upload(c10::Device(c10::kCPU));
  const at::Tensor weight = at::randn({100}, at::kFloat);
  Check(upload.Place(weight, at::kFloat).is_same(weight), "a weight that is in its place stays itself");
  Check(upload.Place(weight, at::kHalf).equal(weight.to(at::kHalf)), "a weight of the host is converted");
}

// Larger than the pinned buffers: with a GPU, each buffer is filled again while the other travels.
void FillsLargeBuffersAgain(const c10::Device& device) {
  WeightUpload upload(device);
  const at::Tensor weight = at::arange(5 * sam3_tracker::kUploadChunkBytes / 4 + 3, at::kInt);
  Check(upload.Place(weight, at::kInt).cpu().equal(weight), "five chunks and a rest");
  Check(upload.CopyInChunks(weight, at::kInt).cpu().equal(weight), "the same again");
}

}  // namespace

int main(int argc, char** argv) {
  const c10::InferenceMode inference_mode;
  try {
    const c10::Device device(argc > 1 ? argv[1] : "cpu");
    ArrivesAsItWas(device);
    PlacesOnTheHostWithoutACopy();
    FillsLargeBuffersAgain(device);
  } catch (const std::exception& error) {
    Check(false, error.what());
  }
  std::printf("%s\n", failures == 0 ? "weight_upload: all passed" : "weight_upload: FAILED");
  return failures == 0 ? 0 : 1;
}
