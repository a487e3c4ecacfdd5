#pragma once
// Who is in the cluster, as the router knows it: roles, addresses, models, load, and whether a node can be
// given work.
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "common/base/clock.hpp"
#include "common/wire/messages.hpp"

namespace troupe::router {

struct Node {
  wire::Join identity;
  TimePoint heard;
  std::uint64_t progress = 0;
  TimePoint progress_moved;
  bool busy = false;
  bool draining = false;
  bool hung = false;
  std::vector<wire::Load> loads;
  std::uint32_t placed = 0;  ///< choices placed here that have not ended
  std::uint32_t placed_prefills = 0;
  std::uint32_t sending = 0;  ///< fetches that placements named it for and that are not over
  std::uint32_t foreign = 0;  ///< sequences that other routers placed here, as of its last word
  double answer_us = 0;  ///< running mean of a placement's life here; 0: none has ended

  [[nodiscard]] bool ready() const { return !draining && !hung; }
  [[nodiscard]] bool serves(const ModelId& model) const { return serves_as(model) != nullptr; }
  [[nodiscard]] const wire::ModelInfo* serves_as(const ModelId& model) const;
  [[nodiscard]] const wire::Load* load(const ModelId& model) const;
};

struct GoneNode {
  Node node;
  std::string reason;
  enum class End : std::uint8_t { left, lost, died };
  End end = End::lost;  ///< lost: whether it died is not known yet
};

/// Threads: one.
class ClusterView {
 public:
  ClusterView(Duration node_timeout, Duration hang_limit, std::size_t max_nodes)
      : node_timeout_(node_timeout), hang_limit_(hang_limit), max_nodes_(max_nodes) {}

  /// Takes a node in. One of the same name is replaced and returned. Errors: invalid_argument when a newer
  /// node already took the name, queue_full.
  [[nodiscard]] Expected<std::vector<GoneNode>> join(const wire::Join& join, TimePoint now);
  /// false: unknown, it has to join again.
  [[nodiscard]] bool beat(const wire::Heartbeat& beat, TimePoint now);
  [[nodiscard]] std::optional<GoneNode> leave(const NodeId& node, std::string reason);
  /// By the address it is written to.
  [[nodiscard]] std::optional<GoneNode> lose(const std::string& control_address);
  /// Nodes not heard of in time leave; those without progress under work are marked. `hung` gets the newly
  /// marked. To be called at least every node_timeout / 2: where a call comes later, this process stood still,
  /// what it should have heard may still wait to be read, and the time it missed counts for nobody.
  [[nodiscard]] std::vector<GoneNode> expire(TimePoint now, std::vector<NodeId>& hung);

  [[nodiscard]] Node* find(const NodeId& node);
  [[nodiscard]] const Node* find(const NodeId& node) const;
  [[nodiscard]] const std::map<NodeId, Node>& nodes() const { return nodes_; }
  /// Ready nodes of a role that serve the model, by node id.
  [[nodiscard]] std::vector<const Node*> ready(wire::Role role, const ModelId& model) const;
  /// Models of other numbers over the weights of `model` that ready nodes of a role serve.
  [[nodiscard]] std::vector<wire::ModelInfo> relatives(wire::Role role, const ModelId& model) const;
  /// What gateways may offer: models of decode workers, by name.
  [[nodiscard]] wire::ModelTable models() const;
  [[nodiscard]] std::optional<wire::ModelInfo> model_named(std::string_view name) const;

 private:
  Duration node_timeout_, hang_limit_;
  std::size_t max_nodes_;
  std::map<NodeId, Node> nodes_;
  std::optional<TimePoint> looked_;             // at the last expire
  std::map<NodeId, TimePoint> superseded_;  // whose name was taken; bounded by time
};

}  // namespace troupe::router
