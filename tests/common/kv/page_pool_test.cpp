#include "common/kv/page_pool.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

BlockKey key(std::uint64_t number) {
  return BlockKey{7, number};
}

/// A page with `blocks` published blocks of keys first, first + 1, ...
std::uint32_t published(PagePool& pool, std::uint64_t first, std::uint32_t blocks) {
  const std::uint32_t page = pool.allocate().value();
  for (std::uint32_t block = 0; block < blocks; ++block) pool.publish(page, block, key(first + block));
  return page;
}

std::vector<BlockKey> keys(std::uint64_t first, std::uint64_t count) {
  std::vector<BlockKey> all;
  for (std::uint64_t i = 0; i < count; ++i) all.push_back(key(first + i));
  return all;
}

std::vector<std::pair<std::uint64_t, bool>> events(PagePool& pool) {
  std::vector<std::pair<std::uint64_t, bool>> all;
  for (const BlockEvent& event : pool.take_events()) all.emplace_back(event.key.low, event.stored);
  return all;
}

TEST(PagePool, GivesEveryPageOnceThenNone) {
  PagePool pool(3);
  std::vector<std::uint32_t> pages;
  while (const auto page = pool.allocate()) pages.push_back(*page);
  EXPECT_THAT(pages, UnorderedElementsAre(0U, 1U, 2U));
  EXPECT_EQ(pool.referenced(), 3U);
  EXPECT_EQ(pool.available(), 0U);
}

TEST(PagePool, AnUnpublishedPageIsFreeWhenItsLastOwnerGoes) {
  PagePool pool(2);
  const std::uint32_t page = pool.allocate().value();
  pool.ref(page);
  pool.unref(page);
  EXPECT_EQ(pool.refcount(page), 1U);
  EXPECT_EQ(pool.free(), 1U);
  pool.unref(page);
  EXPECT_EQ(pool.free(), 2U);
  EXPECT_EQ(pool.cached(), 0U);
}

TEST(PagePool, EvictsTheColdestCachedPageAndSaysWhichKeysWent) {
  PagePool pool(3);
  const std::uint32_t a = published(pool, 10, 2), b = published(pool, 20, 1), c = published(pool, 30, 1);
  for (const std::uint32_t page : {a, b, c}) pool.unref(page);
  pool.touch(a);
  EXPECT_EQ(pool.cached(), 3U);
  EXPECT_THAT(events(pool), ElementsAre(std::pair(10U, true), std::pair(11U, true), std::pair(20U, true),
                                        std::pair(30U, true)));
  EXPECT_EQ(pool.allocate(), b);
  EXPECT_EQ(pool.allocate(), c);
  EXPECT_EQ(pool.allocate(), a);
  EXPECT_EQ(pool.allocate(), std::nullopt);
  EXPECT_THAT(events(pool), ElementsAre(std::pair(20U, false), std::pair(30U, false), std::pair(10U, false),
                                        std::pair(11U, false)));
}

TEST(PagePool, TakesAFreePageBeforeItEvicts) {
  PagePool pool(2);
  const std::uint32_t kept = published(pool, 10, 4);
  pool.unref(kept);
  EXPECT_NE(pool.allocate(), kept);
  EXPECT_EQ(pool.lookup(keys(10, 4)).pages, std::vector{kept});
}

TEST(PagePool, ReferencingACachedPageSavesItFromEviction) {
  PagePool pool(1);
  const std::uint32_t page = published(pool, 10, 1);
  pool.unref(page);
  pool.ref(page);
  EXPECT_EQ(pool.cached(), 0U);
  EXPECT_EQ(pool.allocate(), std::nullopt);
  EXPECT_EQ(pool.refcount(page), 1U);
}

TEST(PagePool, AFloodOfPromptsThatNeverReturnEvictsNoneThatDoes) {
  PagePool pool(8);
  const std::uint32_t a = published(pool, 10, 4), b = published(pool, 20, 4);
  for (const std::uint32_t page : {a, b}) {
    pool.ref_found(page);
    pool.unref(page);
    pool.unref(page);
  }
  for (std::uint64_t prompt = 0; prompt < 100; ++prompt) pool.unref(published(pool, 1000 + 10 * prompt, 4));
  EXPECT_THAT(pool.lookup(keys(10, 4)).pages, ElementsAre(a));
  EXPECT_THAT(pool.lookup(keys(20, 4)).pages, ElementsAre(b));
  EXPECT_EQ(pool.cached(), 8U);
}

TEST(PagePool, WhatIsFoundAgainLeavesAQuarterToNewcomersAndFallsBackWhenCold) {
  PagePool pool(8);
  std::vector<std::uint32_t> pages;
  for (std::uint64_t i = 0; i < 8; ++i) pages.push_back(published(pool, 10 * i, 1));
  for (const std::uint32_t page : pages) {
    pool.ref_found(page);
    pool.unref(page);
    pool.unref(page);
  }
  // All eight were found again; two of them, the coldest, are treated like any other.
  EXPECT_EQ(pool.allocate().value(), pages[0]);
  EXPECT_EQ(pool.allocate().value(), pages[1]);
  for (std::size_t i = 2; i < 8; ++i) EXPECT_EQ(pool.allocate().value(), pages[i]) << "then by age";
  EXPECT_FALSE(pool.allocate());
}

TEST(PagePool, LookupGivesWholePagesThenBlocksInsideOne) {
  PagePool pool(4);
  const std::uint32_t a = published(pool, 0, 4), b = published(pool, 4, 3);
  const auto match = pool.lookup(keys(0, 8));
  EXPECT_THAT(match.pages, ElementsAre(a));
  EXPECT_EQ(match.partial_page, b);
  EXPECT_EQ(match.blocks, 3U);
  EXPECT_EQ(match.tokens(), 112U);
  EXPECT_EQ(pool.lookup(keys(0, 5)).blocks, 1U);
  EXPECT_EQ(pool.lookup(keys(0, 3)).tokens(), 48U) << "a whole page serves a shorter prefix in part";
  EXPECT_EQ(pool.lookup(keys(4, 3)).tokens(), 48U);
  EXPECT_EQ(pool.lookup(keys(100, 8)).tokens(), 0U);
  EXPECT_EQ(pool.lookup({}).tokens(), 0U);
}

TEST(PagePool, LookupStopsAtAHole) {
  PagePool pool(3);
  published(pool, 0, 4);
  const std::uint32_t hole = published(pool, 4, 4);
  published(pool, 8, 4);
  pool.unref(hole);
  EXPECT_EQ(pool.allocate(), hole);
  EXPECT_EQ(pool.lookup(keys(0, 12)).tokens(), 64U);
}

TEST(PagePool, TheFirstPublisherOwnsAKeyAndTheSecondTakesOverWithoutAnEvent) {
  PagePool pool(2);
  const std::uint32_t first = published(pool, 0, 4), second = published(pool, 0, 4);
  EXPECT_EQ(events(pool).size(), 4U);
  EXPECT_THAT(pool.lookup(keys(0, 4)).pages, ElementsAre(first));
  pool.unref(first);
  EXPECT_EQ(pool.allocate(), first);
  EXPECT_TRUE(events(pool).empty());
  EXPECT_THAT(pool.lookup(keys(0, 4)).pages, ElementsAre(second));
  pool.unref(second);
  EXPECT_EQ(pool.cached(), 1U) << "the heir owns the keys now";
  EXPECT_EQ(pool.stored_keys().size(), 4U);
}

TEST(PagePool, APageThatOwnsNoKeyIsFreedNotCached) {
  PagePool pool(3);
  const std::uint32_t owner = published(pool, 0, 2), copy = published(pool, 0, 2),
                      other = published(pool, 50, 1);
  pool.unref(owner);
  pool.unref(other);
  pool.unref(copy);
  EXPECT_EQ(pool.free(), 1U);
  EXPECT_EQ(pool.allocate(), copy);
  EXPECT_EQ(pool.allocate(), other) << "use of the copy made its owner the warmer one";
}

TEST(PagePool, WithoutPrefixCacheNothingIsPublished) {
  PagePool pool(1, false);
  const std::uint32_t page = published(pool, 0, 4);
  EXPECT_TRUE(pool.stored_keys().empty());
  EXPECT_EQ(pool.lookup(keys(0, 4)).tokens(), 0U);
  pool.unref(page);
  EXPECT_EQ(pool.free(), 1U);
}

TEST(PagePool, FrozenSlotsEndWithTheLastPublishedBlock) {
  PagePool pool(1);
  const std::uint32_t page = published(pool, 0, 3);
  EXPECT_EQ(pool.frozen_slots(page), 48U);
  pool.publish(page, 2, key(2));
  EXPECT_EQ(events(pool).size(), 3U) << "publishing again changes nothing";
}

TEST(PagePoolDeathTest, AProgrammersFaultEndsTheProcess) {
  PagePool pool(1);
  EXPECT_DEATH(pool.ref(0), "free page");
  EXPECT_DEATH(pool.unref(0), "without owners");
  EXPECT_DEATH(pool.unref(1), "no such page");
  const std::uint32_t page = published(pool, 0, 1);
  EXPECT_DEATH(pool.publish(page, 0, key(9)), "immutable");
}

}  // namespace
}  // namespace troupe
