#pragma once
// Draws that need no state: a hash of what is drawn for. Steele, Lea and Flood 2014 (splitmix64's finalizer).
#include <cstdint>

#include "common/base/ids.hpp"

namespace troupe::router {

[[nodiscard]] constexpr std::uint64_t mixed(std::uint64_t x) {
  x += 0x9e3779b97f4a7c15ULL;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

/// Rendezvous hashing [Thaler and Ravishankar 1998]: a key belongs to the node with the greatest weight, and
/// only its own keys move when a node goes.
[[nodiscard]] constexpr std::uint64_t rendezvous(std::uint64_t key, const NodeId& node) {
  return mixed(mixed(key ^ node.high) ^ node.low);
}

}  // namespace troupe::router
