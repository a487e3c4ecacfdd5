#pragma once
// What the router shows at /metrics.
#include <memory>
#include <mutex>
#include <string>

#include "common/metrics/registry.hpp"
#include "services/router/router_state.hpp"

namespace troupe::router {

/// Copies what the state counted; observe() is RouterOptions::on_tick. Threads: any.
class RouterMonitor {
 public:
  explicit RouterMonitor(metrics::Registry& registry);
  void observe(const RouterState& state);
  /// What it decided and why, for /state: the last placements, and what it thinks of two roles and hybrids.
  [[nodiscard]] std::string state_json() const;

 private:
  struct Seen;
  std::shared_ptr<Seen> seen_;  // shared with the registry's callback, which lives longer
};

}  // namespace troupe::router
