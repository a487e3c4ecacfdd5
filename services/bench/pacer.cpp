#include "services/bench/pacer.hpp"

#include "services/bench/random.hpp"

namespace troupe::load {

Arrivals poisson_arrivals(double rate, std::uint64_t seed) {
  constexpr std::uint64_t kArrivals = 4;  // the purpose of its draws
  // The last sum is kept: indices are asked for in order.
  return [rate, seed, at = 0.0,
          next = std::uint64_t{0}](std::uint64_t index) mutable -> std::optional<Duration> {
    if (index < next) at = 0, next = 0;
    for (; next <= index; ++next) at += Random(seed, kArrivals, next).exponential(1 / rate);
    return Duration(static_cast<std::int64_t>(at * 1e9));
  };
}

std::optional<Duration> Pacer::next_due(Duration now) {
  if (options_.requests != 0 && started_ >= options_.requests) return std::nullopt;
  if (!due_) {
    due_ = options_.arrivals ? options_.arrivals(started_) : now;
    if (!due_) return std::nullopt;
  }
  // In a closed loop a request is due when a stream is free for it, which may be later than it was asked
  // about.
  if (!options_.arrivals) due_ = now;
  if (options_.duration > Duration{} && *due_ >= options_.duration) return std::nullopt;
  return due_;
}

bool Pacer::may_start(Duration now, std::size_t open) {
  if (open >= options_.concurrency) return false;
  const auto due = next_due(now);
  return due && *due <= now;
}

}  // namespace troupe::load
