#include "services/router/predictions.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using Keys = std::vector<BlockKey>;
const TimePoint kStart{std::chrono::hours(1)};
constexpr std::chrono::seconds kSecond{1};

Keys keys(std::uint64_t first, std::uint64_t end) {
  Keys out;
  for (std::uint64_t i = first; i < end; ++i) out.push_back({i, i});
  return out;
}

TEST(Predictions, SayWhatIsNewAndDropTheLongestUnused) {
  Predictions p;
  EXPECT_EQ(p.use(keys(0, 3), kStart).size(), 3u);
  EXPECT_EQ(p.use(keys(0, 2), kStart + kSecond), Keys{});
  EXPECT_EQ(p.use(keys(5, 6), kStart + 2 * kSecond), keys(5, 6));
  EXPECT_EQ(p.drop(2, {}), (Keys{{2, 2}, {1, 1}})) << "the end of a prompt goes before its beginning";
  EXPECT_EQ(p.drop(9, kStart + 2 * kSecond), keys(0, 1));
  EXPECT_EQ(p.size(), 1u);
}

TEST(Predictions, WhatWasUsedLatelyStaysWhateverTheWorkerSays) {
  Predictions p;
  (void)p.use(keys(0, 4), kStart);
  (void)p.use(keys(10, 14), kStart + 10 * kSecond);
  EXPECT_EQ(p.drop_settled(0, kStart + kSecond).size(), 4u);
  EXPECT_EQ(p.size(), 4u);
  EXPECT_EQ(p.drop_settled(3, kStart + 10 * kSecond).size(), 1u);
}

TEST(Predictions, BlocksUsedOverAndOverTakeNoRoom) {
  Predictions p;
  for (int i = 0; i < 10000; ++i) (void)p.use(keys(0, 10), kStart + i * kSecond);
  EXPECT_EQ(p.size(), 10u);
  EXPECT_EQ(p.drop(5, {}).size(), 5u);
}

}  // namespace
}  // namespace troupe::router
