#include "services/router/prefix_index.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

const NodeId kA{1, 1}, kB{2, 2};
BlockKey key(std::uint64_t n) {
  return {n, n};
}

TEST(PrefixIndex, FindsTheLongestPrefixOfEachNode) {
  PrefixIndex index(100);
  for (std::uint64_t i = 0; i < 5; ++i) index.store(kA, key(i));
  for (std::uint64_t i = 0; i < 3; ++i) index.store(kB, key(i));
  const std::vector<BlockKey> blocks{key(0), key(1), key(2), key(3), key(99), key(4)};
  const std::vector<NodeId> nodes{kA, kB, NodeId{3, 3}};
  EXPECT_EQ(index.longest_prefix(blocks, nodes), (std::vector<std::uint32_t>{4, 3, 0}));
}

TEST(PrefixIndex, AHoleEndsAPrefix) {
  PrefixIndex index(100);
  index.store(kA, key(0));
  index.store(kA, key(2));
  index.store(kB, key(1));
  const std::vector<BlockKey> blocks{key(0), key(1), key(2)};
  EXPECT_EQ(index.longest_prefix(blocks, std::vector{kA, kB}), (std::vector<std::uint32_t>{1, 0}));
}

TEST(PrefixIndex, RemovesAndForgets) {
  PrefixIndex index(100);
  for (std::uint64_t i = 0; i < 4; ++i) {
    index.store(kA, key(i));
    index.store(kB, key(i));
  }
  index.remove(kA, key(1));
  index.remove(kA, key(77));
  EXPECT_EQ(index.longest_prefix(std::vector{key(0), key(1)}, std::vector{kA, kB}),
            (std::vector<std::uint32_t>{1, 2}));
  index.forget(kB);
  EXPECT_EQ(index.size(), 3u);
  index.forget(kA);
  EXPECT_EQ(index.size(), 0u);
}

TEST(PrefixIndex, StaysInItsBoundAndForgetsTheColdestFirst) {
  PrefixIndex index(3);
  for (std::uint64_t i = 0; i < 3; ++i) index.store(kA, key(i));
  (void)index.longest_prefix(std::vector{key(0)}, std::vector{kA});  // 0 is warm again
  index.store(kA, key(3));
  EXPECT_EQ(index.size(), 3u);
  EXPECT_EQ(index.evicted(), 1u);
  EXPECT_EQ(index.longest_prefix(std::vector{key(0)}, std::vector{kA})[0], 1u);
  EXPECT_EQ(index.longest_prefix(std::vector{key(1)}, std::vector{kA})[0], 0u);
}

}  // namespace
}  // namespace troupe::router
