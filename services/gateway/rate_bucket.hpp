#pragma once
// A rate as a bucket of tokens: full at first, filled again evenly over a minute. Whole numbers throughout:
// what passes in a time T is exactly what the bucket held and floor(rate * T) more.
#include <cstdint>

#include "common/base/clock.hpp"

namespace troupe::gateway {

/// No clock: every call is told the time. A time before that of the last call counts as that one.
class RateBucket {
 public:
  static constexpr std::uint64_t kMostPerMinute = 40'000'000;

  /// `per_minute` 1..kMostPerMinute is also what it holds.
  RateBucket(std::uint64_t per_minute, TimePoint now);

  /// All of `amount`, or nothing.
  [[nodiscard]] bool take(std::uint64_t amount, TimePoint now);
  /// What was used without asking; the bucket may owe it (as much as a bucket of kMostPerMinute holds).
  void charge(std::uint64_t amount, TimePoint now);
  /// What was taken and not used.
  void give_back(std::uint64_t amount, TimePoint now);
  /// From now on; what was used of the old one stays used.
  void set_rate(std::uint64_t per_minute, TimePoint now);

  [[nodiscard]] std::uint64_t per_minute() const { return static_cast<std::uint64_t>(rate_); }
  [[nodiscard]] std::uint64_t left(TimePoint now) const;
  /// Until take() gives so much; `amount` is at most per_minute().
  [[nodiscard]] Duration until(std::uint64_t amount, TimePoint now) const;

 private:
  void fill(TimePoint now);
  [[nodiscard]] std::int64_t level(TimePoint now) const;

  // Both in parts of which a nanosecond brings `rate_`: one token is a minute of nanoseconds.
  std::int64_t rate_, level_;
  TimePoint at_;
};

}  // namespace troupe::gateway
