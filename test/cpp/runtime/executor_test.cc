// The executor: order, stopping with tasks in the queue, the last reference dropped by a task, many
// submitters.
#include "runtime/executor.h"

#include <atomic>
#include <chrono>
#include <future>
#include <string>
#include <thread>
#include <vector>

#include "../support/tensor_checks.h"

namespace {

using sam3_tracker::Check;
using sam3_tracker::Executor;
using sam3_tracker::Purpose;
using sam3_tracker::ReportChecks;

void TestOrder() {
  std::vector<int> order;
  {
    Executor executor("order", Purpose::kInference);
    std::promise<void> last;
    for (int i = 0; i < 100; ++i) {
      executor.Submit([&order, &last, i](bool run) {
        if (run) order.push_back(i);
        if (i == 99) last.set_value();
      });
    }
    last.get_future().wait();
  }
  bool sorted = order.size() == 100;
  for (size_t i = 0; i < order.size(); ++i) sorted = sorted && order[i] == static_cast<int>(i);
  Check(sorted, "tasks run in the order of their submission");
}

void TestStop() {
  Executor executor("stop", Purpose::kInference);
  std::promise<void> started;
  std::promise<void> release;
  std::shared_future<void> released = release.get_future().share();
  std::atomic<int> ran{0};
  std::atomic<int> dropped{0};
  const auto count = [&](bool run) { ++(run ? ran : dropped); };
  executor.Submit([&](bool run) {
    started.set_value();
    released.wait();
    count(run);
  });
  for (int i = 0; i < 10; ++i) executor.Submit(count);
  started.get_future().wait();
  std::thread releaser([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    release.set_value();
  });
  executor.Stop();
  releaser.join();
  Check(ran == 1 && dropped == 10,
        "the running task finishes, the waiting ones are told that they will not run");
  executor.Stop();
  executor.Submit(count);
  Check(dropped == 11, "a task submitted after Stop is told at once");
}

void TestLastReferenceInTask() {
  auto executor = std::make_shared<Executor>("last", Purpose::kInference);
  std::weak_ptr<Executor> weak = executor;
  std::promise<void> submitted;
  std::promise<void> done;
  std::shared_future<void> go = submitted.get_future().share();
  Executor& raw = *executor;
  raw.Submit([kept = std::move(executor), go, &done](bool) mutable {
    go.wait();
    kept.reset();
    done.set_value();
  });
  submitted.set_value();
  done.get_future().wait();
  Check(weak.expired(), "a task may drop the last reference to its own executor");
}

void TestManySubmitters() {
  Executor executor("many", Purpose::kInference);
  std::atomic<int> ran{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) executor.Submit([&](bool run) { ran += run ? 1 : 0; });
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::promise<void> last;
  executor.Submit([&](bool) { last.set_value(); });
  last.get_future().wait();
  Check(ran == 4000, "tasks of several threads all run");
}

}  // namespace

int main() {
  TestOrder();
  TestStop();
  TestLastReferenceInTask();
  TestManySubmitters();
  return ReportChecks();
}
