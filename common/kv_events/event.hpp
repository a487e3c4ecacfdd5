#pragma once
// What a cache tells those who place requests: blocks it stored, blocks it dropped, everything gone.
#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "common/base/ids.hpp"
#include "common/prefix_index/tier.hpp"

namespace troupe::kv_events {

/// Consecutive blocks of one sequence, or single ones when nothing is known of their order.
struct BlocksStored {
  std::vector<BlockKey> blocks;
  std::optional<BlockKey> parent;  ///< of blocks[0]; none: the first of its sequence, or unknown
  std::vector<TokenId> tokens;     ///< `block_size` a block; empty: unknown
  std::uint32_t block_size = 16;
  Tier tier = Tier::memory;
  bool operator==(const BlocksStored&) const = default;
};
struct BlocksRemoved {
  std::vector<BlockKey> blocks;
  Tier tier = Tier::memory;
  bool operator==(const BlocksRemoved&) const = default;
};
struct AllCleared {
  bool operator==(const AllCleared&) const = default;
};
using Event = std::variant<BlocksStored, BlocksRemoved, AllCleared>;

struct EventBatch {
  double timestamp = 0;  ///< seconds since 1970 by the publisher's clock; rises from batch to batch
  std::vector<Event> events;
  std::optional<std::uint32_t> rank;  ///< of data parallel workers behind one endpoint
  bool operator==(const EventBatch&) const = default;
  /// Whatever came before does not matter: this is an epoch's or a snapshot's beginning.
  [[nodiscard]] bool starts_over() const {
    return !events.empty() && std::holds_alternative<AllCleared>(events.front());
  }
};

}  // namespace troupe::kv_events
