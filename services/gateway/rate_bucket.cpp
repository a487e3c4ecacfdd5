#include "services/gateway/rate_bucket.hpp"

#include <algorithm>

#include "common/base/error.hpp"

namespace troupe::gateway {
namespace {

constexpr std::int64_t kToken = 60'000'000'000;  // nanoseconds of a minute
constexpr std::int64_t kMost = static_cast<std::int64_t>(RateBucket::kMostPerMinute) * kToken;
static_assert(kMost < INT64_MAX / 3, "a full bucket, what one may owe, and their sum are numbers");

std::int64_t parts(std::uint64_t tokens) {
  return static_cast<std::int64_t>(std::min(tokens, RateBucket::kMostPerMinute)) * kToken;
}

}  // namespace

RateBucket::RateBucket(std::uint64_t per_minute, TimePoint now)
    : rate_(static_cast<std::int64_t>(per_minute)), level_(rate_ * kToken), at_(now) {
  TROUPE_CHECK(per_minute >= 1 && per_minute <= kMostPerMinute, "a rate outside its bounds");
}

std::int64_t RateBucket::level(TimePoint now) const {
  const std::int64_t missing = rate_ * kToken - level_;
  const std::int64_t passed = std::max<std::int64_t>(0, (now - at_).count());
  return passed > missing / rate_ ? rate_ * kToken : level_ + passed * rate_;
}

void RateBucket::fill(TimePoint now) {
  level_ = level(now);
  at_ = std::max(at_, now);
}

bool RateBucket::take(std::uint64_t amount, TimePoint now) {
  if (amount > per_minute()) return false;
  fill(now);
  if (level_ < parts(amount)) return false;
  level_ -= parts(amount);
  return true;
}

void RateBucket::charge(std::uint64_t amount, TimePoint now) {
  fill(now);
  level_ = std::max(level_ - parts(amount), -kMost);
}

void RateBucket::give_back(std::uint64_t amount, TimePoint now) {
  fill(now);
  level_ = std::min(level_ + parts(amount), rate_ * kToken);
}

void RateBucket::set_rate(std::uint64_t per_minute, TimePoint now) {
  fill(now);
  const std::int64_t used = rate_ * kToken - level_;
  rate_ = static_cast<std::int64_t>(per_minute);
  level_ = std::max(rate_ * kToken - used, -kMost);
}

std::uint64_t RateBucket::left(TimePoint now) const {
  return static_cast<std::uint64_t>(std::max<std::int64_t>(0, level(now)) / kToken);
}

Duration RateBucket::until(std::uint64_t amount, TimePoint now) const {
  const std::int64_t missing = parts(amount) - level(now);
  return Duration(missing <= 0 ? 0 : (missing + rate_ - 1) / rate_);
}

}  // namespace troupe::gateway
