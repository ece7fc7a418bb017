// The jobs on pictures and masks that need no model: reads their options, runs them off the JS thread.
#pragma once

#include <napi.h>

#include "masks/post_process.h"

namespace sam3_tracker {

// preprocessImages(options): Promise of a list of tensors (see image_ops.h).
Napi::Value PreprocessImagesJob(const Napi::CallbackInfo& info);

// Reads NativePictureOptions.
PictureOptions ReadPictureOptions(const Napi::Object& options);

// postProcessMasks(options): Promise of one tensor an image (see mask_ops.h).
Napi::Value PostProcessMasksJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
