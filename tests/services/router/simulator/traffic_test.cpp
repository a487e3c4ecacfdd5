#include "services/router/simulator/traffic.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

TrafficOptions busy() {
  TrafficOptions options;
  options.rate = 20;
  options.span = 100s;
  options.prompt_tokens = 1000;
  options.answer_tokens = 150;
  return options;
}

TEST(Traffic, HasTheRateAndTheMeansThatWereAsked) {
  const Trace trace = traffic_trace(busy());
  EXPECT_NEAR(static_cast<double>(trace.requests.size()), 2000, 150);
  double prompt = 0, answer = 0;
  Duration before{};
  for (const TraceRequest& request : trace.requests) {
    EXPECT_GE(request.arrives, before);
    EXPECT_LT(request.arrives, 100s);
    EXPECT_GE(request.prompt_tokens, 500u);
    EXPECT_LE(request.prompt_tokens, 1500u);
    EXPECT_EQ(request.blocks.size(), (request.prompt_tokens + 63) / 64);
    before = request.arrives;
    prompt += request.prompt_tokens;
    answer += request.output_tokens;
  }
  const auto count = static_cast<double>(trace.requests.size());
  EXPECT_NEAR(prompt / count, 1000, 30);
  EXPECT_NEAR(answer / count, 150, 12);
}

TEST(Traffic, SharesBeginningsAndNothingElse) {
  TrafficOptions options = busy();
  options.shared = 0.64;  // ten blocks
  options.beginnings = 2;
  std::set<std::uint64_t> first, eleventh;
  const Trace trace = traffic_trace(options);
  for (const TraceRequest& request : trace.requests) {
    first.insert(request.blocks[0]);
    ASSERT_GT(request.blocks.size(), 10u);
    eleventh.insert(request.blocks[10]);
  }
  EXPECT_EQ(first.size(), 2u);
  EXPECT_EQ(eleventh.size(), trace.requests.size());
  options.shared = 0;
  first.clear();
  for (const TraceRequest& request : traffic_trace(options).requests) first.insert(request.blocks[0]);
  EXPECT_GT(first.size(), 1000u);
}

TEST(Traffic, IsTheSameForTheSameSeedAndNeverEmpty) {
  TrafficOptions options = busy();
  const Trace one = traffic_trace(options), two = traffic_trace(options);
  ASSERT_EQ(one.requests.size(), two.requests.size());
  EXPECT_EQ(one.requests.back().blocks, two.requests.back().blocks);
  EXPECT_EQ(one.requests.back().arrives, two.requests.back().arrives);
  options.seed = 2;
  EXPECT_NE(traffic_trace(options).requests.front().arrives, one.requests.front().arrives);
  options.rate = 0.001;
  EXPECT_EQ(traffic_trace(options).requests.size(), 1u);
}

}  // namespace
}  // namespace troupe::router
