#include "services/router/cluster_view.hpp"

#include <algorithm>

namespace troupe::router {
namespace {
constexpr std::chrono::minutes kSupersededFor{10};
}

const wire::ModelInfo* Node::serves_as(const ModelId& model) const {
  const auto at = std::ranges::find(identity.models, model, &wire::ModelInfo::id);
  return at == identity.models.end() ? nullptr : &*at;
}

const wire::Load* Node::load(const ModelId& model) const {
  const auto found =
      std::find_if(loads.begin(), loads.end(), [&](const auto& load) { return load.model == model; });
  return found == loads.end() ? nullptr : &*found;
}

Expected<std::vector<GoneNode>> ClusterView::join(const wire::Join& join, TimePoint now) {
  std::erase_if(superseded_, [&](const auto& entry) { return now - entry.second > kSupersededFor; });
  if (superseded_.contains(join.node))
    return fail(Errc::invalid_argument, "another process has taken the name " + join.name);
  std::vector<GoneNode> gone;
  if (Node* known = find(join.node)) {
    known->identity = join;
    known->heard = now;
    return gone;
  }
  for (auto at = nodes_.begin(); at != nodes_.end();) {
    const wire::Join& other = at->second.identity;
    if (other.name != join.name && other.control_address != join.control_address) {
      ++at;
      continue;
    }
    superseded_[at->first] = now;
    gone.push_back({std::move(at->second), "replaced by a new process", GoneNode::End::died});
    at = nodes_.erase(at);
  }
  if (nodes_.size() >= max_nodes_)
    return fail(Errc::queue_full, "the cluster has " + std::to_string(nodes_.size()) + " nodes, its limit");
  Node node;
  node.identity = join;
  node.heard = node.progress_moved = now;
  nodes_.emplace(join.node, std::move(node));
  return gone;
}

bool ClusterView::beat(const wire::Heartbeat& beat, TimePoint now) {
  Node* node = find(beat.node);
  if (node == nullptr) return false;
  node->heard = now;
  if (beat.progress != node->progress || !beat.busy) {
    node->progress_moved = now;
    node->hung = false;
  }
  node->progress = beat.progress;
  node->busy = beat.busy;
  node->draining = beat.draining;
  node->loads = beat.loads;
  std::uint32_t sequences = 0;
  for (const wire::Load& load : beat.loads) sequences += load.running + load.waiting;
  const std::uint32_t own = node->identity.role == wire::Role::prefill ? node->placed_prefills : node->placed;
  node->foreign = sequences - std::min(sequences, own);
  return true;
}

std::optional<GoneNode> ClusterView::leave(const NodeId& node, std::string reason) {
  const auto found = nodes_.find(node);
  if (found == nodes_.end()) return std::nullopt;
  GoneNode gone{std::move(found->second), std::move(reason)};
  nodes_.erase(found);
  return gone;
}

std::optional<GoneNode> ClusterView::lose(const std::string& control_address) {
  for (const auto& [id, node] : nodes_)
    if (node.identity.control_address == control_address) return leave(NodeId(id), "its connection ended");
  return std::nullopt;
}

std::vector<GoneNode> ClusterView::expire(TimePoint now, std::vector<NodeId>& hung) {
  std::vector<GoneNode> gone;
  std::vector<NodeId> silent;
  const Duration missed = looked_ && now - *looked_ > node_timeout_ / 2 ? now - *looked_ : Duration::zero();
  looked_ = now;
  for (auto& [id, node] : nodes_) {
    node.heard = std::min(node.heard + missed, now);
    node.progress_moved = std::min(node.progress_moved + missed, now);
    if (now - node.heard >= node_timeout_) {
      silent.push_back(id);
    } else if (node.busy && !node.hung && now - node.progress_moved >= hang_limit_) {
      node.hung = true;
      hung.push_back(id);
    }
  }
  for (const NodeId& id : silent) gone.push_back(*leave(id, "no heartbeat"));
  return gone;
}

Node* ClusterView::find(const NodeId& node) {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

const Node* ClusterView::find(const NodeId& node) const {
  const auto found = nodes_.find(node);
  return found == nodes_.end() ? nullptr : &found->second;
}

std::vector<const Node*> ClusterView::ready(wire::Role role, const ModelId& model) const {
  std::vector<const Node*> out;
  for (const auto& [id, node] : nodes_)
    if (node.identity.role == role && node.ready() && node.serves(model)) out.push_back(&node);
  return out;
}

std::vector<wire::ModelInfo> ClusterView::relatives(wire::Role role, const ModelId& model) const {
  const auto weights = [](const Node& node, std::size_t i) {
    return i < node.identity.weights.size() ? node.identity.weights[i] : ModelId{};
  };
  ModelId own;
  for (const auto& [id, node] : nodes_)
    for (std::size_t i = 0; i < node.identity.models.size(); ++i)
      if (node.identity.models[i].id == model) own = weights(node, i);
  std::vector<wire::ModelInfo> out;
  if (own.is_zero()) return out;
  for (const auto& [id, node] : nodes_) {
    if (node.identity.role != role || !node.ready()) continue;
    for (std::size_t i = 0; i < node.identity.models.size(); ++i) {
      const wire::ModelInfo& other = node.identity.models[i];
      const bool known = std::ranges::any_of(out, [&](const wire::ModelInfo& o) { return o.id == other.id; });
      if (other.id != model && weights(node, i) == own && !known) out.push_back(other);
    }
  }
  return out;
}

wire::ModelTable ClusterView::models() const {
  std::map<std::string, wire::ModelTable::Row> rows;
  for (const auto& [id, node] : nodes_) {
    if (node.identity.role != wire::Role::decode) continue;
    for (const wire::ModelInfo& info : node.identity.models) {
      auto [row, fresh] = rows.try_emplace(info.name);
      if (fresh) row->second.model = info;
      // Two workers may give one name to different weights: the ready one names the model.
      if (!fresh && row->second.ready_workers == 0 && node.ready()) row->second.model = info;
      if (node.ready() && row->second.model.id == info.id) ++row->second.ready_workers;
    }
  }
  wire::ModelTable table;
  for (auto& [name, row] : rows) table.rows.push_back(std::move(row));
  return table;
}

std::optional<wire::ModelInfo> ClusterView::model_named(std::string_view name) const {
  for (const wire::ModelTable::Row& row : models().rows)
    if (row.model.name == name) return row.model;
  return std::nullopt;
}

}  // namespace troupe::router
