#include "common/worker/kv_announcer.hpp"

#include <utility>

namespace troupe::worker {

using kv_events::AllCleared;
using kv_events::BlocksRemoved;
using kv_events::BlocksStored;
using kv_events::EventBatch;

/// Joins a block to the last event when it follows there, else begins a new one.
void KvAnnouncer::append(const BlockKey& key, const Origin& origin, Tier tier, std::vector<kv_events::Event>& events) {
  auto* last = events.empty() ? nullptr : std::get_if<BlocksStored>(&events.back());
  const bool follows = last != nullptr && last->tier == tier &&
                       (origin ? origin->parent == last->blocks.back() && !last->tokens.empty() : last->tokens.empty());
  if (!follows) {
    BlocksStored fresh;
    fresh.block_size = kBlockTokens;
    fresh.tier = tier;
    if (origin) fresh.parent = origin->parent;
    events.emplace_back(std::move(fresh));
    last = &std::get<BlocksStored>(events.back());
  }
  last->blocks.push_back(key);
  if (origin) last->tokens.insert(last->tokens.end(), origin->tokens.begin(), origin->tokens.end());
}

EventBatch KvAnnouncer::note(std::span<const engine::KvEvent> events) {
  EventBatch batch;
  for (const engine::KvEvent& event : events) {
    if (event.stored) {
      stored_in(event.tier)[event.key] = event.origin;
      append(event.key, event.origin, event.tier, batch.events);
      continue;
    }
    stored_in(event.tier).erase(event.key);
    auto* last = batch.events.empty() ? nullptr : std::get_if<BlocksRemoved>(&batch.events.back());
    if (last == nullptr || last->tier != event.tier)
      last = &std::get<BlocksRemoved>(batch.events.emplace_back(BlocksRemoved{{}, event.tier}));
    last->blocks.push_back(event.key);
  }
  return batch;
}

std::vector<EventBatch> KvAnnouncer::snapshot(std::size_t blocks_per_batch) const {
  std::vector<EventBatch> batches(1);
  batches.back().events.emplace_back(AllCleared{});
  append_all(in_memory_, Tier::memory, blocks_per_batch, batches);
  append_all(on_disk_, Tier::disk, blocks_per_batch, batches);
  return batches;
}

/// Parents before children.
void KvAnnouncer::append_all(const Stored& stored, Tier tier, std::size_t blocks_per_batch,
                             std::vector<EventBatch>& batches) {
  std::unordered_map<BlockKey, std::vector<BlockKey>> children;
  std::vector<BlockKey> next;
  for (const auto& [key, origin] : stored) {
    if (origin && origin->parent && stored.contains(*origin->parent)) children[*origin->parent].push_back(key);
    else next.push_back(key);
  }
  std::size_t blocks = 0;
  while (!next.empty()) {
    const BlockKey key = next.back();
    next.pop_back();
    if (blocks != 0 && blocks % blocks_per_batch == 0) batches.emplace_back();
    append(key, stored.at(key), tier, batches.back().events);
    ++blocks;
    if (const auto at = children.find(key); at != children.end())
      next.insert(next.end(), at->second.begin(), at->second.end());
  }
}

}  // namespace troupe::worker
