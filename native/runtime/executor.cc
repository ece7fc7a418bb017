#include "runtime/executor.h"

#if defined(__linux__)
#include <pthread.h>
#endif

#include <ATen/Context.h>

#include <chrono>
#include <utility>

#include "runtime/caching_allocator.h"
#include "runtime/openmp_threads.h"

namespace sam3_tracker {
Executor::Executor(std::string name, Purpose purpose) : name_(std::move(name)), purpose_(purpose) {}

Executor::~Executor() { Stop(); }

void Executor::Submit(Task task) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    if (!state_->stopping) {
      // First the thread: where the system has none left, nothing must stay queued.
      if (!thread_.joinable()) thread_ = std::thread(&Executor::Run, state_, name_, purpose_);
      state_->tasks.push_back(std::move(task));
      state_->wake.notify_one();
      return;
    }
  }
  task(false);
}

void Executor::Stop() {
  std::deque<Task> dropped;
  std::thread thread;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stopping = true;
    dropped.swap(state_->tasks);
    thread.swap(thread_);
    state_->wake.notify_one();
  }
  for (Task& task : dropped) task(false);
  if (!thread.joinable()) return;
  if (thread.get_id() == std::this_thread::get_id()) {
    thread.detach();
  } else {
    thread.join();
  }
}

void Executor::Run(const std::shared_ptr<State>& state, const std::string& name, Purpose purpose) {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
#else
  (void)name;
#endif
  const TensorCacheScope cache;
  // OpenMP's threads inherit it from the one that starts them. The softmax of a sharp attention makes many
  // such numbers, and some processors take a hundred times as long for each: a click took three times as
  // long.
  if (purpose == Purpose::kInference) at::globalContext().setFlushDenormal(true);
  const auto has_news = [&] { return state->stopping || !state->tasks.empty(); };
  // A little later than the cache's own measure, which began with the last task's last tensor.
  constexpr auto idle = std::chrono::milliseconds(kTensorCacheIdleSeconds * 1000 + 100);
  std::unique_lock<std::mutex> lock(state->mutex);
  for (;;) {
    if (!has_news() && purpose == Purpose::kTensorWork) {
      lock.unlock();
      EndOpenMpThreads();
      lock.lock();
    }
    if (!state->wake.wait_for(lock, idle, has_news)) {
      lock.unlock();
      ReleaseIdleTensorCache();
      EndOpenMpThreads();
      lock.lock();
      state->wake.wait(lock, has_news);
    }
    if (state->tasks.empty()) break;
    Task task = std::move(state->tasks.front());
    state->tasks.pop_front();
    lock.unlock();
    ApplyThreadCount();
    task(true);
    task = nullptr;
    lock.lock();
  }
  lock.unlock();
  ReleaseTensorCache();
}

}  // namespace sam3_tracker
