#pragma once
// How many retries the cluster is given in all: a trickle, and a share of what succeeds. Where most requests fail, retries stop
// being the larger part of the load; they wait, they are not given up (Google SRE book, chapter 21, "Handling Overload").
#include <algorithm>

#include "common/base/clock.hpp"

namespace troupe::gateway {

struct RetryBudgetOptions {
  double per_second = 5, per_success = 0.2, most = 50;
};

/// Threads: one.
class RetryBudget {
 public:
  explicit RetryBudget(RetryBudgetOptions options = {}) : options_(options), left_(options.most) {}

  void succeeded() { left_ = std::min(options_.most, left_ + options_.per_success); }
  /// Whether one may be made now; it is counted then.
  [[nodiscard]] bool take(TimePoint now) {
    if (seen_ != TimePoint{})
      left_ = std::min(options_.most, left_ + options_.per_second * std::chrono::duration<double>(now - seen_).count());
    seen_ = now;
    if (left_ < 1) return false;
    left_ -= 1;
    return true;
  }

 private:
  RetryBudgetOptions options_;
  double left_;
  TimePoint seen_{};
};

}  // namespace troupe::gateway
