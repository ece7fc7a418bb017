// The JavaScript handle to a TrackerModel and the thread that runs it.
#pragma once

#include <napi.h>

#include <memory>

#include "model/tracker_model.h"
#include "runtime/executor.h"

namespace sam3_tracker {

class TrackerModelObject final : public Napi::ObjectWrap<TrackerModelObject> {
 public:
  static Napi::Function Define(Napi::Env env);
  // loadTrackerModel(options): Promise of a handle.
  static Napi::Value Load(const Napi::CallbackInfo& info);

  explicit TrackerModelObject(const Napi::CallbackInfo& info);
  ~TrackerModelObject() override;

 private:
  Napi::Value Device(const Napi::CallbackInfo& info);
  Napi::Value DType(const Napi::CallbackInfo& info);
  Napi::Value ParameterCount(const Napi::CallbackInfo& info);
  Napi::Value Disposed(const Napi::CallbackInfo& info);
  Napi::Value Forward(const Napi::CallbackInfo& info);
  Napi::Value GetImageFeatures(const Napi::CallbackInfo& info);
  Napi::Value GetImageEmbeddings(const Napi::CallbackInfo& info);
  Napi::Value GetPromptEmbeddings(const Napi::CallbackInfo& info);
  Napi::Value GetImageWidePositionalEmbeddings(const Napi::CallbackInfo& info);
  Napi::Value To(const Napi::CallbackInfo& info);
  Napi::Value SaveWeights(const Napi::CallbackInfo& info);
  Napi::Value GenerateMasks(const Napi::CallbackInfo& info);
  void Dispose(const Napi::CallbackInfo& info);

  // A handle to a model that runs on a thread. JS thread only.
  static Napi::Value Wrap(Napi::Env env, std::shared_ptr<TrackerModel> model,
                          std::shared_ptr<Executor> executor);

  // Runs work on the model's thread; the job keeps both alive.
  template <typename Work, typename Convert>
  Napi::Value Run(Napi::Env env, Work work, Convert convert);
  const TrackerModel& Get(Napi::Env env) const;
  void Release();

  std::shared_ptr<TrackerModel> model_;
  std::shared_ptr<Executor> executor_;
  int64_t external_bytes_ = 0;
};

}  // namespace sam3_tracker
