#include "common/trace/tracer.hpp"

#include <gtest/gtest.h>

namespace troupe::trace {
namespace {

TraceContext caller(bool sampled, std::uint64_t low = 1) {
  return {{7, low}, {9}, sampled};
}
Span span(RequestId request, std::int64_t start) {
  return {{1, 1}, {2}, {}, request, "work", false, false, start, start + 1};
}

TEST(Tracer, OffRecordsOnlyWhatACallerAsksFor) {
  const Tracer tracer({});
  EXPECT_FALSE(tracer.begin(std::nullopt));
  EXPECT_FALSE(tracer.begin(caller(false)));
  const auto context = tracer.begin(caller(true));
  ASSERT_TRUE(context);
  EXPECT_EQ(context->trace, caller(true).trace);
  EXPECT_NE(context->span, caller(true).span) << "the request's own";
  EXPECT_TRUE(context->sampled);
}

TEST(Tracer, DoesNotListenToCallersWhereItIsTold) {
  TracerOptions options;
  options.follow_caller = false;
  EXPECT_FALSE(Tracer(options).begin(caller(true)));
  options.ratio = 1;
  EXPECT_TRUE(Tracer(options).begin(caller(false)));
}

TEST(Tracer, RecordsAShareOfTheRest) {
  TracerOptions options;
  options.ratio = 0.25;
  const Tracer tracer(options);
  EXPECT_FALSE(tracer.begin(caller(false, 0))) << "its caller decided against it";
  int recorded = 0;
  for (int i = 0; i < 4000; ++i) recorded += tracer.begin(std::nullopt) ? 1 : 0;
  EXPECT_GT(recorded, 800);
  EXPECT_LT(recorded, 1200);
  options.ratio = 1;
  EXPECT_TRUE(Tracer(options).begin(std::nullopt));
}

TEST(Tracer, DecidesByTheTracesIdAlone) {
  TracerOptions options;
  options.ratio = 0.5;
  options.follow_caller = false;
  const Tracer one(options), two(options);
  for (int i = 0; i < 200; ++i) {
    const TraceContext context = caller(false, random_id<TraceId>().low);
    EXPECT_EQ(one.begin(context).has_value(), two.begin(context).has_value());
  }
}

TEST(Tracer, KeepsTheLastSpansAndTellsItsSink) {
  TracerOptions options;
  options.kept_spans = 3;
  Tracer tracer(options);
  std::size_t told = 0;
  tracer.set_sink([&](const Span&) { ++told; });
  tracer.record(span({1, 1}, 50));
  tracer.record(span({2, 2}, 40));
  tracer.record(span({2, 2}, 30));
  EXPECT_EQ(tracer.of({1, 1}).size(), 1U);
  tracer.record(span({3, 3}, 20));
  EXPECT_TRUE(tracer.of({1, 1}).empty()) << "the oldest is forgotten";
  ASSERT_EQ(tracer.of({2, 2}).size(), 2U);
  EXPECT_EQ(tracer.of({2, 2})[0].start_ns, 30) << "by start";
  EXPECT_EQ(told, 4U);
}

TEST(Tracer, TellsTheTimeOfDay) {
  const auto now = std::chrono::steady_clock::now();
  const auto today = std::chrono::duration_cast<std::chrono::nanoseconds>(
                         std::chrono::system_clock::now().time_since_epoch())
                         .count();
  EXPECT_NEAR(static_cast<double>(unix_ns(now)), static_cast<double>(today), 60e9);
  EXPECT_NEAR(static_cast<double>(unix_ns(now) - unix_ns(now - std::chrono::hours(1))), 3600e9, 60e9);
}

}  // namespace
}  // namespace troupe::trace
