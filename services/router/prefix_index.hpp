#pragma once
// Which worker holds which block: an exact map fed by the workers' numbered updates, bounded by evicting the
// coldest blocks.
#include <cstdint>
#include <list>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/base/ids.hpp"

namespace troupe::router {

/// Threads: one. Cost: O(1) per block.
class PrefixIndex {
 public:
  explicit PrefixIndex(std::size_t max_blocks) : max_blocks_(max_blocks) {}

  void store(const NodeId& node, const BlockKey& key);
  void remove(const NodeId& node, const BlockKey& key);
  /// Forgets all a node holds. Cost: O(blocks).
  void forget(const NodeId& node);

  /// Leading blocks each of `nodes` holds, in the order of `nodes`; refreshes what was found.
  [[nodiscard]] std::vector<std::uint32_t> longest_prefix(std::span<const BlockKey> blocks,
                                                          std::span<const NodeId> nodes);

  [[nodiscard]] std::size_t size() const { return entries_.size(); }
  [[nodiscard]] std::uint64_t evicted() const { return evicted_; }

 private:
  struct Entry {
    std::vector<NodeId> holders;  // few
    std::list<BlockKey>::iterator age;
  };
  void erase(std::unordered_map<BlockKey, Entry>::iterator at);

  std::size_t max_blocks_;
  std::unordered_map<BlockKey, Entry> entries_;
  std::list<BlockKey> ages_;  // hottest first
  std::uint64_t evicted_ = 0;
};

}  // namespace troupe::router
