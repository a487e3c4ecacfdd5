#include "services/router/circuit_breakers.hpp"

#include <algorithm>
#include <utility>

namespace troupe::router {

void CircuitBreakers::failed(const NodeId& node, TimePoint now) {
  Entry& entry = entries_[node];
  if (entry.pause == Duration::zero()) {
    if (now - entry.last > options_.memory) entry.failures = 0;
    entry.last = now;
    if (++entry.failures < options_.failures) return;
    entry.pause = options_.first_pause;
  } else {
    if (!std::exchange(entry.trial, false)) return;  // one of those it had before
    entry.pause = std::min(2 * entry.pause, options_.longest_pause);
  }
  entry.until = now + entry.pause;
}

bool CircuitBreakers::admits(const NodeId& node, TimePoint now) const {
  const auto found = entries_.find(node);
  return found == entries_.end() || found->second.pause == Duration::zero() || now >= found->second.until;
}

void CircuitBreakers::placed(const NodeId& node, TimePoint now) {
  const auto found = entries_.find(node);
  if (found == entries_.end() || found->second.pause == Duration::zero()) return;
  found->second.trial = true;
  found->second.until = now + found->second.pause;
}

std::size_t CircuitBreakers::open() const {
  return static_cast<std::size_t>(
      std::count_if(entries_.begin(), entries_.end(), [](const auto& e) { return e.second.pause != Duration::zero(); }));
}

}  // namespace troupe::router
