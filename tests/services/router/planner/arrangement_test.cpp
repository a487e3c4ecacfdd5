#include "services/router/planner/arrangement.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kBegin{1h};
constexpr StepCosts kAccelerator{8000, 80, 30, 2, 512};
constexpr StepCosts kManyRowsCost{8000, 80, 500, 2, 512};

TEST(Arrangement, AnIdleWorkerTakesAPromptsOwnTime) {
  const Prediction seldom = predict({1e-9, 1e-9, 100, 1024, 0}, kAccelerator, 2, 0);
  ASSERT_TRUE(seldom.bears);
  EXPECT_NEAR(seldom.between_tokens_tail_us, 8030, 0.01) << "a base and one row";
  EXPECT_NEAR(seldom.short_first_us, 8030 + 100 * 80, 0.01);
  EXPECT_NEAR(seldom.long_first_us, 2 * 8030 + 1024 * 80, 0.01) << "two chunks";
  const Prediction apart = predict({1e-9, 1e-9, 100, 1024, 0}, kAccelerator, 2, 1);
  EXPECT_NEAR(apart.long_first_us, 2 * 8000 + 1024 * 80 + 512 * 2 + 8030, 0.01)
      << "no rows beside it, the last chunk's pages cross, a step draws the token";
}

TEST(Arrangement, PagesThatCrossSlowerThanTheyAreComputedAreWaitedFor) {
  StepCosts costs = kAccelerator;
  costs.transfer = 1000;
  const Prediction apart = predict({0, 1e-9, 0, 1024, 0}, costs, 2, 1);
  EXPECT_NEAR(apart.long_first_us, 1024 * 1000 + 8030, 0.01);
}

TEST(Arrangement, RowsAndPromptsMakeStepsLonger) {
  // 400 tokens a second on one worker at 500 us each, and 1,000 prompt tokens at 80 us: 28 % of its time.
  const Prediction alone = predict({10, 0, 100, 0, 40}, kManyRowsCost, 1, 0);
  ASSERT_TRUE(alone.bears);
  const double mean = 8000 / (1 - 0.28), rows = 400 * mean / 1e6;
  EXPECT_NEAR(alone.between_tokens_tail_us, 8000 + 500 * rows + 100 * 80, 1)
      << "more than a hundredth of the steps hold a whole prompt";
  EXPECT_FALSE(predict({10, 0, 100, 0, 200}, kManyRowsCost, 1, 0).bears)
      << "2,000 tokens a second are too many";
}

TEST(Arrangement, LongPromptsBesideManyStreamsAskForTwoRoles) {
  const Comparison mixed = compare({6, 1, 100, 4000, 150}, kAccelerator, 4);
  ASSERT_TRUE(mixed.hybrid.bears && mixed.split.bears);
  EXPECT_GT(mixed.advantage, 2) << "chunks of 512 stay out of the steps that make tokens";
  EXPECT_GT(mixed.hybrid.between_tokens_tail_us, 2 * mixed.split.between_tokens_tail_us);
  EXPECT_LT(mixed.split.long_first_us, 1.05 * mixed.hybrid.long_first_us);
}

TEST(Arrangement, ItIsTheOtherWayRoundWhereAnswersAreTheWork) {
  const Comparison decoding = compare({3, 0.05, 100, 1000, 400}, kManyRowsCost, 2);
  ASSERT_TRUE(decoding.hybrid.bears && decoding.split.bears);
  EXPECT_LT(decoding.advantage, 0.6) << "a prefill worker would stand idle, the other make every token";
  EXPECT_LT(decoding.hybrid.short_first_us, decoding.split.short_first_us);
}

TEST(Arrangement, ShortPromptsAloneGainNothingApart) {
  EXPECT_LT(compare({8, 0, 200, 0, 200}, kAccelerator, 4).advantage, 1);
}

TEST(Arrangement, WhoBearsTheLoadWinsAndWhereNeitherDoesNothingIsSaid) {
  // A worker alone cannot make these tokens, two can.
  const Comparison tight = compare({6, 0.01, 100, 1000, 400}, kManyRowsCost, 2);
  EXPECT_TRUE(tight.hybrid.bears);
  EXPECT_FALSE(tight.split.bears);
  EXPECT_LT(tight.advantage, 0.1);
  EXPECT_EQ(compare({0, 100, 0, 4000, 20}, kAccelerator, 4).advantage, 1);
  const Comparison one = compare({1, 1, 100, 1000, 10}, kAccelerator, 1);
  EXPECT_EQ(one.prefill, 0u);
  EXPECT_EQ(one.advantage, 1) << "one worker cannot be two roles";
}

TEST(Arrangement, ThePrefillWorkersAreAsManyAsServeBest) {
  const auto prefill = [](double longs) {
    return compare({10, longs, 100, 4000, 150}, kAccelerator, 8).prefill;
  };
  EXPECT_LE(prefill(0.5), prefill(8));
  EXPECT_GE(prefill(8), 4u) << "8 prompts of a third of a second each keep three busy all the time";
}

TEST(TrafficMeter, ReadsASteadyTrafficFromItsBeginningOn) {
  TrafficMeter meter(60s);
  for (int i = 0; i < 1200; ++i) {
    const TimePoint now = kBegin + i * 100ms;
    meter.placed(100, false, now);
    if (i % 10 == 0) meter.placed(2000, true, now);
    meter.generated(22, now);
    if (i != 99 && i != 1199) continue;
    const Traffic traffic = meter.traffic(now + 50ms);
    EXPECT_NEAR(traffic.short_prompts, 10, 0.2) << i;
    EXPECT_NEAR(traffic.long_prompts, 1, 0.1);
    EXPECT_NEAR(traffic.short_tokens, 100, 1e-6);
    EXPECT_NEAR(traffic.long_tokens, 2000, 1e-6);
    EXPECT_NEAR(traffic.answer_tokens, 20, 0.3);
  }
}

TEST(TrafficMeter, WhatEndedFades) {
  TrafficMeter meter(10s);
  EXPECT_EQ(meter.traffic(kBegin).short_prompts, 0) << "nothing was seen";
  for (int i = 0; i < 100; ++i) meter.placed(100, false, kBegin + i * 100ms);
  const double before = meter.placements(kBegin + 10s);
  EXPECT_NEAR(meter.placements(kBegin + 20s), before / 2.71828, 0.01 * before);
  EXPECT_LT(meter.traffic(kBegin + 100s).short_prompts, 0.01);
}

Comparison worth(double advantage) {
  Comparison comparison;
  comparison.prefill = 1;
  comparison.advantage = advantage;
  return comparison;
}

TEST(ArrangementJudge, ChangesItsMindOnlyForWhatIsClearAndLasts) {
  ArrangementJudge judge(1.2, 60s);
  EXPECT_EQ(judge.verdict(), Arrangement::unknown);
  judge.judge(worth(2), kBegin);
  judge.judge(worth(2), kBegin + 59s);
  EXPECT_EQ(judge.verdict(), Arrangement::unknown) << "it has not lasted";
  judge.judge(worth(2), kBegin + 60s);
  EXPECT_EQ(judge.verdict(), Arrangement::split);
  for (int i = 61; i < 300; ++i) judge.judge(worth(0.9), kBegin + i * 1s);
  EXPECT_EQ(judge.verdict(), Arrangement::split) << "nearly as good is no reason";
  for (int i = 300; i < 600; ++i) judge.judge(worth(i % 50 == 0 ? 1 : 0.5), kBegin + i * 1s);
  EXPECT_EQ(judge.verdict(), Arrangement::split) << "it swings";
  for (int i = 600; i < 661; ++i) judge.judge(worth(0.5), kBegin + i * 1s);
  EXPECT_EQ(judge.verdict(), Arrangement::hybrid);
}

TEST(ArrangementJudge, SaysNothingOfASingleWorker) {
  ArrangementJudge judge(1.2, 1s);
  for (int i = 0; i < 10; ++i) judge.judge(Comparison{}, kBegin + i * 1s);
  EXPECT_EQ(judge.verdict(), Arrangement::unknown);
}

}  // namespace
}  // namespace troupe::router
