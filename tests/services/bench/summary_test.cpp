#include "services/bench/summary.hpp"

#include <gtest/gtest.h>

namespace troupe::load {
namespace {

using namespace std::chrono_literals;

Record answered(Duration due, std::vector<Duration> tokens) {
  Record record;
  record.due = due;
  record.token_times = std::move(tokens);
  record.ended = record.token_times.back();
  record.prompt_tokens = 10;
  record.cached_tokens = 4;
  record.output_tokens = record.token_times.size();
  record.usage_seen = true;
  return record;
}

TEST(Percentile, LiesBetweenItsNeighbours) {
  EXPECT_EQ(percentile({}, 0.5), 0);
  EXPECT_EQ(percentile({7}, 0.99), 7);
  EXPECT_EQ(percentile({1, 2, 3, 4, 5}, 0.5), 3);
  EXPECT_DOUBLE_EQ(percentile({1, 2, 3, 4}, 0.5), 2.5);
  EXPECT_DOUBLE_EQ(percentile({0, 10}, 0.9), 9);
  EXPECT_EQ(percentile({1, 2}, 1), 2);
}

TEST(Summary, TimesAreFromWhenARequestWasDue) {
  const Summary s = summarize({answered(1s, {1500ms, 1600ms, 1900ms})}, 2s, {});
  EXPECT_EQ(s.first_token.sorted, std::vector<double>{500});
  EXPECT_EQ(s.gap.sorted, (std::vector<double>{100, 300}));
  EXPECT_EQ(s.whole.sorted, std::vector<double>{900});
  EXPECT_DOUBLE_EQ(s.per_second(s.output_tokens), 1.5);
  EXPECT_EQ(s.cached_tokens, 4u);
}

TEST(Summary, FailedRequestsAreCountedByKindAndNothingElse) {
  Record refused = answered(0s, {1s});
  refused.error = "http_429";
  const Summary s = summarize({refused, refused, answered(0s, {1s})}, 1s, {});
  EXPECT_EQ(s.requests, 3u);
  EXPECT_EQ(s.good, 1u);
  EXPECT_EQ(s.errors, (std::map<std::string, std::uint64_t>{{"http_429", 2}}));
  EXPECT_EQ(s.output_tokens, 1u);
}

TEST(Objective, AStallFailsARequestThatIsFastOnAverage) {
  std::vector<Duration> steady, stalled;
  for (int i = 0; i < 50; ++i) {
    steady.push_back(100ms + i * 10ms);
    stalled.push_back(100ms + i * 10ms + (i < 25 ? 0ms : 400ms));
  }
  Objective objective;
  objective.gap_ms = 50;
  EXPECT_TRUE(meets(answered(0s, steady), objective));
  EXPECT_FALSE(meets(answered(0s, stalled), objective));
  objective.first_token_ms = 99;
  EXPECT_FALSE(meets(answered(0s, steady), objective));
  objective.first_token_ms = 100;
  EXPECT_TRUE(meets(answered(0s, steady), objective));
  EXPECT_EQ(summarize({answered(0s, steady), answered(0s, stalled)}, 1s, objective).met, 1u);
}

TEST(LogHistogram, CountsEveryValueOnceAlsoZeros) {
  const Histogram h = log_histogram({0, 0, 1, 1.5, 11, 99, 100}, 2);
  EXPECT_EQ(h.counts, (std::vector<std::uint64_t>{4, 3}));
  EXPECT_NEAR(h.edges.at(1), 10, 1e-9);
  EXPECT_TRUE(log_histogram({}, 5).counts.empty());
  EXPECT_EQ(log_histogram({3, 3}, 2).counts, (std::vector<std::uint64_t>{2, 0}));
}

}  // namespace
}  // namespace troupe::load
