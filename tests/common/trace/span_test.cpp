#include "common/trace/span.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::trace {
namespace {

using nlohmann::json;

Span span(std::uint64_t id, std::uint64_t parent, std::int64_t start, std::int64_t end) {
  Span made{{0xAB, 0xCD}, {id}, {parent}, {1, 2}, "work", parent == 0, false, start, end};
  made.numbers = {{"troupe.tokens", 7}};
  return made;
}

TEST(Otlp, WritesWhatACollectorReads) {
  Span bad = span(2, 1, 1'700'000'000'000'000'001, 1'700'000'000'000'000'900);
  bad.failed = true;
  const json body = json::parse(to_otlp("gate\"way", {span(1, 0, 5, 9), bad}));
  const json& resource = body["resourceSpans"][0];
  EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "gate\"way");
  const json& spans = resource["scopeSpans"][0]["spans"];
  ASSERT_EQ(spans.size(), 2U);
  EXPECT_EQ(spans[0]["traceId"], "00000000000000ab00000000000000cd");
  EXPECT_EQ(spans[0]["spanId"], "0000000000000001");
  EXPECT_FALSE(spans[0].contains("parentSpanId"));
  EXPECT_EQ(spans[0]["kind"], 2);
  EXPECT_EQ(spans[1]["kind"], 1);
  EXPECT_EQ(spans[1]["parentSpanId"], "0000000000000001");
  EXPECT_EQ(spans[1]["startTimeUnixNano"], "1700000000000000001");
  EXPECT_EQ(spans[1]["status"]["code"], 2);
  EXPECT_EQ(spans[1]["attributes"][1]["key"], "troupe.tokens");
  EXPECT_EQ(spans[1]["attributes"][1]["value"]["intValue"], "7");
  EXPECT_TRUE(json::parse(to_otlp("x", {}))["resourceSpans"][0]["scopeSpans"][0]["spans"].empty());
}

TEST(Chrome, PutsEachNestingInARowOfItsProcess) {
  const json body = json::parse(
      to_chrome({{"gateway", {span(1, 99, 1'001'002, 5'000'000), span(2, 1, 2'000'000, 3'000'000)}},
                 {"decode", {span(3, 2, 2'000'000, 2'500'000)}}}));
  const json& events = body["traceEvents"];
  ASSERT_EQ(events.size(), 5U) << "two names and three spans";
  EXPECT_EQ(events[0]["args"]["name"], "gateway");
  EXPECT_EQ(events[1]["ph"], "X");
  EXPECT_EQ(events[1]["ts"], 1001.002);
  EXPECT_EQ(events[1]["dur"], 3998.998);
  EXPECT_EQ(events[1]["tid"], 0) << "its parent is elsewhere";
  EXPECT_EQ(events[2]["tid"], 1);
  EXPECT_EQ(events[2]["args"]["troupe.tokens"], 7);
  EXPECT_EQ(events[4]["pid"], 2);
  EXPECT_TRUE(json::parse(to_chrome({}))["traceEvents"].empty());
}

TEST(Chrome, SpansThatNameEachOtherAsParentsEndAnyway) {
  EXPECT_FALSE(json::parse(to_chrome({{"x", {span(1, 2, 0, 1), span(2, 1, 0, 1)}}})).is_discarded());
}

}  // namespace
}  // namespace troupe::trace
