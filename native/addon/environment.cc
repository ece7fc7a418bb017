#include "addon/environment.h"

#include <algorithm>

namespace sam3_tracker {
namespace {

// The environments of this thread of JavaScript: several where the addon was loaded anew, as Jest does.
thread_local std::vector<Environment*> environments;
thread_local bool listens_for_exit = false;

// process.exit() and an uncaught error end the main thread without its cleanup hooks, and libtorch's globals
// must not go while a thread still computes. One listener a thread, however often the addon is loaded.
void ListenForExit(Napi::Env env) {
  const Napi::Value process = env.Global().Get("process");
  if (listens_for_exit || !process.IsObject()) return;
  const Napi::Function close = Napi::Function::New(env, [](const Napi::CallbackInfo&) {
    for (Environment* environment : environments) environment->Close();
  });
  const Napi::Object emitter = process.As<Napi::Object>();
  emitter.Get("once").As<Napi::Function>().Call(emitter, {Napi::String::New(env, "exit"), close});
  listens_for_exit = true;
}

}  // namespace

Environment::Environment(Napi::Env env)
    : preprocess_executor_(std::make_shared<Executor>("sam3-preprocess", Purpose::kTensorWork)),
      tensor_executor_(std::make_shared<Executor>("sam3-tensor", Purpose::kTensorWork)) {
  // JavaScript, which may throw: before anything else knows of this object.
  ListenForExit(env);
  environments.push_back(this);
  completions_ = CompletionQueue::New(env, "sam3-tracker", 0, 1, this);
  completions_.Unref(env);
  // Hooks run last in, first out: the threads end while the completion queue is still open.
  env.AddCleanupHook([this] { Close(); });
}

Environment::~Environment() {
  Close();
  environments.erase(std::remove(environments.begin(), environments.end(), this), environments.end());
  if (environments.empty()) listens_for_exit = false;
}

Environment& Environment::Get(Napi::Env env) { return *env.GetInstanceData<Environment>(); }

void Environment::Close() {
  preprocess_executor_->Stop();
  tensor_executor_->Stop();
  for (const std::weak_ptr<Executor>& executor : inference_executors_) {
    if (const std::shared_ptr<Executor> live = executor.lock()) live->Stop();
  }
  inference_executors_.clear();
}

std::shared_ptr<Executor> Environment::NewInferenceExecutor() {
  inference_executors_.erase(std::remove_if(inference_executors_.begin(), inference_executors_.end(),
                                            [](const auto& executor) { return executor.expired(); }),
                             inference_executors_.end());
  auto executor = std::make_shared<Executor>("sam3-inference", Purpose::kInference);
  inference_executors_.push_back(executor);
  return executor;
}

void Environment::JobStarted(Napi::Env env) {
  if (pending_jobs_++ == 0) completions_.Ref(env);
}

void Environment::Post(std::unique_ptr<Completion> completion) {
  // A queue that is closing takes nothing: the environment is gone, and with it everyone who could await.
  if (completions_.NonBlockingCall(completion.get()) == napi_ok) completion.release();
}

void Environment::SettleOnJsThread(Napi::Env env, Napi::Function, Environment* data, Completion* completion) {
  const std::unique_ptr<Completion> owned(completion);
  if (env == nullptr) return;
  if (--data->pending_jobs_ == 0) data->completions_.Unref(env);
  Napi::HandleScope scope(env);
  try {
    owned->Settle(env);
  } catch (const Napi::Error&) {
    // Only an environment that is being terminated refuses to settle a promise, and there nobody awaits it
    // any more.
  }
}

}  // namespace sam3_tracker
