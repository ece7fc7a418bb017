// The native surface: everything that lib/native/binding.ts can call.
#include <napi.h>

#include "addon/environment.h"
#include "addon/image_functions.h"
#include "addon/mask_functions.h"
#include "addon/operator_functions.h"
#include "addon/runtime_info.h"
#include "addon/tensor_object.h"
#include "addon/tracker_model_object.h"

namespace sam3_tracker {
namespace {

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  PrepareRuntime();
  // Node-API's from the start: what follows may throw, and a hook points to it.
  auto* const environment = std::make_unique<Environment>(env).release();
  env.SetInstanceData(environment);
  const Napi::Function tensor = TensorObject::Define(env);
  environment->tensor_constructor = Napi::Persistent(tensor);
  environment->tracker_model_constructor = Napi::Persistent(TrackerModelObject::Define(env));

  exports.Set("Tensor", tensor);
  exports.Set("callOperator", Napi::Function::New<&CallOperatorJob>(env, "callOperator"));
  exports.Set("loadTrackerModel", Napi::Function::New<&TrackerModelObject::Load>(env, "loadTrackerModel"));
  exports.Set("preprocessImages", Napi::Function::New<&PreprocessImagesJob>(env, "preprocessImages"));
  exports.Set("postProcessMasks", Napi::Function::New<&PostProcessMasksJob>(env, "postProcessMasks"));
  exports.Set("batchMemory", Napi::Function::New<&GetBatchMemory>(env, "batchMemory"));
  exports.Set("makeCancelFlag", Napi::Function::New<&MakeCancelFlag>(env, "makeCancelFlag"));
  exports.Set("cancel", Napi::Function::New<&SetCancelFlag>(env, "cancel"));
  exports.Set("suppressOverlaps", Napi::Function::New<&SuppressOverlapsJob>(env, "suppressOverlaps"));
  exports.Set("removeSmallRegions", Napi::Function::New<&RemoveSmallRegionsJob>(env, "removeSmallRegions"));
  exports.Set("runtimeInfo", Napi::Function::New<&RuntimeInfo>(env, "runtimeInfo"));
  exports.Set("setThreads", Napi::Function::New<&SetThreads>(env, "setThreads"));
  return exports;
}

}  // namespace
}  // namespace sam3_tracker

using sam3_tracker::Init;
NODE_API_MODULE(sam3_tracker, Init)
