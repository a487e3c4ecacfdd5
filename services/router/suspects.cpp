#include "services/router/suspects.hpp"

namespace troupe::router {

void Suspects::lost(const NodeId& node, std::string name, TimePoint now) {
  entries_.insert_or_assign(node, Entry{std::move(name), now + verdict_after_});
}

std::vector<NodeId> Suspects::joined(const NodeId& node, const std::string& name) {
  entries_.erase(node);
  std::vector<NodeId> replaced;
  for (const auto& [id, entry] : entries_)
    if (entry.name == name) replaced.push_back(id);
  for (const NodeId& id : replaced) entries_.erase(id);
  return replaced;
}

std::vector<NodeId> Suspects::dead(TimePoint now) {
  std::vector<NodeId> out;
  for (const auto& [id, entry] : entries_)
    if (now >= entry.verdict_at) out.push_back(id);
  for (const NodeId& id : out) entries_.erase(id);
  return out;
}

}  // namespace troupe::router
