#pragma once
// A few threads for templates and tokenizing, behind a bounded queue that says no instead of growing.
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

#include "common/base/error.hpp"

namespace troupe::gateway {

class TextPool {
 public:
  using Task = std::function<void()>;
  TextPool(std::size_t threads, std::size_t queue_limit);
  ~TextPool();  ///< finishes what runs, drops what waits
  TextPool(const TextPool&) = delete;
  TextPool& operator=(const TextPool&) = delete;

  /// Errors: queue_full naming the limit. Threads: any; never blocks. A task must not throw.
  [[nodiscard]] Expected<void> submit(Task task);
  [[nodiscard]] std::size_t waiting() const;

 private:
  void work();

  const std::size_t limit_;
  mutable std::mutex mutex_;
  std::condition_variable ready_;
  std::deque<Task> tasks_;
  bool stopping_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace troupe::gateway
