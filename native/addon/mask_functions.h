// The jobs of segment-everything as JavaScript calls them.
#pragma once

#include <napi.h>

#include <string>

#include "model/generate_masks.h"

namespace sam3_tracker {

// Reads NativeMaskBatchOptions.
void Read(const Napi::Value& value, const std::string& name, MaskBatchOptions* result);
Napi::Value ConvertMaskBatch(Napi::Env env, const MaskBatch& batch);

// batchMemory(options): what batches of a model take, and how many points a limit allows.
Napi::Value GetBatchMemory(const Napi::CallbackInfo& info);

// makeCancelFlag(): what generateMasks takes as `cancel_flag`, and cancel(flag) sets.
Napi::Value MakeCancelFlag(const Napi::CallbackInfo& info);
void SetCancelFlag(const Napi::CallbackInfo& info);

// suppressOverlaps(options): Promise of the positions of the boxes that stay.
Napi::Value SuppressOverlapsJob(const Napi::CallbackInfo& info);
// removeSmallRegions(options): Promise of RLE and boxes afterwards, and of which masks changed.
Napi::Value RemoveSmallRegionsJob(const Napi::CallbackInfo& info);

}  // namespace sam3_tracker
