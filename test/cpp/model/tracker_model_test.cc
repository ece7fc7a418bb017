// A model that is loaded, converted, saved and let go of: which tensors live how long. Run it under
// AddressSanitizer (SAM3_TRACKER_SANITIZE). Usage: tracker_model_test <model directory>
#include "model/tracker_model.h"

#include <ATen/Functions.h>
#include <c10/core/InferenceMode.h>

#include <filesystem>
#include <memory>
#include <random>
#include <string>

#include "../support/bundled_model.h"
#include "../support/tensor_checks.h"
#include "runtime/error.h"

namespace {

using sam3_tracker::BundledModelOptions;
using sam3_tracker::Check;
using sam3_tracker::ReportChecks;
using sam3_tracker::TrackerModel;

sam3_tracker::ForwardInput SomeInput() {
  sam3_tracker::ForwardInput input{};
  input.pixel_values = at::full({1, 3, 192, 192}, 0.25, at::kFloat);
  input.prompts.boxes =
      at::tensor({20.0F, 30.0F, 120.0F, 150.0F, 5.0F, 5.0F, 60.0F, 90.0F}).reshape({1, 2, 4});
  input.prompts.masks = at::linspace(-4, 4, 2 * 96 * 96).reshape({1, 2, 96, 96});
  input.multimask_output = true;
  return input;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  const c10::InferenceMode inference_mode;
  const std::string directory = argv[1];
  const auto folder = std::filesystem::temp_directory_path() /
                      ("sam3-tracker-model-" + std::to_string(std::random_device{}()));
  std::filesystem::create_directories(folder);
  const std::string saved = (folder / "model.safetensors").string();

  auto model = std::make_shared<TrackerModel>(
      BundledModelOptions(directory, c10::kHalf, directory + "/model.safetensors"));
  Check(model->owned_bytes() == 0, "weights in the file's dtype lie in the mapping");
  auto single = model->ConvertedTo(c10::Device(c10::kCPU), c10::kFloat);
  auto same = model->ConvertedTo(c10::Device(c10::kCPU), c10::kHalf);
  Check(same->owned_bytes() == 0, "what need not change is shared");
  Check(single->owned_bytes() >= 4 * model->parameter_count(), "converted weights are counted");
  // What was made of it must not depend on it.
  model.reset();
  const auto before = single->Forward(SomeInput());
  Check(before.selected.masks.sizes() == at::IntArrayRef({1, 2, 3, 96, 96}),
        "an object for each box and its mask");
  same->SaveWeights(saved);
  same.reset();
  single.reset();
  const auto loaded = std::make_shared<TrackerModel>(BundledModelOptions(directory, c10::kFloat, saved));
  const auto after = loaded->Forward(SomeInput());
  Check(at::allclose(before.selected.masks, after.selected.masks, 1e-5, 1e-5),
        "saved weights compute the same");
  Check(at::isfinite(before.selected.masks).all().item<bool>(), "masks outlive their model");
  std::filesystem::remove_all(folder);
  return ReportChecks();
}
