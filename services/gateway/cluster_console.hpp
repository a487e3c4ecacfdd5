#pragma once
// What the dashboard sees of the cluster, and what a person may ask of it there.
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "common/base/error.hpp"
#include "common/wire/messages.hpp"

namespace troupe::gateway {

/// A router's last report, whole. Immutable once published.
struct ClusterPicture {
  std::uint64_t version = 0;  ///< counts up with every change
  bool joined = false;        ///< a router answers this gateway
  NodeId router;
  std::vector<wire::ClusterReport::Row> nodes;  ///< by name
  struct Placement {
    std::uint64_t version = 0;  ///< of the picture in which it came or changed
    wire::ClusterReport::Explanation what;
  };
  std::vector<Placement> placements;  ///< the last ones, the oldest first
};

/// Threads: any.
class ClusterConsole {
 public:
  virtual ~ClusterConsole() = default;
  /// Somebody looks: routers report for about two seconds. To be called every second while that is so.
  virtual void watch() = 0;
  /// The last one; never null.
  [[nodiscard]] virtual std::shared_ptr<const ClusterPicture> picture() const = 0;
  /// Asks the worker of that name; what it does shows in later pictures. Errors: not_found when the last
  /// picture has no such worker.
  [[nodiscard]] virtual Expected<void> operate(const std::string& worker, wire::Operation operation) = 0;
};

}  // namespace troupe::gateway
