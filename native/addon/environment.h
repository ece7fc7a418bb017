// What one JavaScript environment (the main thread, a worker) owns: its classes, its threads, its completion
// queue.
#pragma once

#include <napi.h>

#include <memory>
#include <vector>

#include "addon/external_memory.h"
#include "runtime/executor.h"

namespace sam3_tracker {

// A piece of finished work that waits to be turned into a settled promise on the JS thread.
class Completion {
 public:
  virtual ~Completion() = default;
  virtual void Settle(Napi::Env env) = 0;
};

class Environment {
 public:
  explicit Environment(Napi::Env env);
  ~Environment();

  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

  static Environment& Get(Napi::Env env);

  // Constructors of the wrapped classes, set when the addon is initialised.
  Napi::FunctionReference tensor_constructor;
  Napi::FunctionReference tracker_model_constructor;

  const std::shared_ptr<ExternalMemory>& external_memory() { return external_memory_; }

  // Preprocessing of images has a thread of its own so that it does not hold up clicks; tensor work (masks
  // to the image's size, moves between devices) has another, so that it does not wait for an encoder.
  Executor& preprocess_executor() { return *preprocess_executor_; }
  Executor& tensor_executor() { return *tensor_executor_; }

  // A new thread for a model; the environment stops it when it closes.
  std::shared_ptr<Executor> NewInferenceExecutor();

  // Keeps the event loop alive until the job's completion has been settled.
  void JobStarted(Napi::Env env);

  // Stops this environment's threads: the running jobs finish, the waiting ones are told that they will not
  // run.
  void Close();

  // Hands finished work to the JS thread. Any thread.
  void Post(std::unique_ptr<Completion> completion);

 private:
  static void SettleOnJsThread(Napi::Env env, Napi::Function callback, Environment* data,
                               Completion* completion);

  using CompletionQueue =
      Napi::TypedThreadSafeFunction<Environment, Completion, &Environment::SettleOnJsThread>;

  std::shared_ptr<ExternalMemory> external_memory_ = std::make_shared<ExternalMemory>();
  std::shared_ptr<Executor> preprocess_executor_;
  std::shared_ptr<Executor> tensor_executor_;
  std::vector<std::weak_ptr<Executor>> inference_executors_;
  CompletionQueue completions_;
  int pending_jobs_ = 0;
};

}  // namespace sam3_tracker
