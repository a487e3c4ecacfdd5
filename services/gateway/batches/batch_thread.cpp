#include "services/gateway/batches/batch_thread.hpp"

#include <chrono>
#include <exception>
#include <utility>

#include "common/base/log.hpp"

namespace troupe::gateway {

BatchThread::BatchThread() : thread_([this] { work(); }) {}

void BatchThread::post(Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    tasks_.push_back(std::move(task));
  }
  changed_.notify_one();
}

void BatchThread::post_at(TimePoint when, Task task) {
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    later_.emplace(when, std::move(task));
  }
  changed_.notify_one();
}

void BatchThread::stop() {
  std::deque<Task> tasks;  // what they hold goes when nobody is locked out
  std::multimap<TimePoint, Task> later;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    tasks.swap(tasks_);
    later.swap(later_);
  }
  changed_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void BatchThread::work() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const TimePoint now = std::chrono::steady_clock::now();
    while (!later_.empty() && later_.begin()->first <= now) {
      tasks_.push_back(std::move(later_.begin()->second));
      later_.erase(later_.begin());
    }
    if (tasks_.empty()) {
      if (later_.empty())
        changed_.wait(lock);
      else
        changed_.wait_until(lock, TimePoint(later_.begin()->first));
      continue;
    }
    Task task = std::move(tasks_.front());
    tasks_.pop_front();
    lock.unlock();
    try {
      task();
    } catch (const std::exception& e) {
      log::error("a task of the batches failed", {{"what", e.what()}});
    }
    task = nullptr;  // what it holds goes while nobody is locked out
    lock.lock();
  }
}

}  // namespace troupe::gateway
