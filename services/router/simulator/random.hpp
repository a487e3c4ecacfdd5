#pragma once
// Draws that are the same on every machine, which the standard library's distributions do not promise.
#include <cmath>
#include <cstdint>
#include <numbers>

#include "services/router/policies/draw.hpp"

namespace troupe::router {

/// Threads: one.
class Random {
 public:
  explicit Random(std::uint64_t seed) : state_(mixed(seed)) {}
  std::uint64_t next() { return mixed(state_++); }
  /// 0 <= x < 1.
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// 0..n-1; n over 0.
  std::uint64_t below(std::uint64_t n) { return next() % n; }
  double exponential(double mean) { return -mean * std::log1p(-unit()); }
  /// Mean 0, variance 1 [Box and Muller 1958].
  double normal() { return std::sqrt(exponential(2)) * std::cos(2 * std::numbers::pi * unit()); }
  bool chance(double share) { return share > 0 && unit() < share; }

 private:
  std::uint64_t state_;
};

}  // namespace troupe::router
