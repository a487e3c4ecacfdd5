#include "common/metrics/registry.hpp"

#include <gtest/gtest.h>

#include <thread>

namespace troupe::metrics {
namespace {

const Declaration kTokens{"troupe_decode_tokens_total", "Tokens sampled.", Kind::counter};
const Declaration kFinished{
    "troupe_gateway_requests_total", "Requests.", Kind::counter, {{"outcome", {"stop", "length", "error"}}}};
const Declaration kPages{
    "troupe_kv_pages_count", "Pages.", Kind::gauge, {{"state", {"free", "open"}}, {"tier", {"host"}}}};
const Declaration kWait{"troupe_router_wait_seconds", "Waits.", Kind::histogram, {}, {0.1, 1}};

TEST(Registry, SerializesTheExpositionFormatInOrderOfNames) {
  Registry registry;
  registry.histogram(kWait).observe(0.5);
  registry.gauge(kPages, {"open", "host"}).set(7);
  registry.gauge(kPages, {"free", "host"}).add(-2);
  registry.counter(kTokens).add(3);
  registry.counter(kFinished, {"stop"}).add();
  EXPECT_EQ(registry.serialize(),
            "# HELP troupe_decode_tokens_total Tokens sampled.\n"
            "# TYPE troupe_decode_tokens_total counter\n"
            "troupe_decode_tokens_total 3\n"
            "# HELP troupe_gateway_requests_total Requests.\n"
            "# TYPE troupe_gateway_requests_total counter\n"
            "troupe_gateway_requests_total{outcome=\"stop\"} 1\n"
            "# HELP troupe_kv_pages_count Pages.\n"
            "# TYPE troupe_kv_pages_count gauge\n"
            "troupe_kv_pages_count{state=\"free\",tier=\"host\"} -2\n"
            "troupe_kv_pages_count{state=\"open\",tier=\"host\"} 7\n"
            "# HELP troupe_router_wait_seconds Waits.\n"
            "# TYPE troupe_router_wait_seconds histogram\n"
            "troupe_router_wait_seconds_bucket{le=\"0.1\"} 0\n"
            "troupe_router_wait_seconds_bucket{le=\"1.0\"} 1\n"
            "troupe_router_wait_seconds_bucket{le=\"+Inf\"} 1\n"
            "troupe_router_wait_seconds_sum 0.5\n"
            "troupe_router_wait_seconds_count 1\n");
}

TEST(Registry, GivesTheSameSeriesForTheSameRowAndLabels) {
  Registry registry;
  const Counter a = registry.counter(kFinished, {"stop"});
  const Counter b = registry.counter(kFinished, {"stop"});
  const Counter other = registry.counter(kFinished, {"error"});
  a.add(2);
  b.add(3);
  EXPECT_EQ(a.value(), 5);
  EXPECT_EQ(other.value(), 0);
}

TEST(Registry, TwoRegistriesShareNothing) {
  Registry one;
  Registry two;
  one.counter(kTokens).add();
  EXPECT_EQ(two.counter(kTokens).value(), 0);
}

TEST(Registry, CopiesTheTextsOfARow) {
  Registry registry;
  {
    std::string name = "troupe_test_things_total";
    std::string value = "x";
    (void)registry.counter(Declaration{name, "Things.", Kind::counter, {{"k", {value}}}}, {value});
    name.assign(name.size(), '#');
    value.assign(1, '#');
  }
  registry.counter(Declaration{"troupe_test_things_total", "Things.", Kind::counter, {{"k", {"x"}}}}, {"x"})
      .add();
  EXPECT_NE(registry.serialize().find("troupe_test_things_total{k=\"x\"} 1\n"), std::string::npos);
}

TEST(Registry, RunsUpdatesBeforeEachCollection) {
  Registry registry;
  int runs = 0;
  registry.before_collect([&runs, pages = registry.gauge(kPages, {"free", "host"})] { pages.set(++runs); });
  EXPECT_NE(registry.serialize().find("state=\"free\",tier=\"host\"} 1\n"), std::string::npos);
  EXPECT_NE(registry.serialize().find("state=\"free\",tier=\"host\"} 2\n"), std::string::npos);
}

TEST(Registry, CountsFromSeveralThreads) {
  Registry registry;
  const Counter counter = registry.counter(kTokens);
  const Histogram histogram = registry.histogram(kWait);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        counter.add();
        histogram.observe(0.5);
        (void)registry.counter(kFinished, {"stop"});
      }
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(counter.value(), 4000);
  EXPECT_EQ(histogram.count(), 4000U);
  EXPECT_EQ(histogram.sum(), 2000);
}

TEST(Registry, EndsTheProcessOnAProgrammersFault) {
  Registry registry;
  (void)registry.counter(kTokens);
  EXPECT_DEATH((void)registry.counter(kFinished, {"other"}), "outside the closed set of outcome");
  EXPECT_DEATH((void)registry.counter(kFinished), "a value for each of its labels");
  EXPECT_DEATH((void)registry.gauge(kTokens), "another kind");
  EXPECT_DEATH((void)registry.counter({"troupe_decode_tokens_total", "Other help.", Kind::counter}),
               "declared twice");
}

TEST(Declaration, IsCheckedAgainstTheNamingRules) {
  const auto wrong = [](const Declaration& row) { return why_invalid(row); };
  EXPECT_EQ(wrong(kTokens), "");
  EXPECT_EQ(wrong(kWait), "");
  EXPECT_NE(wrong({"decode_tokens_total", "H.", Kind::counter}), "");
  EXPECT_EQ(wrong({"vllm:prompt_tokens_total", "H.", Kind::counter}), "");
  EXPECT_EQ(wrong({"vllm:iteration_tokens_total", "H.", Kind::histogram, {}, {1, 2}}), "")
      << "as vLLM names it";
  EXPECT_NE(wrong({"vllm:prompt_tokens", "H.", Kind::counter}), "");
  EXPECT_NE(wrong({"vllm:", "H.", Kind::gauge}), "");
  EXPECT_NE(wrong({"troupe_Decode_tokens_total", "H.", Kind::counter}), "");
  EXPECT_NE(wrong({"troupe_decode_tokens", "H.", Kind::counter}), "");
  EXPECT_NE(wrong({"troupe_decode_pages_total", "H.", Kind::gauge}), "");
  EXPECT_NE(wrong({"troupe_decode_tokens_total", "", Kind::counter}), "");
  EXPECT_NE(wrong({"troupe_decode_step_seconds", "H.", Kind::histogram}), "");
  EXPECT_NE(wrong({"troupe_decode_step_seconds", "H.", Kind::histogram, {}, {1, 1}}), "");
  EXPECT_NE(wrong({"troupe_decode_tokens_total", "H.", Kind::counter, {{"Bad", {"x"}}}}), "");
  EXPECT_NE(wrong({"troupe_decode_tokens_total", "H.", Kind::counter, {{"k", {}}}}), "");
  const std::vector<std::string_view> many(40, "v");
  EXPECT_NE(wrong({"troupe_decode_tokens_total", "H.", Kind::counter, {{"a", many}, {"b", many}}}), "");
}

TEST(Handles, MadeByDefaultCountNowhere) {
  const Counter counter;
  const Gauge gauge;
  const Histogram histogram;
  counter.add();
  gauge.set(1);
  histogram.observe(1);
  EXPECT_EQ(counter.value() + gauge.value() + static_cast<double>(histogram.count()), 0);
}

TEST(Handles, ACounterNeverGoesBack) {
  Registry registry;
  const Counter counter = registry.counter(kTokens);
  counter.add(2);
  counter.add(-1);
  EXPECT_EQ(counter.value(), 2);
}

}  // namespace
}  // namespace troupe::metrics
