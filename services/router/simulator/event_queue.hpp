#pragma once
// What happens next in virtual time; what was asked first goes first among equals.
#include <cstdint>
#include <functional>
#include <queue>
#include <utility>
#include <vector>

#include "common/base/clock.hpp"

namespace troupe::router {

/// Threads: one.
class EventQueue {
 public:
  void at(TimePoint when, std::function<void()> what) { events_.push({when, next_++, std::move(what)}); }
  void after(Duration wait, std::function<void()> what) { at(now_ + wait, std::move(what)); }
  /// Does the next one. false: there is none.
  bool step() {
    if (events_.empty()) return false;
    // top() is const; the element goes at once, so moving out of it is safe.
    auto what = std::move(const_cast<Event&>(events_.top()).what);
    now_ = events_.top().when;
    events_.pop();
    what();
    return true;
  }
  [[nodiscard]] TimePoint now() const { return now_; }
  [[nodiscard]] bool empty() const { return events_.empty(); }

 private:
  struct Event {
    TimePoint when;
    std::uint64_t number;
    std::function<void()> what;
    bool operator<(const Event& other) const {
      return std::pair(when, number) > std::pair(other.when, other.number);  // the earliest on top
    }
  };
  std::priority_queue<Event> events_;
  TimePoint now_{std::chrono::hours(1)};
  std::uint64_t next_ = 0;
};

}  // namespace troupe::router
