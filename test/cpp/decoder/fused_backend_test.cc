// The decoder with kernels of its own beside the graph's alone: how objects, mask prompts and threads are
// shared out. Usage: fused_backend_test <model directory>
#include "decoder/fused_backend.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <c10/core/InferenceMode.h>

#include <cstdio>
#include <optional>
#include <string>

#include "../support/safetensors_table.h"
#include "../support/tensor_checks.h"
#include "checkpoint/weight_store.h"
#include "decoder/graph_backend.h"
#include "runtime/error.h"

namespace {

using namespace sam3_tracker;

double Difference(const at::Tensor& ours, const at::Tensor& expected) {
  return (ours - expected).abs().max().item<double>() / expected.abs().max().item<double>();
}

// Images of the bundled model's size.
struct Image {
  at::Tensor embedding = at::randn({1, 64, 24, 24});
  at::Tensor feat_s0 = at::randn({1, 8, 96, 96});
  at::Tensor feat_s1 = at::randn({1, 16, 48, 48});
  at::Tensor no_mask = at::randn({1, 64, 24, 24});
};

DecodedObjects DecodeBy(DecoderBackend* decoder, const Image& image, const at::Tensor& sparse,
                        const std::optional<at::Tensor>& mask) {
  ObjectsOfImage objects{
      decoder->ProjectFeatures(image.feat_s0, image.feat_s1), {}, image.embedding, mask, sparse};
  if (!mask) objects.image = decoder->ProjectImages(image.embedding, image.no_mask);
  return decoder->Decode(objects);
}

void Compare(FusedBackend* fused, GraphBackend* graph, int64_t objects, int64_t masks) {
  const Image image;
  const at::Tensor sparse = at::randn({1, objects, 3, 64});
  const std::optional<at::Tensor> mask =
      masks == 0 ? std::nullopt : std::optional(at::randn({masks, 64, 24, 24}));
  at::set_num_threads(1);
  const DecodedObjects expected = DecodeBy(graph, image, sparse, mask);
  for (const int threads : {1, 2, 3, 7, 32}) {
    at::set_num_threads(threads);
    const DecodedObjects found = DecodeBy(fused, image, sparse, mask);
    const std::string name = std::to_string(objects) + " objects, " + std::to_string(masks) + " masks, " +
                             std::to_string(threads) + " threads: ";
    Check(Difference(found.all.masks, expected.all.masks) < 1e-5, name + "masks");
    Check(Difference(found.all.iou_scores, expected.all.iou_scores) < 1e-5, name + "scores");
    Check(Difference(found.object_score_logits, expected.object_score_logits) < 1e-5, name + "object scores");
  }
}

void RefusesOtherShapes(FusedBackend* fused) {
  const Image image;
  ObjectsOfImage objects{fused->ProjectFeatures(image.feat_s0, image.feat_s1),
                         {},
                         at::randn({1, 64, 12, 24}),
                         at::randn({1, 64, 12, 24}),
                         at::randn({1, 1, 3, 64})};
  try {
    fused->Decode(objects);
    Check(false, "a smaller image is refused");
  } catch (const Sam3Error& error) {
    Check(error.code() == ErrorCode::kConfigMismatch, std::string("a smaller image: ") + error.what());
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const DecoderKernels* kernels = FindDecoderKernels();
  if (!kernels) {
    std::printf("fused_backend: there are no kernels for this processor\n");
    return 0;
  }
  const c10::InferenceMode inference_mode;
  at::manual_seed(3);
  const std::string directory = argv[1];
  WeightStore store({ReadTable(directory + "/model.safetensors")}, c10::Device(c10::kCPU), c10::kFloat);
  BindingProblems problems;
  ScriptModule module(directory + "/torchscript/mask_decoder.pt", &store, &problems);
  problems.Throw();
  const at::Tensor positions = at::randn({1, 64, 24, 24});
  FusedBackend fused(&module, kernels, positions);
  GraphBackend graph(&module, positions);
  for (const int64_t objects : {1, 3, 4, 5, 9}) {
    Compare(&fused, &graph, objects, 0);
    Compare(&fused, &graph, objects, 1);
    if (objects > 1) Compare(&fused, &graph, objects, objects);
  }
  RefusesOtherShapes(&fused);
  return ReportChecks();
}
