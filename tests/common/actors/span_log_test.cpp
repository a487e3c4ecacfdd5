#include "common/actors/span_log.hpp"

#include <gtest/gtest.h>

#include <set>

namespace troupe::actors {
namespace {

using namespace std::chrono_literals;

constexpr TimePoint kHeard{1h};
const wire::TraceLink kOrder{{1, 2}, {3}};

SpanLog log_of(std::string name = "decode-0", wire::Role role = wire::Role::decode,
               std::uint32_t choice = 0) {
  return {kOrder, {{7, 7}, {2}, choice, role, std::move(name)}, kHeard};
}

TEST(SpanLog, TellsOffsetsFromWhenItsOrderCame) {
  SpanLog log = log_of();
  EXPECT_FALSE(log.take(kHeard + 1ms)) << "nothing to tell";
  log.add("queue", kHeard + 2ms, kHeard + 5ms, {true, {{"troupe.tokens", 9}}, {{"error.type", "x"}}});
  const auto told = log.take(kHeard + 8ms);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->request, (RequestId{7, 7}));
  EXPECT_EQ(told->epoch.value, 2U);
  EXPECT_EQ(told->name, "decode-0");
  EXPECT_EQ(told->age_ns, Duration(8ms).count());
  ASSERT_EQ(told->spans.size(), 1U);
  EXPECT_EQ(told->spans[0].parent, kOrder.span);
  EXPECT_EQ(told->spans[0].start_ns, Duration(2ms).count());
  EXPECT_EQ(told->spans[0].end_ns, Duration(5ms).count());
  EXPECT_TRUE(told->spans[0].failed);
  EXPECT_EQ(told->spans[0].numbers.at(0).second, 9);
  EXPECT_EQ(told->spans[0].texts.at(0).second, "x");
  EXPECT_FALSE(log.take(kHeard + 9ms)) << "told once";
}

TEST(SpanLog, WhatEngineClocksPutBeforeTheOrderBeginsWithIt) {
  SpanLog log = log_of();
  log.add("queue", kHeard - 2ms, kHeard - 1ms);
  const auto told = log.take(kHeard);
  EXPECT_EQ(told->spans[0].start_ns, 0);
  EXPECT_EQ(told->spans[0].end_ns, 0);
}

TEST(SpanLog, IdsOfAllOrdersOfARequestDiffer) {
  std::set<std::uint64_t> ids;
  std::vector<SpanLog> logs;
  logs.push_back(log_of());
  logs.push_back(log_of("decode-1"));
  logs.push_back(log_of("decode-0", wire::Role::prefill));
  logs.push_back(log_of("decode-0", wire::Role::decode, 1));
  for (SpanLog& log : logs)
    for (int i = 0; i < 10; ++i) ids.insert(log.next_id().value);
  EXPECT_EQ(ids.size(), 40U);
  EXPECT_FALSE(ids.contains(0));
}

TEST(SpanLog, DropsAndCountsWhatIsOverItsBounds) {
  SpanLog log = log_of();
  for (std::size_t i = 0; i < wire::kMaxSpans.max + 5; ++i) log.add("x", kHeard, kHeard);
  auto told = log.take(kHeard);
  EXPECT_EQ(told->spans.size(), wire::kMaxSpans.max);
  EXPECT_EQ(told->dropped, 5U);
  std::size_t all = told->spans.size();
  for (int round = 0; round < 10; ++round) {
    for (std::size_t i = 0; i < wire::kMaxSpans.max; ++i) log.add("x", kHeard, kHeard);
    told = log.take(kHeard);
    all += told->spans.size();
    (void)wire::pack(*told);  // fits its bounds
  }
  EXPECT_EQ(all, SpanLog::kMostSpans);
  EXPECT_EQ(told->dropped, wire::kMaxSpans.max) << "it still says so";
}

TEST(SpanLog, AFullMessageFitsTheControlPlane) {
  SpanLog log = log_of();
  for (std::size_t i = 0; i < wire::kMaxSpans.max; ++i)
    log.add("a name of some length", kHeard, kHeard,
            {false, {{"troupe.tokens", 1}}, {{"error.type", std::string(100'000, 'x')}}});
  EXPECT_LT(wire::encode(*log.take(kHeard)).size(), wire::kMaxControlBytes);
}

TEST(SpanLog, PassesOnWhatAnotherRoleToldInItsOwnTime) {
  SpanLog decode = log_of(),
          prefill({kOrder.id, {9}}, {{7, 7}, {2}, 0, wire::Role::prefill, "prefill-0"}, TimePoint{500h});
  prefill.add("prefill", TimePoint{500h} + 1ms, TimePoint{500h} + 3ms);
  // Asked 10 ms after its own order came; 4 ms on both ways together, 3 ms of work: heard at 12.
  const auto theirs = prefill.take(TimePoint{500h} + 3ms);
  const auto told = decode.pass_on(*theirs, kHeard + 10ms, kHeard + 17ms);
  ASSERT_TRUE(told);
  EXPECT_EQ(told->name, "prefill-0");
  EXPECT_EQ(told->role, wire::Role::prefill);
  EXPECT_EQ(told->age_ns, Duration(17ms).count());
  EXPECT_EQ(told->spans.at(0).parent.value, 9U);
  EXPECT_EQ(told->spans.at(0).start_ns, Duration(13ms).count());
  EXPECT_EQ(told->spans.at(0).end_ns, Duration(15ms).count());
}

TEST(SpanLog, PassesOnNoMoreThanItsBound) {
  SpanLog log = log_of();
  wire::Spans many;
  many.spans.resize(SpanLog::kMostSpans / 2 + 1);
  EXPECT_TRUE(log.pass_on(many, kHeard, kHeard));
  EXPECT_FALSE(log.pass_on(many, kHeard, kHeard));
  EXPECT_EQ(log.take(kHeard)->dropped, many.spans.size());
}

}  // namespace
}  // namespace troupe::actors
