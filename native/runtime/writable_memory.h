// Which tensors' memory JavaScript may write to at any time, because it was given it as an ArrayBuffer.
#pragma once

#include <ATen/core/Tensor.h>

namespace sam3_tracker {

// From now on, for as long as the tensor's storage lives. Any thread.
void MarkWritable(const at::Tensor& tensor);

// Nothing else writes to a tensor that JavaScript has a handle to, so that one that is not writable holds
// what it held before. Any thread.
bool IsWritable(const at::Tensor& tensor);

}  // namespace sam3_tracker
