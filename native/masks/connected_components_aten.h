#pragma once

#include <ATen/core/Tensor.h>

#include "masks/connected_components.h"

namespace sam3_tracker {

// FillHolesAndRemoveSprinkles of masks (masks, height, width) of logits in aten calls, on whatever device
// they lie, with the same bits: a copy, the input is left as it is. Limits are in the precision of the
// masks' dtype. With areas below 64 nothing waits for the device.
at::Tensor FillHolesAndRemoveSprinklesWithAten(const at::Tensor& masks,
                                               const ComponentLimits<double>& limits);

}  // namespace sam3_tracker
