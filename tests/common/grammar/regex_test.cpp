#include "common/grammar/regex.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

bool full(const std::string& pattern, std::string_view text) {
  return matches({Kind::regex, pattern}, text);
}

TEST(Regex, MatchesTheWholeText) {
  EXPECT_TRUE(full("ab+c?", "abb"));
  EXPECT_FALSE(full("ab+c?", "ac"));
  EXPECT_FALSE(full("ab+c?", "xabb"));
  EXPECT_TRUE(full("^(yes|no)$", "yes"));
  EXPECT_FALSE(full("yes|no", "yesno"));
  EXPECT_TRUE(full("", ""));
}

TEST(Regex, ClassesAndEscapes) {
  EXPECT_TRUE(full("[a-c\\d_-]+", "a3_-b"));
  EXPECT_FALSE(full("[a-c]", "d"));
  EXPECT_TRUE(full("[^a-c]", "日"));
  EXPECT_FALSE(full("[^a-c]", "b"));
  EXPECT_TRUE(full("\\w+\\s\\W", "ab_9 !"));
  EXPECT_TRUE(full("\\u65e5\\x41\\u{1F389}", "日A🎉"));
  EXPECT_TRUE(full("\\.\\[\\]\\/\\$", ".[]/$"));
  EXPECT_FALSE(full(".", "\n"));
  EXPECT_TRUE(full(".", "é"));
}

TEST(Regex, Counts) {
  for (int n = 0; n < 8; ++n) {
    const std::string text(static_cast<std::size_t>(n), 'a');
    EXPECT_EQ(full("a{3}", text), n == 3);
    EXPECT_EQ(full("a{2,}", text), n >= 2);
    EXPECT_EQ(full("a{2,5}", text), n >= 2 && n <= 5);
    EXPECT_EQ(full("(?:aa){1,2}?", text), n == 2 || n == 4);
  }
}

TEST(Regex, ReportsTheLengthsOfItsTexts) {
  const auto lengths = [](const char* pattern) {
    Builder builder;
    const auto regex = *parse_regex(builder, pattern, {});
    return std::pair(regex.shortest, regex.longest);
  };
  EXPECT_EQ(lengths("^a{2,3}(bc|d)?$"), std::pair(2u, 5u));
  EXPECT_EQ(lengths("é+"), std::pair(1u, kNoLimit));
}

TEST(Regex, RefusesWhatItDoesNotDoAndSaysWhere) {
  const std::pair<const char*, const char*> cases[] = {{"(?=a)", "look-around"}, {"(?<!a)b", "look-around"},
                                                       {"(a)\\1", "'\\1'"},      {"a\\b", "'\\b'"},
                                                       {"a^b", "anchor"},        {"(^a)", "anchor"},
                                                       {"a**", "quantifier"},    {"*a", "quantifier"},
                                                       {"(a", "group"},          {"a)", "')'"},
                                                       {"[a", "class"},          {"a{3,1}", "count"},
                                                       {"\\p{L}", "'\\p'"},      {"[z-a]", "range"},
                                                       {"a\\", "backslash"},     {"(?i)a", "'(?'"}};
  for (const auto& [pattern, what] : cases) {
    const std::string error = error_of({Kind::regex, pattern});
    EXPECT_NE(error.find(what), std::string::npos) << pattern << ": " << error;
    EXPECT_NE(error.find("offset"), std::string::npos) << pattern;
  }
}

TEST(Regex, WhatBacktracksElsewhereIsReadInOnePass) {
  const auto automaton = automaton_of({Kind::regex, "(a+)+b|(a|a)*c"});
  const std::string many(5000, 'a');
  EXPECT_TRUE(matches(*automaton, many + "b"));
  EXPECT_TRUE(matches(*automaton, many + "c"));
  EXPECT_FALSE(matches(*automaton, many + "d"));
  EXPECT_LT(automaton->states(), 50u);
}

TEST(Regex, CountsOfCountsAreBounded) {
  EXPECT_NE(error_of({Kind::regex, "((((a{999}){999}){999}){999}){999}"}).find("states"), std::string::npos);
  EXPECT_NE(error_of({Kind::regex, "(((((){999999999}){999999999}){999999999})*)*a{999999999}"}), "");
  EXPECT_NE(error_of({Kind::regex, std::string(5000, '(') + "a" + std::string(5000, ')')}).find("nesting"),
            std::string::npos);
}

}  // namespace
}  // namespace troupe::grammar
