#pragma once
// Workers that keep failing what they are given, though they are alive and heard of: after some failures in a row one gets
// nothing for a while (open), then one request on trial (half open); its end closes the circuit, its failure doubles the pause.
// Nygard, Release It! (2007), section 5.2; the pauses are those of the house's other retries.
#include <cstdint>
#include <map>

#include "common/base/clock.hpp"
#include "common/base/ids.hpp"

namespace troupe::router {

struct BreakerOptions {
  std::uint32_t failures = 5;  ///< in a row, none longer than `memory` after the one before
  Duration memory = std::chrono::seconds(10);
  Duration first_pause = std::chrono::seconds(1), longest_pause = std::chrono::seconds(30);
};

/// Threads: one. Holds an entry only for workers that failed since their last success.
class CircuitBreakers {
 public:
  explicit CircuitBreakers(BreakerOptions options = {}) : options_(options) {}

  void failed(const NodeId& node, TimePoint now);
  void succeeded(const NodeId& node) { entries_.erase(node); }
  void forget(const NodeId& node) { entries_.erase(node); }
  /// Whether it may be given a request now.
  [[nodiscard]] bool admits(const NodeId& node, TimePoint now) const;
  /// It is given one: a half-open circuit has its trial, and nothing more for a pause's length.
  void placed(const NodeId& node, TimePoint now);
  /// Open circuits, half-open ones included.
  [[nodiscard]] std::size_t open() const;

 private:
  struct Entry {
    std::uint32_t failures = 0;
    TimePoint last;
    Duration pause{};  ///< 0: closed
    TimePoint until;
    bool trial = false;  ///< a request was given to it since it opened
  };
  BreakerOptions options_;
  std::map<NodeId, Entry> entries_;
};

}  // namespace troupe::router
