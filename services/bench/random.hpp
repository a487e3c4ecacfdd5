#pragma once
// Reproducible draws: the same seed gives the same requests and arrivals on every machine, which the standard
// library's distributions do not promise. Steele, Lea and Flood 2014, "Fast splittable pseudorandom number
// generators" (splitmix64).
#include <cmath>
#include <cstddef>
#include <cstdint>

namespace troupe::load {

/// One stream of draws per (seed, purpose, index), so that request 7 is the same whether or not 6 was made.
/// Threads: one.
class Random {
 public:
  explicit Random(std::uint64_t seed, std::uint64_t purpose = 0, std::uint64_t index = 0)
      : state_(mix(mix(mix(seed + kStep) ^ purpose) + kStep) ^ mix(index + kStep)) {}

  std::uint64_t next() { return mix(state_ += kStep); }
  /// 0 <= x < 1.
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  /// 0..n-1; 0 when n is 0. The bias for n far below 2^64 is of no matter here.
  std::size_t below(std::size_t n) { return n == 0 ? 0 : static_cast<std::size_t>(next() % n); }
  /// low..high, both inclusive.
  std::size_t between(std::size_t low, std::size_t high) { return low + below(high - low + 1); }
  double exponential(double mean) { return -mean * std::log1p(-unit()); }

 private:
  static constexpr std::uint64_t kStep = 0x9e3779b97f4a7c15ULL;
  static std::uint64_t mix(std::uint64_t x) {
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
  }
  std::uint64_t state_;
};

}  // namespace troupe::load
