#include "executor.h"

#if defined(__linux__)
#include <pthread.h>
#endif

#include <utility>

namespace sam3_tracker {

Executor::Executor(std::string name) : name_(std::move(name)) {}

Executor::~Executor() { Stop(); }

void Executor::Submit(Task task) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    if (!state_->stopping) {
      // First the thread: where the system has none left, nothing must stay queued.
      if (!thread_.joinable()) thread_ = std::thread(&Executor::Run, state_, name_);
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

void Executor::Run(const std::shared_ptr<State>& state, const std::string& name) {
#if defined(__linux__)
  pthread_setname_np(pthread_self(), name.substr(0, 15).c_str());
#else
  (void)name;
#endif
  for (;;) {
    Task task;
    {
      std::unique_lock<std::mutex> lock(state->mutex);
      state->wake.wait(lock, [&] { return state->stopping || !state->tasks.empty(); });
      if (state->tasks.empty()) return;
      task = std::move(state->tasks.front());
      state->tasks.pop_front();
    }
    task(true);
  }
}

}  // namespace sam3_tracker
