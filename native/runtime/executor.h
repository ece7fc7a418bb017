// One thread with a queue: everything that computes runs on one of these, never on the JS thread or in
// libuv's pool.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

namespace sam3_tracker {

// A task is called with true to run, or with false when the executor stopped before its turn came: it then
// only releases what it holds and settles its promise. Tasks must not throw.
using Task = std::function<void(bool run)>;

// What an executor is for. Inference keeps OpenMP's threads (see openmp_threads.h) for a while when its
// queue is empty and takes numbers below 1.2e-38 for 0; work on tensors ends those threads at once and
// changes no number.
enum class Purpose { kInference, kTensorWork };

class Executor {
 public:
  // `name` is what the thread is called in a debugger, at most 15 characters.
  Executor(std::string name, Purpose purpose);
  ~Executor();

  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;

  // Queues a task; starts the thread with the first one. After Stop the task is called at once with false.
  void Submit(Task task);

  // Lets the running task finish, calls the waiting ones with false, and joins the thread. Safe to call
  // twice.
  void Stop();

 private:
  struct State {
    std::mutex mutex;
    std::condition_variable wake;
    std::deque<Task> tasks;
    bool stopping = false;
  };

  static void Run(const std::shared_ptr<State>& state, const std::string& name, Purpose purpose);

  std::string name_;
  Purpose purpose_;
  // Shared with the thread: the last reference to an Executor may be dropped by a task on that very thread.
  std::shared_ptr<State> state_ = std::make_shared<State>();
  std::thread thread_;
};

}  // namespace sam3_tracker
