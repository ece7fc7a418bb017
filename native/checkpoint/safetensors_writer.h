// Writes safetensors files, as transformers reads them.
#pragma once

#include <ATen/core/Tensor.h>

#include <map>
#include <string>

namespace sam3_tracker {

// Writes a new file with tensors by their names and waits until it is on the disk. Throws Sam3Error
// kFileNotWritten, with the system's reason; what was written of the file stays then.
void WriteSafetensors(const std::string& path, const std::map<std::string, at::Tensor>& tensors);

}  // namespace sam3_tracker
