#pragma once
// What gateways know when no router answers: the workers that may be given work, in parts that fit a message.
#include <cstdint>
#include <vector>

#include "services/router/cluster_view.hpp"

namespace troupe::router {

/// Threads: one.
class WorkerTables {
 public:
  explicit WorkerTables(const NodeId& router) : router_(router) {}
  /// true: the workers have changed since the last call, and parts() are new. Cost: O(nodes), cheap when
  /// nothing has changed, since every heartbeat asks.
  [[nodiscard]] bool update(const ClusterView& view);
  [[nodiscard]] const std::vector<wire::WorkerTable>& parts() const { return parts_; }

 private:
  NodeId router_;
  std::uint64_t number_ = 0;
  std::vector<NodeId> listed_;  ///< ready workers, in the view's order
  std::vector<wire::WorkerTable> parts_;
};

}  // namespace troupe::router
