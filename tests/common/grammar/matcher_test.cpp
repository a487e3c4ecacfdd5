#include "common/grammar/matcher.hpp"

#include <nlohmann/json.hpp>

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

constexpr TokenId kOpen = 256, kColon = 257, kTrue = 267, kSpecial = -1;

TokenId byte(char c) {
  return static_cast<TokenId>(static_cast<unsigned char>(c));
}

std::vector<std::uint64_t> mask_of(Matcher& matcher) {
  const auto mask = matcher.mask();
  return {mask.begin(), mask.end()};
}

TEST(Matcher, FollowsAnAnswerToItsEnd) {
  Matcher matcher(automaton_of(
      {Kind::json_schema, R"({"type":"object","properties":{"a":{"type":"boolean"}},"required":["a"]})"}));
  EXPECT_FALSE(matcher.may_end());
  for (const TokenId token : {kOpen, byte('a'), kColon, kTrue}) ASSERT_TRUE(matcher.accept(token)) << token;
  EXPECT_FALSE(matcher.may_end());
  EXPECT_FALSE(matcher.accept(byte('1'))) << "and nothing has changed";
  EXPECT_FALSE(matcher.accept(kSpecial));
  EXPECT_FALSE(matcher.accept(static_cast<TokenId>(small_vocabulary()->vocab() - 1))) << "no text";
  EXPECT_EQ(matcher.tokens(), 4u);
  ASSERT_TRUE(matcher.accept(byte('}')));
  EXPECT_TRUE(matcher.may_end());
  EXPECT_TRUE(matcher.complete());
}

TEST(Matcher, RollbackAndForksLeaveTheOthersAlone) {
  Matcher matcher(automaton_of({Kind::json_object, ""}));
  std::vector<std::vector<std::uint64_t>> masks{mask_of(matcher)};
  for (const TokenId token : {kOpen, byte('k'), kColon, byte('['), byte('1')}) {
    ASSERT_TRUE(matcher.accept(token));
    masks.push_back(mask_of(matcher));
  }
  Matcher fork = matcher;
  fork.rollback(2);
  EXPECT_EQ(mask_of(fork), masks[3]);
  ASSERT_TRUE(fork.accept(byte('{')));
  EXPECT_EQ(mask_of(matcher), masks[5]);
  fork.rollback(100);
  EXPECT_EQ(mask_of(fork), masks[0]);
  EXPECT_EQ(fork.tokens(), 0u);
}

TEST(Matcher, TellsWhatMustFollow) {
  Matcher matcher(automaton_of({Kind::json_schema, R"({"const":{"key":[true]}})"}));
  EXPECT_EQ(matcher.forced(), R"({"key":[true]})");
  EXPECT_EQ(matcher.forced(5), R"({"key)");
  ASSERT_TRUE(matcher.accept(kOpen));
  EXPECT_EQ(matcher.forced(), R"(key":[true]})");
}

TEST(Matcher, ExpectsWhatMustFollowAndTheWhiteSpaceThatIsUsual) {
  Matcher matcher(automaton_of(
      {Kind::json_schema,
       R"({"type":"object","properties":{"a":{"const":1},"b":{"type":"boolean"}},"required":["a","b"],"additionalProperties":false})"}));
  const auto text = [&](std::size_t most) {
    std::string out;
    for (const TokenId token : matcher.expected(most)) out += small_vocabulary()->bytes(token);
    return out;
  };
  EXPECT_EQ(matcher.forced(), "{") << "white space may follow";
  EXPECT_EQ(text(100), R"({"a": 1, "b":)");
  EXPECT_EQ(matcher.expected(2).size(), 2u);
  Matcher fork = matcher;
  for (const char c : std::string("{\n  \"a\": 1")) ASSERT_TRUE(fork.accept(byte(c)));
  std::string rest;
  for (const TokenId token : fork.expected(100)) rest += small_vocabulary()->bytes(token);
  EXPECT_EQ(rest, ",\n  \"b\":") << "as before the first key";
  for (const char c : std::string(R"({ "a":1, "b")")) ASSERT_TRUE(matcher.accept(byte(c)));
  EXPECT_EQ(text(100), ":");
  for (const char c : std::string(": t")) ASSERT_TRUE(matcher.accept(byte(c)));
  EXPECT_EQ(text(100), "rue}");
  for (const char c : std::string("rue}")) ASSERT_TRUE(matcher.accept(byte(c)));
  EXPECT_TRUE(matcher.expected(100).empty());
}

/// What one automaton has forgotten is read again from the tokens.
TEST(Matcher, SurvivesAnAutomatonThatForgets) {
  AutomatonLimits tight;
  tight.states = 30;
  const auto small = automaton_of({Kind::json_object, ""}, tight),
             large = automaton_of({Kind::json_object, ""});
  Matcher a(small), b(small), reference(large);
  std::mt19937_64 random(9);
  for (int i = 0; i < 200; ++i) {
    const auto mask = mask_of(reference);
    EXPECT_EQ(mask_of(a), mask);
    std::vector<TokenId> allowed;
    for (TokenId token = 0; token < static_cast<TokenId>(small_vocabulary()->vocab()); ++token)
      if (allows(mask, token)) allowed.push_back(token);
    if (allowed.empty()) break;
    const TokenId token = allowed[random() % allowed.size()];
    ASSERT_TRUE(a.accept(token));
    ASSERT_TRUE(reference.accept(token));
    (void)b.accept(token);
  }
  EXPECT_GT(small->generation(), 0u);
}

TEST(Matcher, RandomAnswersAreJsonObjects) {
  const auto automaton = automaton_of({Kind::json_object, ""});
  std::mt19937_64 random(1);
  int whole = 0;
  for (int i = 0; i < 300; ++i) {
    const auto text = walk(automaton, random);
    if (!text) continue;
    ++whole;
    const auto value = nlohmann::json::parse(*text, nullptr, false);
    EXPECT_TRUE(value.is_object()) << *text;
  }
  EXPECT_GT(whole, 200);
}

}  // namespace
}  // namespace troupe::grammar
