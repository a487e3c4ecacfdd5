#include "services/gateway/stop_matcher.hpp"

#include <gtest/gtest.h>

#include <optional>
#include <random>

namespace troupe::test {
namespace {

using gateway::StopMatcher;

/// The definition, byte by byte: the smallest end of any stop string, and of those that end there the
/// longest.
std::pair<std::string, bool> cut_naively(const std::string& text, const std::vector<std::string>& stops) {
  for (std::size_t end = 1; end <= text.size(); ++end) {
    std::optional<std::size_t> begin;
    for (const std::string& stop : stops) {
      if (!stop.empty() && end >= stop.size() && text.compare(end - stop.size(), stop.size(), stop) == 0) {
        begin = std::min(begin.value_or(end), end - stop.size());
      }
    }
    if (begin) return {text.substr(0, *begin), true};
  }
  return {text, false};
}

bool could_begin_a_stop(const std::string& held, const std::vector<std::string>& stops) {
  for (const std::string& stop : stops) {
    if (stop.size() > held.size() && stop.starts_with(held)) return true;
  }
  return false;
}

TEST(StopMatcher, EqualsTheNaiveCutWhereverPiecesEnd) {
  std::mt19937 random(1);
  const auto below = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
  const auto word = [&](std::size_t longest) {
    std::string out;
    for (std::size_t i = 0, n = below(longest + 1); i < n; ++i) out += static_cast<char>('a' + below(2));
    return out;
  };
  int matched = 0;
  for (int round = 0; round < 20000; ++round) {
    const std::string text = word(30);
    std::vector<std::string> stops;
    for (std::size_t i = 0, n = below(4); i < n; ++i) stops.push_back(word(6));
    const auto [expected, found] = cut_naively(text, stops);
    StopMatcher matcher(stops);
    std::string out;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + below(5);
      out += matcher.push(text.substr(at, size));
      at += size;
      // What was let out is never too much, and what is held could still begin a stop string.
      ASSERT_TRUE(expected.starts_with(out)) << text;
      const std::string held = text.substr(out.size(), std::min(at, text.size()) - out.size());
      if (!matcher.matched() && !held.empty()) {
        ASSERT_TRUE(could_begin_a_stop(held, stops)) << text << " holds " << held;
      }
    }
    out += matcher.flush();
    ASSERT_EQ(out, expected) << text;
    ASSERT_EQ(matcher.matched(), found) << text;
    matched += found ? 1 : 0;
  }
  EXPECT_GT(matched, 5000);
  EXPECT_LT(matched, 19000);
}

TEST(StopMatcher, NamesTheStringThatEndedTheText) {
  StopMatcher stops({"b", "ab", "zz"});
  EXPECT_EQ(stops.push("xa"), "x");
  EXPECT_EQ(stops.matched_text(), "");
  EXPECT_EQ(stops.push("bc"), "");
  EXPECT_EQ(stops.matched_text(), "ab");  // of those that end at the same byte the longest
}

TEST(StopMatcher, HoldsBackOnlyAPossibleBeginning) {
  StopMatcher matcher({"\n\nUser:"});
  EXPECT_EQ(matcher.push("Hello\n"), "Hello");
  EXPECT_EQ(matcher.held_bytes(), 1u);
  EXPECT_EQ(matcher.push("\nUs"), "");
  EXPECT_EQ(matcher.push("age"), "\n\nUsage");
  EXPECT_EQ(matcher.push("\n\nUser:"), "");
  EXPECT_TRUE(matcher.matched());
  EXPECT_EQ(matcher.push("more"), "");
  EXPECT_EQ(matcher.flush(), "");
}

TEST(StopMatcher, WithoutStopsLetsEverythingThrough) {
  StopMatcher matcher({});
  EXPECT_EQ(matcher.push("abc"), "abc");
  EXPECT_EQ(matcher.held_bytes(), 0u);
}

TEST(StopMatcher, AnEmptyPieceChangesNothing) {
  StopMatcher matcher({"ab"});
  EXPECT_EQ(matcher.push("a"), "");
  EXPECT_EQ(matcher.push(""), "");
  EXPECT_EQ(matcher.held_bytes(), 1u);
  EXPECT_EQ(matcher.push("b"), "");
  EXPECT_TRUE(matcher.matched());
}

}  // namespace
}  // namespace troupe::test
