#include "services/gateway/text_pool.hpp"

#include <string>
#include <utility>

namespace troupe::gateway {

TextPool::TextPool(std::size_t threads, std::size_t queue_limit) : limit_(queue_limit) {
  for (std::size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

TextPool::~TextPool() {
  std::deque<Task> dropped;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    dropped.swap(tasks_);
  }
  ready_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

Expected<void> TextPool::submit(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return fail(Errc::draining, "the text pool has stopped");
    if (tasks_.size() >= limit_) {
      return fail(Errc::queue_full, std::to_string(limit_) + " requests wait for a text thread already");
    }
    tasks_.push_back(std::move(task));
  }
  ready_.notify_one();
  return {};
}

std::size_t TextPool::waiting() const {
  const std::lock_guard lock(mutex_);
  return tasks_.size();
}

void TextPool::work() {
  for (;;) {
    Task task;
    {
      std::unique_lock lock(mutex_);
      ready_.wait(lock, [this] { return stopping_ || !tasks_.empty(); });
      if (tasks_.empty()) return;
      task = std::move(tasks_.front());
      tasks_.pop_front();
    }
    task();
  }
}

}  // namespace troupe::gateway
