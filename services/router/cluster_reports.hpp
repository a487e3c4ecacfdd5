#pragma once
// The cluster as the router sees it, for gateways whose dashboard somebody looks at.
//
// A gateway asks again and again while it is watched; who has not asked for two seconds is told nothing more,
// so nobody pays for a dashboard that is closed.
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "common/actors/role_state.hpp"
#include "services/router/cluster_view.hpp"
#include "services/router/placement_log.hpp"

namespace troupe::router {

/// Threads: one.
class ClusterReports {
 public:
  static constexpr Duration kPatience = std::chrono::seconds(2);
  static constexpr std::size_t kMaxWatchers = 64;
  /// Of one message: what is left stays below the control plane's size.
  static constexpr std::size_t kPartBytes = 32 * 1024;

  explicit ClusterReports(const NodeId& router) : router_(router) {}

  /// The gateway at `address` wants reports until now + kPatience. One watcher too many is ignored.
  void ask(const std::string& address, TimePoint now);
  [[nodiscard]] bool wanted() const { return !watchers_.empty(); }

  /// Tells every watcher: all nodes, and the placements that it does not know yet.
  void tell(const ClusterView& view, const PlacementLog& log, TimePoint now, actors::Outbox& out);

 private:
  struct Watcher {
    TimePoint until;
    std::uint64_t told = 0;  ///< PlacementLog changes
  };
  [[nodiscard]] std::vector<wire::ClusterReport> parts(const ClusterView& view, TimePoint now) const;

  NodeId router_;
  std::uint64_t number_ = 0;
  std::map<std::string, Watcher> watchers_;
};

}  // namespace troupe::router
