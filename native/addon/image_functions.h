// The jobs on images and masks that need no model: reads their options, runs them off the JS thread.
#pragma once

#include <napi.h>

#include <string>

#include "masks/post_process.h"

namespace sam3_tracker {

// preprocessImages(options): Promise of a list of tensors (see preprocess.h).
Napi::Value PreprocessImagesJob(const Napi::CallbackInfo& info);

// Reads NativeSmallComponents.
void Read(const Napi::Value& value, const std::string& name, SmallComponents* result);

// Reads NativePostProcessOptions.
void Read(const Napi::Value& value, const std::string& name, BatchPostProcessOptions* result);

// postProcessMasks(options): Promise of one tensor an image (see post_process.h).
Napi::Value PostProcessMasksJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
