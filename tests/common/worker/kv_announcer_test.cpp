#include "common/worker/kv_announcer.hpp"

#include <map>
#include <set>

#include <gtest/gtest.h>

#include "common/kv/sequence_pages.hpp"

namespace troupe::worker {
namespace {

using kv_events::AllCleared;
using kv_events::BlocksRemoved;
using kv_events::BlocksStored;

const ModelId kModel{3, 3};

std::vector<TokenId> prompt(TokenId first, std::size_t tokens) {
  std::vector<TokenId> out(tokens, 7);
  out[0] = first;
  return out;
}
/// What an engine would report for a sequence.
std::vector<engine::KvEvent> events_of(PagePool& pool) {
  std::vector<engine::KvEvent> out;
  for (const BlockEvent& event : pool.take_events()) out.push_back({event.key, event.stored, event.origin});
  return out;
}
void run(PagePool& pool, const std::vector<TokenId>& tokens) {
  const auto length = static_cast<std::uint32_t>(tokens.size());
  SequencePages sequence(pool, root_key(kModel, "t"), std::string(kDensePolicy));
  bool ok = true;
  (void)sequence.adopt(tokens, length - 1, ok);
  ASSERT_TRUE(ok);
  ASSERT_TRUE(sequence.reserve(length));
  (void)sequence.append(std::span(tokens).subspan(sequence.length()));
  sequence.computed(length);
}

TEST(KvAnnouncer, KeepsTiersApart) {
  PagePool pool(16);
  run(pool, prompt(1, 64));
  std::vector<engine::KvEvent> events = events_of(pool);
  const auto in_memory = events;
  for (engine::KvEvent event : in_memory) {
    event.tier = Tier::disk;
    events.push_back(event);
  }
  KvAnnouncer announcer;
  const auto batch = announcer.note(events);
  ASSERT_EQ(batch.events.size(), 2u);
  EXPECT_EQ(std::get<BlocksStored>(batch.events[0]).tier, Tier::memory);
  EXPECT_EQ(std::get<BlocksStored>(batch.events[1]).tier, Tier::disk);
  EXPECT_EQ(std::get<BlocksStored>(batch.events[1]).blocks.size(), 4u);
  EXPECT_EQ(announcer.stored(), 8u);

  // Evicted from memory: it is still on disk, and a snapshot says so.
  for (engine::KvEvent& event : events) event.stored = false, event.origin.reset();
  const auto gone = announcer.note(std::span(events).first(4));
  ASSERT_EQ(gone.events.size(), 1u);
  EXPECT_EQ(std::get<BlocksRemoved>(gone.events[0]).tier, Tier::memory);
  const auto snapshot = announcer.snapshot();
  ASSERT_EQ(snapshot.size(), 1u);
  ASSERT_EQ(snapshot[0].events.size(), 2u);
  EXPECT_EQ(std::get<BlocksStored>(snapshot[0].events[1]).tier, Tier::disk);
}

TEST(KvAnnouncer, TellsAPromptAsOneEventWithItsTokensAndWhatFollowsWithItsParent) {
  PagePool pool(16);
  KvAnnouncer announcer;
  const auto tokens = prompt(1, 96);
  const auto keys = block_keys(kModel, "t", tokens);
  run(pool, std::vector(tokens.begin(), tokens.begin() + 48));
  const auto first = announcer.note(events_of(pool));
  ASSERT_EQ(first.events.size(), 1u);
  const auto& stored = std::get<BlocksStored>(first.events[0]);
  EXPECT_EQ(stored.blocks, std::vector(keys.begin(), keys.begin() + 3));
  EXPECT_EQ(stored.tokens, std::vector(tokens.begin(), tokens.begin() + 48));
  EXPECT_FALSE(stored.parent.has_value());
  EXPECT_EQ(stored.block_size, 16u);
  run(pool, tokens);
  const auto second = announcer.note(events_of(pool));
  ASSERT_EQ(second.events.size(), 1u);
  EXPECT_EQ(std::get<BlocksStored>(second.events[0]).parent, keys[2]);
  EXPECT_EQ(std::get<BlocksStored>(second.events[0]).blocks, std::vector(keys.begin() + 3, keys.end()));
  EXPECT_EQ(announcer.stored(), 6u);
}

TEST(KvAnnouncer, ASnapshotHoldsWhatIsStoredParentsFirst) {
  PagePool pool(6);
  KvAnnouncer announcer;
  for (TokenId i = 0; i < 8; ++i) {
    run(pool, prompt(i % 5, 64 + 16 * static_cast<std::size_t>(i)));
    (void)announcer.note(events_of(pool));
  }
  const auto keys = pool.stored_keys();
  EXPECT_EQ(announcer.stored(), keys.size()) << "evictions came through";
  const auto batches = announcer.snapshot(5);
  EXPECT_GT(batches.size(), 1u);
  std::set<BlockKey> told;
  for (std::size_t b = 0; b < batches.size(); ++b) {
    EXPECT_EQ(batches[b].starts_over(), b == 0);
    for (const auto& event : batches[b].events) {
      const auto* stored = std::get_if<BlocksStored>(&event);
      if (stored == nullptr) continue;
      EXPECT_EQ(stored->tokens.size(), stored->blocks.size() * 16);
      if (stored->parent && std::set<BlockKey>(keys.begin(), keys.end()).contains(*stored->parent)) {
        EXPECT_TRUE(told.contains(*stored->parent));
      }
      BlockKey parent = stored->parent.value_or(root_key(kModel, "t"));
      for (std::size_t i = 0; i < stored->blocks.size(); ++i) {
        parent = block_key(parent, std::span(stored->tokens).subspan(i * 16, 16), kDensePolicy);
        EXPECT_EQ(parent, stored->blocks[i]) << "the tokens make the keys";
        told.insert(parent);
      }
    }
  }
  EXPECT_EQ(told, std::set<BlockKey>(keys.begin(), keys.end()));
}

TEST(KvAnnouncer, BlocksOfUnknownOriginAreToldWithoutTokens) {
  KvAnnouncer announcer;
  const std::vector<engine::KvEvent> events{{{1, 1}, true}, {{2, 2}, true}, {{1, 1}, false}, {{3, 3}, true}};
  const auto batch = announcer.note(events);
  ASSERT_EQ(batch.events.size(), 3u);
  EXPECT_EQ(std::get<BlocksStored>(batch.events[0]).blocks.size(), 2u);
  EXPECT_TRUE(std::get<BlocksStored>(batch.events[0]).tokens.empty());
  EXPECT_EQ(std::get<BlocksRemoved>(batch.events[1]).blocks, (std::vector<BlockKey>{{1, 1}}));
  EXPECT_EQ(announcer.snapshot().front().events.size(), 2u);
  EXPECT_EQ(announcer.note({}).events.size(), 0u);
}

}  // namespace
}  // namespace troupe::worker
