// The three spellings of the tracker's weights (plain, the hub's sam3_video form, transformers'
// save_pretrained) and what in such a file is not the tracker's.
#pragma once

#include <optional>
#include <string>

namespace sam3_tracker {

// The plain module name of a weight, or nothing where the weight belongs to another part of a SAM3 checkpoint
// (the detector with its own neck, the memory of the video model).
std::optional<std::string> TrackerWeightName(const std::string& name_in_file);

}  // namespace sam3_tracker
