#pragma once
// The one thread on which files and batches live: tasks one after the other, now or at a time. Who posts is
// bounded elsewhere: connections, and lines that run.
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <thread>

#include "common/base/clock.hpp"

namespace troupe::gateway {

class BatchThread {
 public:
  using Task = std::function<void()>;
  BatchThread();
  ~BatchThread() { stop(); }
  BatchThread(const BatchThread&) = delete;
  BatchThread& operator=(const BatchThread&) = delete;

  /// In order; nothing once it stops. Threads: any. A task that throws is logged.
  void post(Task task);
  void post_at(TimePoint when, Task task);
  /// Ends what runs and drops what waits. Not to be called from a task.
  void stop();

 private:
  void work();

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Task> tasks_;
  std::multimap<TimePoint, Task> later_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace troupe::gateway
