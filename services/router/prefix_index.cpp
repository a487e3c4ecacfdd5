#include "services/router/prefix_index.hpp"

#include <algorithm>

namespace troupe::router {

void PrefixIndex::erase(std::unordered_map<BlockKey, Entry>::iterator at) {
  ages_.erase(at->second.age);
  entries_.erase(at);
}

void PrefixIndex::store(const NodeId& node, const BlockKey& key) {
  auto [at, fresh] = entries_.try_emplace(key);
  if (fresh) {
    ages_.push_front(key);
    at->second.age = ages_.begin();
  } else {
    ages_.splice(ages_.begin(), ages_, at->second.age);
  }
  auto& holders = at->second.holders;
  if (std::find(holders.begin(), holders.end(), node) == holders.end()) holders.push_back(node);
  while (entries_.size() > max_blocks_) {
    ++evicted_;
    erase(entries_.find(ages_.back()));
  }
}

void PrefixIndex::remove(const NodeId& node, const BlockKey& key) {
  const auto at = entries_.find(key);
  if (at == entries_.end()) return;
  std::erase(at->second.holders, node);
  if (at->second.holders.empty()) erase(at);
}

void PrefixIndex::forget(const NodeId& node) {
  for (auto at = entries_.begin(); at != entries_.end();) {
    const auto next = std::next(at);
    std::erase(at->second.holders, node);
    if (at->second.holders.empty()) erase(at);
    at = next;
  }
}

std::vector<std::uint32_t> PrefixIndex::longest_prefix(std::span<const BlockKey> blocks,
                                                       std::span<const NodeId> nodes) {
  std::vector<std::uint32_t> lengths(nodes.size(), 0);
  for (std::uint32_t depth = 0; depth < blocks.size(); ++depth) {
    const auto at = entries_.find(blocks[depth]);
    if (at == entries_.end()) break;
    bool any = false;
    for (std::size_t i = 0; i < nodes.size(); ++i) {
      if (lengths[i] != depth) continue;
      const auto& holders = at->second.holders;
      if (std::find(holders.begin(), holders.end(), nodes[i]) == holders.end()) continue;
      lengths[i] = depth + 1;
      any = true;
    }
    if (!any) break;
    ages_.splice(ages_.begin(), ages_, at->second.age);
  }
  return lengths;
}

}  // namespace troupe::router
