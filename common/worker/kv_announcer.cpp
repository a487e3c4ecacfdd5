#include "common/worker/kv_announcer.hpp"

#include <utility>

namespace troupe::worker {

using kv_events::AllCleared;
using kv_events::BlocksRemoved;
using kv_events::BlocksStored;
using kv_events::EventBatch;

/// Joins a block to the last event when it follows there, else begins a new one.
void KvAnnouncer::append(const BlockKey& key, const Origin& origin, std::vector<kv_events::Event>& events) {
  auto* last = events.empty() ? nullptr : std::get_if<BlocksStored>(&events.back());
  const bool follows = last != nullptr && (origin ? origin->parent == last->blocks.back() && !last->tokens.empty()
                                                  : last->tokens.empty());
  if (!follows) {
    BlocksStored fresh;
    fresh.block_size = kBlockTokens;
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
      stored_[event.key] = event.origin;
      append(event.key, event.origin, batch.events);
      continue;
    }
    stored_.erase(event.key);
    if (batch.events.empty() || !std::holds_alternative<BlocksRemoved>(batch.events.back()))
      batch.events.emplace_back(BlocksRemoved{});
    std::get<BlocksRemoved>(batch.events.back()).blocks.push_back(event.key);
  }
  return batch;
}

std::vector<EventBatch> KvAnnouncer::snapshot(std::size_t blocks_per_batch) const {
  std::unordered_map<BlockKey, std::vector<BlockKey>> children;
  std::vector<BlockKey> next;
  for (const auto& [key, origin] : stored_) {
    if (origin && origin->parent && stored_.contains(*origin->parent)) children[*origin->parent].push_back(key);
    else next.push_back(key);
  }
  std::vector<EventBatch> batches(1);
  batches.back().events.emplace_back(AllCleared{});
  std::size_t blocks = 0;
  while (!next.empty()) {
    const BlockKey key = next.back();
    next.pop_back();
    if (blocks != 0 && blocks % blocks_per_batch == 0) batches.emplace_back();
    append(key, stored_.at(key), batches.back().events);
    ++blocks;
    if (const auto at = children.find(key); at != children.end())
      next.insert(next.end(), at->second.begin(), at->second.end());
  }
  return batches;
}

}  // namespace troupe::worker
