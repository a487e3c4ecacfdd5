#include "services/router/simulator/block_cache.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace troupe::router {
namespace {

using Blocks = std::vector<std::uint64_t>;

/// Computes and lets go of a prompt of these blocks.
void use(BlockCache& cache, const Blocks& blocks) {
  const std::uint32_t found = cache.match(blocks);
  cache.pin(std::span(blocks).first(found));
  for (std::size_t i = found; i < blocks.size(); ++i) {
    ASSERT_TRUE(cache.take(cache.pages_per_block()));
    cache.seal(blocks[i]);
  }
  cache.unpin(blocks);
}

TEST(BlockCache, HoldsWhatWasComputedAndMatchesLeadingBlocks) {
  BlockCache cache(100, 8);
  use(cache, {1, 2, 3});
  EXPECT_EQ(cache.match(Blocks{1, 2, 3, 4}), 3u);
  EXPECT_EQ(cache.match(Blocks{2, 3}), 2u) << "ids chain in the trace, not here";
  EXPECT_EQ(cache.match(Blocks{9, 1}), 0u);
  EXPECT_EQ(cache.free(), 76u);
  EXPECT_EQ(cache.evictable(), 24u);
  EXPECT_EQ(cache.take_changes().stored, (Blocks{1, 2, 3}));
  EXPECT_TRUE(cache.take_changes().stored.empty());
}

TEST(BlockCache, EvictsTheColdestAndOfOnePromptTheEndFirst) {
  BlockCache cache(48, 8);
  use(cache, {1, 2, 3});
  use(cache, {4, 5});
  use(cache, {1});
  (void)cache.take_changes();
  ASSERT_TRUE(cache.take(16));  // 8 free, and one block
  EXPECT_EQ(cache.take_changes().removed, (Blocks{3}));
  ASSERT_TRUE(cache.take(16));
  EXPECT_EQ(cache.take_changes().removed, (Blocks{2, 5}));
  ASSERT_TRUE(cache.take(16));
  EXPECT_EQ(cache.take_changes().removed, (Blocks{4, 1}));
  EXPECT_FALSE(cache.take(1));
}

TEST(BlockCache, APinnedBlockStays) {
  BlockCache cache(16, 8);
  use(cache, {1, 2});
  cache.pin(Blocks{1});
  EXPECT_FALSE(cache.take(16));
  EXPECT_EQ(cache.match(Blocks{1, 2}), 2u) << "a refusal evicts nothing";
  EXPECT_TRUE(cache.take(8));
  EXPECT_EQ(cache.match(Blocks{1, 2}), 1u);
}

TEST(BlockCache, OfABlockComputedTwiceOneCopyStays) {
  BlockCache cache(32, 8);
  ASSERT_TRUE(cache.take(16));
  cache.seal(7);
  cache.seal(7);
  EXPECT_EQ(cache.free(), 24u);
  cache.unpin(Blocks{7});
  EXPECT_EQ(cache.evictable(), 0u) << "the other sequence still uses it";
  cache.unpin(Blocks{7});
  EXPECT_EQ(cache.evictable(), 8u);
  EXPECT_EQ(cache.blocks(), (Blocks{7}));
}

}  // namespace
}  // namespace troupe::router
