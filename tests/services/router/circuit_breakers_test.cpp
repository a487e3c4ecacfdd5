#include "services/router/circuit_breakers.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;
const NodeId kA{1, 1}, kB{2, 2};

struct Rig {
  CircuitBreakers breakers{{.failures = 3, .memory = 10s, .first_pause = 1s, .longest_pause = 4s}};
  TimePoint now = TimePoint{} + 1h;
  void fail(int times) {
    for (int i = 0; i < times; ++i) breakers.failed(kA, now);
  }
};

TEST(CircuitBreakers, OpensAfterFailuresInARowAndOnlyForThatWorker) {
  Rig r;
  r.fail(2);
  EXPECT_TRUE(r.breakers.admits(kA, r.now));
  r.fail(1);
  EXPECT_FALSE(r.breakers.admits(kA, r.now));
  EXPECT_TRUE(r.breakers.admits(kB, r.now));
  EXPECT_EQ(r.breakers.open(), 1u);
}

TEST(CircuitBreakers, ASuccessOrALongPauseBetweenFailuresStartsTheCountAgain) {
  Rig r;
  r.fail(2);
  r.breakers.succeeded(kA);
  r.fail(2);
  EXPECT_TRUE(r.breakers.admits(kA, r.now));
  r.now += 11s;
  r.fail(2);
  EXPECT_TRUE(r.breakers.admits(kA, r.now));
}

TEST(CircuitBreakers, HalfOpenGivesOneTrialWhoseFailureDoublesThePauseUpToItsBound) {
  Rig r;
  r.fail(3);
  for (const auto pause : {2s, 4s, 4s}) {
    r.now += 4s;
    EXPECT_TRUE(r.breakers.admits(kA, r.now));
    r.breakers.placed(kA, r.now);
    EXPECT_FALSE(r.breakers.admits(kA, r.now)) << "one trial at a time";
    r.fail(1);
    r.now += pause - 1ms;
    EXPECT_FALSE(r.breakers.admits(kA, r.now));
    r.now += 1ms;
    EXPECT_TRUE(r.breakers.admits(kA, r.now));
  }
  r.breakers.placed(kA, r.now);
  r.breakers.succeeded(kA);
  EXPECT_EQ(r.breakers.open(), 0u);
  EXPECT_TRUE(r.breakers.admits(kA, r.now));
}

TEST(CircuitBreakers, FailuresOfWhatItHadBeforeItOpenedDoNotLengthenThePause) {
  Rig r;
  r.fail(64);
  r.now += 1s;
  EXPECT_TRUE(r.breakers.admits(kA, r.now));
}

}  // namespace
}  // namespace troupe::router
