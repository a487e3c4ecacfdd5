#include "services/gateway/key_limits.hpp"

#include <string>

namespace troupe::gateway {
namespace {

using std::chrono::milliseconds;

void append_headers(std::vector<Header>& out, const std::string& what, const RateBucket& bucket,
                    TimePoint now) {
  out.push_back({"x-ratelimit-limit-" + what, std::to_string(bucket.per_minute())});
  out.push_back({"x-ratelimit-remaining-" + what, std::to_string(bucket.left(now))});
  out.push_back({"x-ratelimit-reset-" + what, reset_text(bucket.until(bucket.per_minute(), now))});
}

}  // namespace

KeyLimits::KeyLimits(const KeyRates& rates, TimePoint now) {
  set(rates, now);
}

void KeyLimits::set(const KeyRates& rates, TimePoint now) {
  const std::lock_guard lock(mutex_);
  set_bucket(requests_, rates.requests_per_minute, now);
  set_bucket(tokens_, rates.tokens_per_minute, now);
  most_running_ = rates.concurrent_requests;
}

void KeyLimits::set_bucket(std::optional<RateBucket>& bucket, std::uint64_t rate, TimePoint now) {
  if (rate == 0) {
    bucket.reset();
  } else if (bucket) {
    bucket->set_rate(rate, now);
  } else {
    bucket.emplace(rate, now);
  }
}

std::optional<LimitRefusal> KeyLimits::enter(TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (most_running_ != 0 && running_ >= most_running_)
    return LimitRefusal{KeyLimit::concurrency, most_running_, 1, {}};
  if (requests_ && !requests_->take(1, now))
    return LimitRefusal{KeyLimit::requests, requests_->per_minute(), 1, requests_->until(1, now)};
  ++running_;
  return std::nullopt;
}

void KeyLimits::leave() {
  const std::lock_guard lock(mutex_);
  --running_;
}

std::optional<LimitRefusal> KeyLimits::take_tokens(std::uint64_t amount, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!tokens_ || tokens_->take(amount, now)) return std::nullopt;
  const std::uint64_t most = tokens_->per_minute();
  return LimitRefusal{KeyLimit::tokens, most, amount,
                      amount > most ? Duration() : tokens_->until(amount, now)};
}

void KeyLimits::settle_tokens(std::uint64_t taken, std::uint64_t used, TimePoint now) {
  const std::lock_guard lock(mutex_);
  if (!tokens_) return;
  used > taken ? tokens_->charge(used - taken, now) : tokens_->give_back(taken - used, now);
}

std::vector<Header> KeyLimits::headers(TimePoint now) const {
  const std::lock_guard lock(mutex_);
  std::vector<Header> out;
  if (requests_) append_headers(out, "requests", *requests_, now);
  if (tokens_) append_headers(out, "tokens", *tokens_, now);
  return out;
}

std::uint64_t KeyLimits::running() const {
  const std::lock_guard lock(mutex_);
  return running_;
}

std::string reset_text(Duration time) {
  const auto ms = std::chrono::ceil<milliseconds>(time).count();
  if (ms < 1000) return std::to_string(ms) + "ms";
  std::string text = ms >= 60'000 ? std::to_string(ms / 60'000) + "m" : "";
  text += std::to_string(ms % 60'000 / 1000);
  if (const auto rest = ms % 1000; rest != 0) {
    std::string digits = std::to_string(1000 + rest).substr(1);
    digits.erase(digits.find_last_not_of('0') + 1);
    text.append(".").append(digits);
  }
  return text + "s";
}

}  // namespace troupe::gateway
