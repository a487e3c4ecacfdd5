#include "common/engine/schedule/tenant_counters.hpp"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Names = std::vector<std::string_view>;

/// Always serves the least served of two tenants that always wait; returns what each got, in charged tokens.
std::pair<double, double> serve_two(const TenantWeights& weights, double& largest_difference, double& largest_request) {
  TenantCounters counters(weights);
  std::mt19937_64 random(3);
  double a = 0, b = 0;
  for (int i = 0; i < 2000; ++i) {
    const bool serve_a = counters.counter("a") <= counters.counter("b");
    const std::uint64_t prompt = serve_a ? 1 + random() % 500 : 1 + random() % 50, answer = random() % 100;  // a asks for more
    counters.charge_prompt(serve_a ? "a" : "b", prompt);
    counters.charge_answer(serve_a ? "a" : "b", answer);
    const double cost = static_cast<double>(prompt) + 2 * static_cast<double>(answer);
    (serve_a ? a : b) += cost;
    largest_request = std::max(largest_request, cost);
    largest_difference = std::max(largest_difference, std::abs(counters.counter("a") - counters.counter("b")));
  }
  return {a, b};
}

TEST(TenantCounters, TwoThatAlwaysWaitGetTheSameWithinTwoRequests) {
  double difference = 0, request = 0;
  const auto [a, b] = serve_two({}, difference, request);
  EXPECT_LE(std::abs(a - b), 2 * request);
  EXPECT_LE(difference, 2 * request);
}

TEST(TenantCounters, WeightsAreShares) {
  double difference = 0, request = 0;
  const auto [a, b] = serve_two({{"a", 3.0}}, difference, request);
  EXPECT_NEAR(a / b, 3.0, 0.05);
}

TEST(TenantCounters, IdlingSavesUpNothing) {
  TenantCounters counters;
  counters.charge_prompt("busy", 1000);
  counters.charge_prompt("late", 10);
  counters.arrived("late", Names{"busy", "busy"});
  EXPECT_EQ(counters.counter("late"), 1000);
  counters.arrived("new", Names{});  // nobody waits: the one charged last counts
  EXPECT_EQ(counters.counter("new"), 10);
}

TEST(TenantCounters, ATenantThatWaitsAlreadyIsNotLifted) {
  TenantCounters counters;
  counters.charge_prompt("busy", 1000);
  counters.arrived("late", Names{"late", "busy"});
  EXPECT_EQ(counters.counter("late"), 0);
}

TEST(TenantCounters, ForgetsTheLeastServedBeyondItsBound) {
  TenantCounters counters({}, 3);
  for (int i = 1; i <= 50; ++i) counters.charge_prompt(std::to_string(i), static_cast<std::uint64_t>(i) * 10);
  EXPECT_EQ(counters.tenants(), 3u);
  EXPECT_GE(counters.counter("somebody"), 10) << "a made-up name gains nothing over those that were forgotten";
}

TEST(TenantCounters, WeightsAreReadFromNameAndNumber) {
  const auto weights = parse_tenant_weights(std::vector<std::string>{"a=2", "b=x=0.5"});
  ASSERT_TRUE(weights.has_value());
  EXPECT_EQ(*weights, (TenantWeights{{"a", 2.0}, {"b=x", 0.5}}));
  for (const char* bad : {"", "a", "=1", "a=", "a=1x", "a=0", "a=-1", "a=nan", "a=1e9"})
    EXPECT_EQ(parse_tenant_weights(std::vector<std::string>{bad}).error().code, Errc::config_invalid) << bad;
}

}  // namespace
}  // namespace troupe::engine
