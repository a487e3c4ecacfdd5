#pragma once
// Turns what an engine stored and dropped into KV events that others can follow: consecutive blocks joined,
// with parents and tokens, tier by tier. Remembers what is stored, for snapshots.
#include <optional>
#include <span>
#include <unordered_map>
#include <vector>

#include "common/engine/engine.hpp"
#include "common/kv_events/event.hpp"

namespace troupe::worker {

/// Of one engine. Threads: one.
class KvAnnouncer {
 public:
  /// Without a timestamp; no events when nothing changed.
  [[nodiscard]] kv_events::EventBatch note(std::span<const engine::KvEvent> events);
  /// AllCleared and everything stored, parents before children; the first batch starts over.
  [[nodiscard]] std::vector<kv_events::EventBatch> snapshot(std::size_t blocks_per_batch = 1000) const;
  [[nodiscard]] std::size_t stored() const { return in_memory_.size() + on_disk_.size(); }

 private:
  using Origin = std::optional<BlockOrigin>;
  using Stored = std::unordered_map<BlockKey, Origin>;
  static void append(const BlockKey& key, const Origin& origin, Tier tier, std::vector<kv_events::Event>& events);
  static void append_all(const Stored& stored, Tier tier, std::size_t blocks_per_batch,
                         std::vector<kv_events::EventBatch>& batches);
  [[nodiscard]] Stored& stored_in(Tier tier) { return tier == Tier::disk ? on_disk_ : in_memory_; }
  Stored in_memory_, on_disk_;
};

}  // namespace troupe::worker
