#pragma once
// When the next request starts. Closed loop: as soon as fewer than `concurrency` are open. Open loop: at its
// arrival, whatever the endpoint does, so that a slow one is not spared load (coordinated omission).
#include <cstdint>
#include <functional>
#include <optional>

#include "common/base/clock.hpp"

namespace troupe::load {

/// Arrival of request `index` since the begin, not falling; nullopt when there are no more.
using Arrivals = std::function<std::optional<Duration>(std::uint64_t index)>;

/// A Poisson process of `rate` a second: exponential gaps of a seeded stream. `rate` above 0.
[[nodiscard]] Arrivals poisson_arrivals(double rate, std::uint64_t seed);

struct PacerOptions {
  std::uint64_t requests = 0;   ///< at most so many; 0 for no bound
  Duration duration{};          ///< none starts after it; 0 for no bound
  std::size_t concurrency = 8;  ///< open at a time; in an open loop the bound that protects this process
  Arrivals arrivals;            ///< empty: closed loop
};

/// Threads: one. Times are since the begin.
class Pacer {
 public:
  explicit Pacer(PacerOptions options) : options_(std::move(options)) {}

  /// When the next request is due: may be past or to come; nullopt when no more will start.
  [[nodiscard]] std::optional<Duration> next_due(Duration now);
  /// It may be sent at `now` with `open` others on their way.
  [[nodiscard]] bool may_start(Duration now, std::size_t open);
  void started() {
    ++started_;
    due_.reset();
  }
  [[nodiscard]] std::uint64_t count() const { return started_; }

 private:
  PacerOptions options_;
  std::uint64_t started_ = 0;
  std::optional<Duration> due_;  ///< of request number started_, once asked for
};

}  // namespace troupe::load
