#include "services/bench/engine/neighbours.hpp"

#include <gtest/gtest.h>

#include "services/bench/engine/statistics.hpp"

namespace troupe::bench {
namespace {

TEST(Neighbours, ReadTheFirstLineOfProcStat) {
  const auto usage = parse_proc_stat("cpu  100 20 30 400 50 6 7 80 5 0", 10);
  ASSERT_TRUE(usage);
  EXPECT_DOUBLE_EQ(usage->total, 69.3);
  EXPECT_DOUBLE_EQ(usage->busy, 16.3);
  EXPECT_DOUBLE_EQ(usage->stolen, 8);
  EXPECT_FALSE(parse_proc_stat("cpu0 1 2 3 4 5 6 7 8", 10));
  EXPECT_FALSE(parse_proc_stat("cpu  1 2 3 x", 10));
  EXPECT_FALSE(parse_proc_stat("", 10));
}

TEST(Neighbours, AreStealAndWhatOthersRanButNotThisProcess) {
  const CpuUsage begin{100, 50, 1, 10};
  EXPECT_DOUBLE_EQ(neighbour_share(begin, {110, 55, 1, 15}), 0);    // all of it our own
  EXPECT_DOUBLE_EQ(neighbour_share(begin, {110, 55, 1, 14}), 0.1);  // one second of another program
  EXPECT_DOUBLE_EQ(neighbour_share(begin, {110, 55, 3, 15}), 0.2);  // two stolen
  EXPECT_DOUBLE_EQ(neighbour_share(begin, {110, 54, 1, 15}), 0);    // ticks are coarse: never below 0
  EXPECT_DOUBLE_EQ(neighbour_share(begin, begin), 1);               // nothing is known about no time
}

TEST(Statistics, MedianIsTheMiddleOrTheMeanOfTheMiddleTwo) {
  EXPECT_EQ(median({}), 0);
  EXPECT_EQ(median({3}), 3);
  EXPECT_EQ(median({9, 1, 5}), 5);
  EXPECT_EQ(median({9, 1, 5, 3}), 4);
}

}  // namespace
}  // namespace troupe::bench
