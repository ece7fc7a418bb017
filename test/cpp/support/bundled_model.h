// How the tests load a model of the bundled one's configuration.
#pragma once

#include <string>

#include "model/tracker_model.h"
#include "safetensors_table.h"

namespace sam3_tracker {

inline LoadOptions BundledModelOptions(const std::string& directory, c10::ScalarType dtype,
                                       const std::string& weights) {
  const std::string graphs = directory + "/torchscript/";
  return {.vision_encoder = graphs + "vision_encoder.pt",
          .prompt_encoder = graphs + "prompt_encoder.pt",
          .mask_decoder = graphs + "mask_decoder.pt",
          .weight_files = {ReadTable(weights)},
          .random_weights = std::nullopt,
          .device = c10::Device(c10::kCPU),
          .dtype = dtype,
          .stability = {.enabled = true, .delta = 0.05, .threshold = 0.98},
          .point_embeddings = 4};
}

}  // namespace sam3_tracker
