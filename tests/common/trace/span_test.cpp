#include "common/trace/span.hpp"

#include <map>

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
  const json body = json::parse(to_otlp({"gate\"way", ""}, {span(1, 0, 5, 9), bad}));
  const json& resource = body["resourceSpans"][0];
  EXPECT_EQ(resource["resource"]["attributes"][0]["value"]["stringValue"], "troupe-gate\"way");
  EXPECT_EQ(resource["resource"]["attributes"].size(), 1U) << "no instance is no attribute";
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
  EXPECT_TRUE(json::parse(to_otlp({"x", ""}, {}))["resourceSpans"].empty());
}

TEST(Otlp, HasAResourceForEachOrigin) {
  Span router = span(2, 1, 2, 3), other = span(4, 1, 4, 5);
  router.origin = {"router", "router-0"};
  router.texts = {{"troupe.policy", "predicted\tttft"}};
  other.origin = {"decode", "decode-1"};
  const json body = json::parse(to_otlp({"gateway", "gateway-0"}, {span(1, 0, 1, 9), router, other, span(5, 1, 6, 7)}));
  ASSERT_EQ(body["resourceSpans"].size(), 3U);
  const auto attribute = [&](std::size_t resource, std::size_t index) {
    return body["resourceSpans"][resource]["resource"]["attributes"][index]["value"]["stringValue"];
  };
  EXPECT_EQ(attribute(0, 0), "troupe-gateway");
  EXPECT_EQ(attribute(0, 1), "gateway-0");
  EXPECT_EQ(body["resourceSpans"][0]["scopeSpans"][0]["spans"].size(), 2U) << "those without one are whose it is";
  EXPECT_EQ(attribute(1, 0), "troupe-router");
  EXPECT_EQ(attribute(2, 1), "decode-1");
  const json& texts = body["resourceSpans"][1]["scopeSpans"][0]["spans"][0]["attributes"];
  EXPECT_EQ(texts[2]["key"], "troupe.policy");
  EXPECT_EQ(texts[2]["value"]["stringValue"], "predicted ttft") << "no control characters";
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

TEST(Chrome, GivesWhatOverlapsRowsOfItsOwn) {
  const json body = json::parse(to_chrome(
      {{"x", {span(1, 0, 0, 100), span(2, 1, 10, 50), span(3, 1, 20, 60), span(4, 1, 50, 90), span(5, 4, 55, 58)}}}));
  std::map<std::string, int> rows;
  for (const json& event : body["traceEvents"])
    if (event["ph"] == "X") rows[event["args"]["span"]] = event["tid"];
  EXPECT_EQ(rows["0000000000000001"], 0);
  EXPECT_EQ(rows["0000000000000002"], 1);
  EXPECT_EQ(rows["0000000000000003"], 2) << "it begins before its neighbour ends";
  EXPECT_EQ(rows["0000000000000004"], 1);
  EXPECT_EQ(rows["0000000000000005"], 3) << "below all that goes on";
}

TEST(Chrome, HasAProcessForEachOrigin) {
  Span decode = span(2, 1, 2, 3);
  decode.origin = {"decode", "decode-1"};
  const auto processes = by_process({span(1, 0, 1, 9), decode, span(3, 1, 4, 5)}, {"gateway", ""});
  ASSERT_EQ(processes.size(), 2U);
  EXPECT_EQ(processes[0].process, "gateway");
  EXPECT_EQ(processes[0].spans.size(), 2U);
  EXPECT_EQ(processes[1].process, "decode decode-1");
}

TEST(Chrome, SpansThatNameEachOtherAsParentsEndAnyway) {
  EXPECT_FALSE(json::parse(to_chrome({{"x", {span(1, 2, 0, 1), span(2, 1, 0, 1)}}})).is_discarded());
}

}  // namespace
}  // namespace troupe::trace
