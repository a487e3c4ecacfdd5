#pragma once
// Puts a router's reports, which come in parts, together to a picture of the cluster.
#include <cstdint>
#include <map>
#include <memory>

#include "services/gateway/cluster_console.hpp"

namespace troupe::gateway {

/// Threads: one; the pictures may be read by any.
class PictureBook {
 public:
  static constexpr std::size_t kPlacements = 64;
  static constexpr std::uint32_t kMaxParts = 1024;

  /// Whether the picture has changed. A part that is older than what is known is ignored.
  bool take(const wire::ClusterReport& report);
  /// Whether the picture has changed.
  bool set_joined(bool joined);
  [[nodiscard]] std::shared_ptr<const ClusterPicture> picture() const { return picture_; }

 private:
  bool take_nodes(const wire::ClusterReport& report);
  static void take_placements(const wire::ClusterReport& report, ClusterPicture& picture);
  std::shared_ptr<ClusterPicture> next() const;

  std::shared_ptr<const ClusterPicture> picture_ = std::make_shared<ClusterPicture>();
  NodeId router_;
  std::uint64_t number_ = 0;
  std::map<std::uint32_t, std::vector<wire::ClusterReport::Row>> parts_;
};

}  // namespace troupe::gateway
