#include "common/prefix_index/prefix_index.hpp"

#include <gtest/gtest.h>

#include "common/kv/block_key.hpp"

namespace troupe {
namespace {

using Keys = std::vector<BlockKey>;

Keys keys(std::uint64_t first, std::uint64_t end) {
  Keys out;
  for (std::uint64_t i = first; i < end; ++i) out.push_back({i, i});
  return out;
}
std::vector<std::uint32_t> lengths(PrefixIndex& index, const Keys& blocks, const std::vector<HolderId>& holders) {
  std::vector<std::uint32_t> out;
  for (const PrefixMatch& match : index.match(blocks, holders)) out.push_back(match.blocks);
  return out;
}

TEST(PrefixIndex, FindsTheLongestPrefixOfEachHolder) {
  PrefixIndex index({});
  const HolderId a = *index.add_holder(), b = *index.add_holder(), c = *index.add_holder();
  index.store(a, keys(0, 5));
  index.store(b, keys(0, 3));
  const Keys blocks{{0, 0}, {1, 1}, {2, 2}, {3, 3}, {99, 99}, {4, 4}};
  EXPECT_EQ(lengths(index, blocks, {a, b, c}), (std::vector<std::uint32_t>{4, 3, 0}));
  EXPECT_EQ(index.match(blocks).size(), 2u);
  EXPECT_TRUE(index.match({}).empty());
}

TEST(PrefixIndex, AHoleEndsAPrefix) {
  PrefixIndex index({});
  const HolderId a = *index.add_holder(), b = *index.add_holder();
  index.store(a, Keys{{0, 0}, {2, 2}});
  index.store(b, Keys{{1, 1}});
  EXPECT_EQ(lengths(index, keys(0, 3), {a, b}), (std::vector<std::uint32_t>{1, 0}));
}

TEST(PrefixIndex, AnEqualPromptOfAnotherTenantOrModelIsNotFound) {
  PrefixIndex index({});
  const HolderId a = *index.add_holder();
  const std::vector<TokenId> prompt(64, 7);
  const ModelId model{1, 1}, other{1, 2};
  index.store(a, block_keys(model, "ada", prompt));
  EXPECT_EQ(lengths(index, block_keys(model, "ada", prompt), {a})[0], 4u);
  EXPECT_EQ(lengths(index, block_keys(model, "bob", prompt), {a})[0], 0u);
  EXPECT_EQ(lengths(index, block_keys(model, "", prompt), {a})[0], 0u);
  EXPECT_EQ(lengths(index, block_keys(other, "ada", prompt), {a})[0], 0u);
}

TEST(PrefixIndex, TiersAreKeptApart) {
  PrefixIndex index({});
  const HolderId a = *index.add_holder();
  index.store(a, keys(0, 4));
  index.store(a, keys(2, 6), Tier::disk);
  EXPECT_EQ(index.match(keys(0, 9)).front(), (PrefixMatch{a, 6, 4}));
  index.remove(a, keys(2, 4));
  EXPECT_EQ(index.match(keys(0, 9)).front(), (PrefixMatch{a, 6, 2})) << "the disk still has them";
  index.remove(a, keys(3, 4), Tier::disk);
  EXPECT_EQ(index.match(keys(0, 9)).front(), (PrefixMatch{a, 3, 2}));
  EXPECT_EQ(index.held(a), 5u);
}

TEST(PrefixIndex, AForgottenHolderIsOutAtOnceAndItsNumberServesNobodyElse) {
  PrefixIndex index({});
  const HolderId a = *index.add_holder(), b = *index.add_holder();
  index.store(a, keys(0, 100));
  index.store(b, keys(0, 50));
  index.forget(a);
  EXPECT_EQ(lengths(index, keys(0, 100), {a, b}), (std::vector<std::uint32_t>{0, 50}));
  index.store(a, keys(0, 100));
  index.remove(a, keys(0, 100));
  const HolderId again = *index.add_holder();
  EXPECT_NE(again, a);
  EXPECT_EQ(lengths(index, keys(0, 100), {again, a})[0], 0u);
  index.forget(b);
  EXPECT_EQ(index.size(), 0u) << "a small table is swept at once";
}

TEST(PrefixIndex, ManyHoldersOfOnePrefixAreAllFoundAndTheirListsGivenBack) {
  PrefixIndex index({});
  std::vector<HolderId> holders;
  for (int i = 0; i < 1000; ++i) holders.push_back(*index.add_holder());
  for (std::uint32_t i = 0; i < 1000; ++i) index.store(holders[i], keys(0, 1 + i % 40));
  const auto found = index.match(keys(0, 40), holders);
  for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(found[i].blocks, 1 + i % 40);
  for (std::uint32_t i = 0; i < 1000; ++i)
    if (i % 3 != 0) index.forget(holders[i]);
  for (int i = 0; i < 20; ++i) index.sweep(10000);
  const auto rest = index.match(keys(0, 40), holders);
  for (std::uint32_t i = 0; i < 1000; ++i) EXPECT_EQ(rest[i].blocks, i % 3 == 0 ? 1 + i % 40 : 0u);
  const std::size_t bytes = index.bytes();
  for (std::uint32_t i = 0; i < 1000; ++i)
    if (i % 3 == 0) index.remove(holders[i], keys(0, 40));
  EXPECT_EQ(index.size(), 0u);
  for (std::uint32_t i = 0; i < 1000; i += 3) index.store(holders[i], keys(0, 1 + i % 40));
  EXPECT_EQ(index.bytes(), bytes);
}

TEST(PrefixIndex, StaysInItsBoundAndForgetsTheColdestFirst) {
  PrefixIndex index({.max_blocks = 20000});
  const HolderId a = *index.add_holder();
  index.store(a, keys(0, 20000));
  EXPECT_EQ(index.evicted(), 0u);
  for (std::uint64_t first = 20000; first < 80000; first += 1000) {
    EXPECT_EQ(index.match(keys(0, 500)).front().blocks, 500u) << first;
    index.store(a, keys(first, first + 1000));
    EXPECT_EQ(index.size(), 20000u);
  }
  EXPECT_EQ(index.evicted(), 60000u);
  EXPECT_EQ(index.held(a), 20000u);
}

TEST(PrefixIndex, AListThatFindsNoRoomDropsTheHolderAndSaysSo) {
  PrefixIndex index({.max_blocks = 100, .max_list_bytes = 0});
  std::vector<HolderId> holders;
  for (int i = 0; i < 5; ++i) {
    holders.push_back(*index.add_holder());
    index.store(holders.back(), keys(0, 2));
  }
  EXPECT_EQ(lengths(index, keys(0, 2), holders), (std::vector<std::uint32_t>{2, 2, 2, 0, 0}));
  EXPECT_EQ(index.dropped_holders(), 4u);
}

TEST(PrefixIndex, HoldersAreBoundedAndThoseOfTheForgottenReturn) {
  PrefixIndex index({});
  std::vector<HolderId> holders;
  for (std::uint32_t i = 0; i < PrefixIndex::kMaxHolders; ++i) {
    holders.push_back(*index.add_holder());
    index.store(holders.back(), keys(i % 10, i % 10 + 1));
  }
  EXPECT_EQ(index.add_holder().error().code, Errc::queue_full);
  EXPECT_EQ(index.match(keys(3, 4)).size(), (PrefixIndex::kMaxHolders + 6) / 10);
  for (std::uint32_t i = 0; i < 3 * PrefixIndex::kMaxHolders; ++i) {  // as snapshots do
    HolderId& holder = holders[i % holders.size()];
    index.forget(holder);
    auto next = index.add_holder();
    ASSERT_TRUE(next.has_value());
    holder = *next;
    index.store(holder, keys(5, 6));
  }
  EXPECT_EQ(index.match(keys(5, 6)).size(), PrefixIndex::kMaxHolders);
  EXPECT_TRUE(index.match(keys(3, 4)).empty());
}

}  // namespace
}  // namespace troupe
