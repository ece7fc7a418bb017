#include "checkpoint/weight_names.h"

#include <array>
#include <string_view>
#include <utility>

namespace sam3_tracker {
namespace {

// Applied in this order, as transformers' conversion mapping does.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> kReplacements = {{
    {"detector_model.vision_encoder.backbone.", "vision_encoder.backbone."},
    {"tracker_neck.", "vision_encoder.neck."},
}};
constexpr std::string_view kPrefix = "tracker_model.";

// Sam3TrackerModel._keys_to_ignore_on_load_unexpected; the first is the rest of the detector, its neck
// included.
constexpr std::array<std::string_view, 8> kForeignPrefixes = {
    "detector_model.",
    "memory_",
    "mask_downsample",
    "object_pointer_proj",
    "temporal_positional_encoding_projection_layer",
    "no_memory_positional_encoding",
    "no_object_pointer",
    "occlusion_spatial_embedding_parameter",
};

}  // namespace

std::optional<std::string> TrackerWeightName(const std::string& name_in_file) {
  std::string name = name_in_file;
  for (const auto& [from, to] : kReplacements) {
    const size_t position = name.find(from);
    if (position != std::string::npos) name.replace(position, from.size(), to);
  }
  if (name.rfind(kPrefix, 0) == 0) name.erase(0, kPrefix.size());
  for (const std::string_view prefix : kForeignPrefixes) {
    if (name.rfind(prefix, 0) == 0) return std::nullopt;
  }
  return name;
}

}  // namespace sam3_tracker
