#include "common/trace/alignment.hpp"

#include <gtest/gtest.h>

namespace troupe::trace {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kSent{1h};

TEST(Alignment, TakesTheMiddleOfWhatBothWaysTook) {
  EXPECT_EQ(heard_at(kSent, kSent + 10ms, 6ms), kSent + 2ms);
  EXPECT_EQ(heard_at(kSent, kSent + 10ms, 10ms), kSent) << "nothing was on the way";
  EXPECT_EQ(heard_at(kSent, kSent + 10ms, 0ms), kSent + 5ms);
}

TEST(Alignment, IsNeverWrongByMoreThanHalfOfBothWays) {
  for (Duration there = 0ms; there <= 8ms; there += 1ms) {
    for (Duration back = 0ms; back <= 8ms; back += 1ms) {
      const Duration age = 20ms;
      const TimePoint heard = heard_at(kSent, kSent + there + age + back, age);
      EXPECT_LE(std::chrono::abs(heard - (kSent + there)), (there + back) / 2);
      EXPECT_GE(heard, kSent);
      EXPECT_LE(heard + age, kSent + there + age + back) << "what it tells of lies before its report";
    }
  }
}

TEST(Alignment, BelievesNoAgeThatCannotBe) {
  EXPECT_EQ(possible_age(kSent, kSent + 10ms, Duration(6ms).count()), 6ms);
  EXPECT_EQ(possible_age(kSent, kSent + 10ms, INT64_MAX), 10ms);
  EXPECT_EQ(possible_age(kSent, kSent + 10ms, INT64_MIN), 0ms);
  EXPECT_EQ(possible_age(kSent, kSent - 1ms, 5), 0ms);
}

TEST(Alignment, ASlowerClockHereIsNoReasonToLieBeforeTheOrder) {
  EXPECT_EQ(heard_at(kSent, kSent + 10ms, 11ms), kSent);
}

}  // namespace
}  // namespace troupe::trace
