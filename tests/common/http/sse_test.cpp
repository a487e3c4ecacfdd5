#include "common/http/sse.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

using Events = std::vector<std::string>;

TEST(SseParser, GivesTheSameEventsHoweverTheBytesAreCut) {
  const std::string text =
      ": hello\r\nevent: x\r\ndata: one\r\n\r\ndata:two\ndata: lines\n\nid: 3\n\ndata\n\rdata:  spaced\r\r";
  const Events expected{"one", "two\nlines", "", " spaced"};
  for (std::size_t step = 1; step <= text.size(); ++step) {
    SseParser parser;
    Events events;
    for (std::size_t at = 0; at < text.size(); at += step) {
      auto some = parser.feed(std::string_view(text).substr(at, step));
      ASSERT_TRUE(some);
      events.insert(events.end(), some->begin(), some->end());
    }
    EXPECT_EQ(events, expected) << "step " << step;
  }
}

TEST(SseParser, KeepsAnUnfinishedEvent) {
  SseParser parser;
  EXPECT_TRUE(parser.feed("data: a\n")->empty());
  EXPECT_EQ(*parser.feed("\n"), Events{"a"});
}

TEST(SseParser, NamesEventsUntilTheyEnd) {
  SseParser parser;
  const auto events =
      parser.events("event: cluster\ndata: 1\n\ndata: 2\n\nevent:left\n\nevent: a\nevent: b\ndata: 3\n\n");
  ASSERT_TRUE(events);
  std::string told;
  for (const SseEvent& event : *events) told += event.name + "=" + event.data + " ";
  EXPECT_EQ(told, "cluster=1 message=2 b=3 ") << "a name without data is no event, and of nobody else";
}

TEST(SseParser, BoundsAnEvent) {
  SseParser parser;
  EXPECT_EQ(parser.feed("data: " + std::string(2U << 20, 'x')).error().code, Errc::wire_malformed);
}

}  // namespace
}  // namespace troupe
