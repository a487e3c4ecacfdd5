#include "services/router/prompt_drain.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

const NodeId kNode{1, 1}, kOther{2, 2};

struct Rig {
  void beat(std::uint64_t computed, std::uint64_t queued) {
    clock.advance(200ms);
    drain.heard(kNode, computed, queued, clock.now());
  }
  ManualClock clock;
  PromptDrain drain;
};

TEST(PromptDrain, IsTheTimeAQueuedTokenTook) {
  Rig r;
  for (std::uint64_t i = 0; i < 10; ++i) r.beat(i * 100, 5000);
  EXPECT_DOUBLE_EQ(r.drain.token_us(kNode), 2000);
  EXPECT_EQ(r.drain.token_us(kOther), 0);
}

TEST(PromptDrain, SaysNothingOfAWorkerWithoutAQueue) {
  Rig r;
  for (std::uint64_t i = 0; i < 50; ++i) r.beat(i * 100, 0);
  EXPECT_EQ(r.drain.token_us(kNode), 0);
  // A little waits, but so little that it was idle between.
  for (std::uint64_t i = 50; i < 100; ++i) r.beat(i * 100, 60);
  EXPECT_EQ(r.drain.token_us(kNode), 0);
}

TEST(PromptDrain, AQueueThatStandsStillIsDear) {
  Rig r;
  for (std::uint64_t i = 0; i < 10; ++i) r.beat(i * 100, 5000);
  for (std::uint64_t i = 0; i < 10; ++i) r.beat(900, 5000);
  EXPECT_GT(r.drain.token_us(kNode), 3500);
}

TEST(PromptDrain, FollowsAWorkerThatBecomesFaster) {
  Rig r;
  for (std::uint64_t i = 0; i < 50; ++i) r.beat(i * 100, 5000);
  for (std::uint64_t i = 0; i < 75; ++i) r.beat(5000 + i * 400, 50000);
  EXPECT_NEAR(r.drain.token_us(kNode), 500, 10);
}

TEST(PromptDrain, ANewProcessBeginsItsCountersAgain) {
  Rig r;
  for (std::uint64_t i = 0; i < 10; ++i) r.beat(90000 + i * 100, 5000);
  r.drain.forget(kNode);
  r.beat(0, 5000);
  EXPECT_EQ(r.drain.token_us(kNode), 0);
  for (std::uint64_t i = 1; i < 10; ++i) r.beat(i * 50, 5000);
  EXPECT_DOUBLE_EQ(r.drain.token_us(kNode), 4000);
}

}  // namespace
}  // namespace troupe::router
