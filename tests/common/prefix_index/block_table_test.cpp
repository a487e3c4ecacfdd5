#include "common/prefix_index/block_table.hpp"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace troupe {
namespace {

BlockKey key(std::uint64_t n) {
  return {n, 0};  // counters, not hashes: the table has to spread them itself
}

TEST(BlockTable, FindsWhatWasInsertedUpToItsFullSize) {
  BlockTable table(1000);
  for (std::uint64_t i = 0; i < 1000; ++i) table.insert(key(i)).entry().count = static_cast<std::uint16_t>(i);
  EXPECT_EQ(table.size(), 1000u);
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const BlockPlace place = table.find(key(i));
    ASSERT_TRUE(place);
    EXPECT_EQ(place.entry().count, i);
  }
  for (std::uint64_t i = 1000; i < 3000; ++i) EXPECT_FALSE(table.find(key(i)));
}

TEST(BlockTable, KeysThatDifferInOneHalfOnlyAreDifferent) {
  BlockTable table(8);
  table.insert({1, 2}).entry().count = 1;
  table.insert({2, 1}).entry().count = 2;
  EXPECT_EQ(table.find({1, 2}).entry().count, 1);
  EXPECT_EQ(table.find({2, 1}).entry().count, 2);
  EXPECT_FALSE(table.find({1, 1}));
}

TEST(BlockTable, ErasedEntriesLeaveNoTraceInTheSearch) {
  std::mt19937_64 random(7);
  BlockTable table(200);
  std::map<std::uint64_t, std::uint16_t> expected;
  for (int step = 0; step < 200000; ++step) {
    const std::uint64_t n = random() % 400;
    const auto known = expected.find(n);
    if (known != expected.end()) {
      table.erase(table.find(key(n)));
      expected.erase(known);
    } else if (expected.size() < 200) {
      const auto value = static_cast<std::uint16_t>(random());
      table.insert(key(n)).entry().count = value;
      expected[n] = value;
    }
  }
  EXPECT_EQ(table.size(), expected.size());
  for (std::uint64_t n = 0; n < 400; ++n) {
    const BlockPlace place = table.find(key(n));
    ASSERT_EQ(static_cast<bool>(place), expected.contains(n)) << n;
    if (place) {
      EXPECT_EQ(place.entry().count, expected[n]);
    }
  }
  for (const auto& [n, value] : std::map(expected)) table.erase(table.find(key(n)));
  for (std::size_t b = 0; b < table.buckets(); ++b) EXPECT_EQ(table.bucket(b).overflow, 0u);
}

}  // namespace
}  // namespace troupe
