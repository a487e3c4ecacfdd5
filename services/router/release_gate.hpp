#pragma once
// Who may be a member by its release: whoever serves with the router and with every member that is there. So
// two members never meet that do not understand each other, though each would understand the router.
#include <cstdint>
#include <set>
#include <utility>

#include "common/wire/release.hpp"
#include "services/router/cluster_view.hpp"

namespace troupe::router {

/// Threads: one.
class ReleaseGate {
 public:
  explicit ReleaseGate(wire::Release own) : own_(std::move(own)) {}

  /// Those that `join` would replace do not count. Errors: wire_version, naming both releases and the member.
  [[nodiscard]] Expected<void> admit(const wire::Join& join, const ClusterView& view);
  /// Whether a refused node was not told of yet, for the log: once each.
  [[nodiscard]] bool is_news(const wire::Join& join);

  [[nodiscard]] const wire::Release& own() const { return own_; }
  [[nodiscard]] std::uint64_t refusals() const { return refusals_; }

 private:
  static constexpr std::size_t kMostTold = 1024;  ///< nodes; then all are forgotten

  wire::Release own_;
  std::uint64_t refusals_ = 0;
  std::set<NodeId> told_;
};

}  // namespace troupe::router
