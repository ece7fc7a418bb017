// The one template that turns work on another thread into a promise: every promise it makes is settled,
// whatever the work or the conversion of its result throws.
#pragma once

#include <c10/core/InferenceMode.h>
#include <napi.h>

#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

#include "addon/environment.h"
#include "addon/errors.h"
#include "runtime/executor.h"

namespace sam3_tracker {

// Work: () -> Result, on the executor's thread, touches no JavaScript value.
// Convert: (Napi::Env, Result&&) -> Napi::Value, on the JS thread.
template <typename Work, typename Convert>
class PromiseJob final : public Completion {
 public:
  using Result = std::invoke_result_t<Work>;

  PromiseJob(Napi::Env env, Work work, Convert convert)
      : deferred_(Napi::Promise::Deferred::New(env)), work_(std::move(work)), convert_(std::move(convert)) {}

  Napi::Promise Promise() const { return deferred_.Promise(); }

  void Execute() {
    try {
      // Thread-local, so it is opened inside the job.
      const c10::InferenceMode inference_mode;
      result_.emplace(work_());
    } catch (...) {
      error_ = DescribeCurrentException();
    }
  }

  void Cancel() {
    error_ = NativeError{ErrorCode::kEnvironmentClosing, "The JavaScript environment is closing.", ""};
  }

  void Settle(Napi::Env env) override {
    if (error_) {
      deferred_.Reject(ToJsError(env, *error_).Value());
      return;
    }
    try {
      deferred_.Resolve(convert_(env, std::move(*result_)));
    } catch (const Napi::Error& error) {
      deferred_.Reject(error.Value());
    } catch (...) {
      deferred_.Reject(ToJsError(env, DescribeCurrentException()).Value());
    }
  }

 private:
  Napi::Promise::Deferred deferred_;
  Work work_;
  Convert convert_;
  std::optional<Result> result_;
  std::optional<NativeError> error_;
};

template <typename Work, typename Convert>
Napi::Value RunJob(Napi::Env env, Executor& executor, Work work, Convert convert) {
  Environment& data = Environment::Get(env);
  // Shared because std::function must be copyable; the one owner in use is moved out when the job is posted.
  auto job = std::make_shared<std::unique_ptr<PromiseJob<Work, Convert>>>(
      std::make_unique<PromiseJob<Work, Convert>>(env, std::move(work), std::move(convert)));
  const Napi::Promise promise = (*job)->Promise();
  executor.Submit([job, &data](bool run) {
    if (run) {
      (*job)->Execute();
    } else {
      (*job)->Cancel();
    }
    data.Post(std::move(*job));
  });
  // After Submit, which throws where no thread can be had; completions are settled on this thread, so none is
  // yet.
  data.JobStarted(env);
  return promise;
}

}  // namespace sam3_tracker
