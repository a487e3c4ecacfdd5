#include "services/gateway/retry_budget.hpp"

#include <gtest/gtest.h>

namespace troupe::gateway {
namespace {

using namespace std::chrono_literals;

int take_all(RetryBudget& budget, TimePoint now) {
  int taken = 0;
  while (budget.take(now)) ++taken;
  return taken;
}

TEST(RetryBudget, GivesAStoreThenATrickle) {
  RetryBudget budget({.per_second = 5, .per_success = 0.5, .most = 10});
  const TimePoint start = TimePoint{} + 1h;
  EXPECT_EQ(take_all(budget, start), 10);
  EXPECT_EQ(take_all(budget, start), 0);
  EXPECT_EQ(take_all(budget, start + 1s), 5);
  EXPECT_EQ(take_all(budget, start + 1h), 10) << "no more than the store holds";
}

TEST(RetryBudget, SuccessesEarnRetries) {
  RetryBudget budget({.per_second = 0, .per_success = 0.5, .most = 10});
  const TimePoint start = TimePoint{} + 1h;
  (void)take_all(budget, start);
  for (int i = 0; i < 6; ++i) budget.succeeded();
  EXPECT_EQ(take_all(budget, start), 3);
}

}  // namespace
}  // namespace troupe::gateway
