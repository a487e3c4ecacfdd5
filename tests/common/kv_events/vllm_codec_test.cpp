// Bytes as vLLM's msgspec encoder makes them, written by hand, and what must be refused.
#include "common/kv_events/vllm_codec.hpp"

#include <random>

#include <gtest/gtest.h>

namespace troupe::kv_events {
namespace {

using Bytes = std::vector<std::uint8_t>;

/// Builds msgpack from its pieces: bytes and short texts.
struct Pack {
  Pack& b(std::initializer_list<int> bytes) {
    for (const int byte : bytes) out.push_back(static_cast<std::uint8_t>(byte));
    return *this;
  }
  Pack& s(std::string_view text) {
    out.push_back(static_cast<std::uint8_t>(0xA0 | text.size()));
    out.insert(out.end(), text.begin(), text.end());
    return *this;
  }
  Bytes out;
};
constexpr std::initializer_list<int> kTime = {0xCB, 0x41, 0xD9, 0, 0, 0, 0, 0, 0};  // 1677721600.0
const double kTimeValue = 1677721600.0;

TEST(VllmCodec, ReadsArraysWithNumbersForHashes) {
  Pack p;
  p.b({0x93}).b(kTime).b({0x93});
  p.b({0x97}).s("BlockStored").b({0x92, 0xCF, 0x80, 0, 0, 0, 0, 0, 0, 1, 0xD3, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE});
  p.b({0x2A, 0x94, 1, 2, 0xCD, 0x01, 0x00, 4, 2, 0xC0}).s("GPU");
  p.b({0x93}).s("BlockRemoved").b({0x91, 7}).s("DISK");
  p.b({0x91}).s("AllBlocksCleared").b({3});
  const auto batch = decode(p.out);
  ASSERT_TRUE(batch.has_value()) << to_string(batch.error());
  EXPECT_EQ(batch->timestamp, kTimeValue);
  EXPECT_EQ(batch->rank, 3u);
  ASSERT_EQ(batch->events.size(), 3u);
  EXPECT_EQ(std::get<BlocksStored>(batch->events[0]),
            (BlocksStored{{{0, 1ull << 63 | 1}, {0, UINT64_MAX - 1}}, BlockKey{0, 42}, {1, 2, 256, 4}, 2, Tier::memory}));
  EXPECT_EQ(std::get<BlocksRemoved>(batch->events[1]), (BlocksRemoved{{{0, 7}}, Tier::disk}));
  EXPECT_TRUE(std::holds_alternative<AllCleared>(batch->events[2]));
}

TEST(VllmCodec, ReadsMapsWithBytesForHashesAndPassesOverWhatItDoesNotKnow) {
  Pack p;
  p.b({0x82}).s("ts").b(kTime).s("events").b({0x92});
  p.b({0x87}).s("type").s("BlockStored").s("block_hashes").b({0x91, 0xC4, 32});
  p.out.insert(p.out.end(), 32, 0xAB);
  p.s("parent_block_hash").b({0xC0}).s("token_ids").b({0x91, 5}).s("block_size").b({1}).s("lora_name").b({0xC0});
  p.s("extra_keys").b({0x91, 0x91, 0x92, 0xC0, 0xC3});
  p.b({0x84}).s("type").s("BlockRemoved").s("block_hashes").b({0x91, 9}).s("medium").b({0xC0}).s("group_idx").b({0});
  const auto batch = decode(p.out);
  ASSERT_TRUE(batch.has_value()) << to_string(batch.error());
  EXPECT_FALSE(batch->rank.has_value());
  const auto& stored = std::get<BlocksStored>(batch->events[0]);
  ASSERT_EQ(stored.blocks.size(), 1u);
  EXPECT_NE(stored.blocks[0].high, 0u) << "a digest of another length is folded";
  EXPECT_FALSE(stored.parent.has_value());
  EXPECT_EQ(stored.tokens, std::vector<TokenId>{5});
  EXPECT_EQ(std::get<BlocksRemoved>(batch->events[1]).blocks[0], (BlockKey{0, 9}));
}

TEST(VllmCodec, WritesTheArraysEveryReaderTakes) {
  EventBatch batch;
  batch.timestamp = 0.1;
  batch.events.emplace_back(BlocksRemoved{{{0x0102030405060708, 0x1112131415161718}}, Tier::disk});
  batch.events.emplace_back(AllCleared{});
  Pack expected;
  expected.b({0x92, 0xCB, 0x3F, 0xB9, 0x99, 0x99, 0x99, 0x99, 0x99, 0x9A, 0x92, 0x93}).s("BlockRemoved");
  expected.b({0x91, 0xC4, 16, 1, 2, 3, 4, 5, 6, 7, 8, 0x11, 0x12, 0x13, 0x14, 0x15, 0x16, 0x17, 0x18}).s("DISK");
  expected.b({0x91}).s("AllBlocksCleared");
  EXPECT_EQ(encode(batch), expected.out);
}

TEST(VllmCodec, WhatIsWrittenReadsTheSame) {
  EventBatch batch;
  batch.timestamp = 1764000000.125;
  batch.rank = 2;
  batch.events.emplace_back(AllCleared{});
  batch.events.emplace_back(BlocksStored{{{1, 2}, {3, 4}}, BlockKey{5, 6}, std::vector<TokenId>(32, 70000), 16, Tier::disk});
  batch.events.emplace_back(BlocksStored{{{UINT64_MAX, 0}}, {}, {}, 16, Tier::memory});
  batch.events.emplace_back(BlocksRemoved{{{9, 9}}, Tier::memory});
  EXPECT_EQ(decode(encode(batch)).value_or(EventBatch{}), batch);
  EXPECT_TRUE(batch.starts_over());
}

TEST(VllmCodec, RefusesWhatIsNoBatch) {
  const Bytes cases[] = {{},
                         {0xC0},
                         {0x92, 1},
                         {0x92, 0xC0, 0x90},
                         {0x92, 1, 5},
                         {0x92, 1, 0x91, 5},
                         {0x92, 1, 0x91, 0x91, 0xA1, 'x'},
                         {0xDD, 0xFF, 0xFF, 0xFF, 0xFF},
                         Bytes(100000, 0x91),
                         Bytes(kMaxPayload + 1, 0xC0)};
  for (const Bytes& bytes : cases) {
    const auto batch = decode(bytes);
    ASSERT_FALSE(batch.has_value());
    EXPECT_EQ(batch.error().code, Errc::wire_malformed);
  }
}

TEST(VllmCodec, SurvivesAnyDamage) {
  EventBatch batch;
  batch.events.emplace_back(BlocksStored{{{1, 2}, {3, 4}}, BlockKey{5, 6}, std::vector<TokenId>(32, 70000), 16, Tier::disk});
  batch.events.emplace_back(BlocksRemoved{{{9, 9}}, Tier::memory});
  const Bytes whole = encode(batch);
  for (std::size_t size = 0; size < whole.size(); ++size) EXPECT_FALSE(decode(std::span(whole).first(size)));
  std::mt19937 random(3);
  std::size_t read = 0;
  for (int i = 0; i < 50000; ++i) {
    Bytes damaged = whole;
    for (unsigned flips = 1 + random() % 4; flips != 0; --flips)
      damaged[random() % damaged.size()] = static_cast<std::uint8_t>(random());
    const auto got = decode(damaged);
    if (!got) continue;
    ++read;
    EXPECT_EQ(decode(encode(*got)).has_value(), true);
  }
  EXPECT_GT(read, 0u);
}

}  // namespace
}  // namespace troupe::kv_events
