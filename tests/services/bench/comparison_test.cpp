#include "services/bench/comparison.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "services/bench/random.hpp"

namespace troupe::load {
namespace {

Summary with_rate(double tokens_per_second) {
  Summary out;
  out.seconds = 1;
  out.good = 1;
  out.output_tokens = static_cast<std::uint64_t>(tokens_per_second);
  return out;
}

TEST(BlockOrder, EachEndpointIsFirstEquallyOftenAndALineCancels) {
  int place_sum[2] = {0, 0};
  for (std::uint64_t repeat = 0; repeat < 4; ++repeat)
    for (int place = 0; place < 2; ++place)
      place_sum[block_order(repeat)[static_cast<std::size_t>(place)]] += static_cast<int>(2 * repeat) + place;
  EXPECT_EQ(place_sum[0], place_sum[1]);
}

TEST(Bootstrap, TheIntervalOfNoisyEqualsHoldsOneAndOfUnequalsDoesNot) {
  Random random(1);
  std::vector<Pair> equal, twice;
  for (int i = 0; i < 12; ++i) {
    const double drift = 1 + random.unit();  // both blocks of a pair feel the same machine
    const double a = drift * (0.95 + 0.1 * random.unit()), b = drift * (0.95 + 0.1 * random.unit());
    equal.push_back({a, b});
    twice.push_back({2 * a, b});
  }
  const Ratio one = bootstrap_ratio(equal, 7), two = bootstrap_ratio(twice, 7);
  EXPECT_LE(one.low, 1);
  EXPECT_GE(one.high, 1);
  EXPECT_LT(one.high - one.low, 0.15);
  EXPECT_NEAR(two.value, 2 * one.value, 1e-12);
  EXPECT_GT(two.low, 1.8);
  EXPECT_LE(one.low, one.value);
  EXPECT_GE(one.high, one.value);
}

TEST(Bootstrap, TheSameSeedGivesTheSameInterval) {
  const std::vector<Pair> pairs{{1, 2}, {3, 4}, {5, 4}, {2, 2}, {9, 8}};
  const Ratio a = bootstrap_ratio(pairs, 3), b = bootstrap_ratio(pairs, 3);
  EXPECT_EQ(a.low, b.low);
  EXPECT_EQ(a.high, b.high);
  EXPECT_EQ(a.value, 1);
}

TEST(Bootstrap, FewOrEmptyPairsAreNotGivenAnInterval) {
  EXPECT_EQ(bootstrap_ratio({}, 1).pairs, 0u);
  EXPECT_EQ(bootstrap_ratio({{0, 5}, {5, 0}}, 1).pairs, 0u);
  const Ratio single = bootstrap_ratio({{3, 2}}, 1);
  EXPECT_EQ(single.low, 1.5);
  EXPECT_EQ(single.high, 1.5);
}

TEST(Comparison, MarkedRepeatsAreLeftOutWhileThreeCleanOnesStay) {
  std::vector<Repeat> repeats;
  for (int i = 0; i < 3; ++i) repeats.push_back({with_rate(200), with_rate(100), 0.01});
  repeats.push_back({with_rate(100), with_rate(100), 0.5});
  Comparison c = compare(repeats, 1);
  EXPECT_EQ(c.marked, 1u);
  EXPECT_FALSE(c.used_marked);
  EXPECT_EQ(c.figures.at(0).ratio.value, 2);
  EXPECT_EQ(c.figures.at(0).ratio.pairs, 3u);
  repeats.erase(repeats.begin());
  c = compare(repeats, 1);
  EXPECT_TRUE(c.used_marked);
  EXPECT_EQ(c.figures.at(0).ratio.pairs, 3u);
  EXPECT_NE(comparison_text(c, "a", "b").find("ALL ARE USED"), std::string::npos);
}

TEST(Comparison, TextAndJsonTellTheRatio) {
  const std::vector<Repeat> repeats{{with_rate(300), with_rate(100), std::nullopt}};
  const Comparison c = compare(repeats, 1);
  EXPECT_NE(comparison_text(c, "ours", "theirs").find("output tokens/s        300    100     3.000"),
            std::string::npos)
      << comparison_text(c, "ours", "theirs");
  const auto json = nlohmann::json::parse(comparison_json(c, repeats));
  EXPECT_EQ(json["figures"][0]["ratio"], 3);
  EXPECT_TRUE(json["pairs"][0]["foreign_share"].is_null());
}

}  // namespace
}  // namespace troupe::load
