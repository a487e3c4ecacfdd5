#include "services/bench/pacer.hpp"

#include <gtest/gtest.h>

namespace troupe::load {
namespace {

using namespace std::chrono_literals;

TEST(Pacer, AClosedLoopStartsWheneverAStreamIsFree) {
  Pacer pacer({3, {}, 2, {}});
  EXPECT_TRUE(pacer.may_start(0s, 0));
  pacer.started();
  EXPECT_TRUE(pacer.may_start(0s, 1));
  pacer.started();
  EXPECT_FALSE(pacer.may_start(1s, 2));
  EXPECT_EQ(pacer.next_due(5s), Duration(5s));
  EXPECT_TRUE(pacer.may_start(5s, 1));
  pacer.started();
  EXPECT_EQ(pacer.next_due(6s), std::nullopt);
  EXPECT_EQ(pacer.count(), 3u);
}

TEST(Pacer, AnOpenLoopKeepsARequestsArrivalWhileItWaitsForAStream) {
  Pacer pacer({0, {}, 1, [](std::uint64_t i) { return std::optional<Duration>(i * 1s); }});
  EXPECT_TRUE(pacer.may_start(0s, 0));
  pacer.started();
  EXPECT_FALSE(pacer.may_start(999ms, 0));
  EXPECT_FALSE(pacer.may_start(3s, 1));
  EXPECT_TRUE(pacer.may_start(3s, 0));
  EXPECT_EQ(pacer.next_due(3s), Duration(1s));
}

TEST(Pacer, NothingStartsAfterTheDurationOrTheLastArrival) {
  Pacer closed({0, 10s, 4, {}});
  EXPECT_TRUE(closed.may_start(9s, 0));
  EXPECT_FALSE(closed.may_start(10s, 0));
  Pacer open({0, {}, 4, [](std::uint64_t) { return std::optional<Duration>(); }});
  EXPECT_EQ(open.next_due(0s), std::nullopt);
}

TEST(PoissonArrivals, AreSeededOrderedAndOfTheirRate) {
  const Arrivals a = poisson_arrivals(50, 3), b = poisson_arrivals(50, 3), c = poisson_arrivals(50, 4);
  Duration last{};
  double squares = 0;
  constexpr std::uint64_t kCount = 20'000;
  for (std::uint64_t i = 0; i < kCount; ++i) {
    const Duration at = *a(i);
    ASSERT_GE(at, last);
    const double gap = static_cast<double>((at - last).count()) / 1e9;
    squares += gap * gap;
    last = at;
    ASSERT_EQ(b(i), at);
  }
  EXPECT_NE(c(0), a(0));
  EXPECT_NEAR(static_cast<double>(last.count()) / 1e9, kCount / 50.0, kCount / 50.0 * 0.03);
  // An exponential's second moment is twice its mean squared: a regular clock would give half of it.
  EXPECT_NEAR(squares / kCount, 2 / (50.0 * 50), 0.1 * 2 / (50.0 * 50));
  EXPECT_EQ(*b(3), *poisson_arrivals(50, 3)(3));
}

}  // namespace
}  // namespace troupe::load
