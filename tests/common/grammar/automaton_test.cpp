#include "common/grammar/automaton.hpp"

#include "tests/common/grammar/rig.hpp"

namespace troupe::grammar {
namespace {

const Source kSources[] = {
    {Kind::json_object, ""},
    {Kind::json_schema,
     R"({"type":"object","properties":{"name":{"type":"string"},"n":{"type":"integer","minimum":5,"maximum":123}},"required":["name"]})"},
    {Kind::json_schema,
     R"({"type":"array","items":{"type":"string","minLength":2,"maxLength":40},"minItems":1})"},
    {Kind::json_schema,
     R"({"$defs":{"t":{"anyOf":[{"type":"null"},{"type":"array","items":{"$ref":"#/$defs/t"}}]}},"$ref":"#/$defs/t"})"},
    {Kind::regex, "(ab|aab)*[0-9]{2,7}\\s?(yes|no)"},
    {Kind::choice, R"(["yes","no","yes and no","日本"])"},
    {Kind::gbnf, "root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"-\"\n"},
    {Kind::gbnf, "root ::= text \"\\\"\" text\ntext ::= [a-z\\\" ]*\n"},
};

/// Reads token by token what the mask says and what it does not.
TEST(Automaton, AMaskIsExactlyTheTokensThatCanBeRead) {
  std::mt19937_64 random(5);
  for (const Source& source : kSources) {
    const auto automaton = automaton_of(source);
    const TokenTrie& vocabulary = automaton->vocabulary();
    for (int round = 0; round < 12; ++round) {
      Automaton::State state = automaton->start();
      std::string text;
      for (int length = 0; length < 60; ++length) {
        std::vector<TokenId> readable;
        const auto mask = automaton->mask(state);
        const std::vector<std::uint64_t> kept(mask.begin(), mask.end());
        for (TokenId token = 0; token < static_cast<TokenId>(vocabulary.vocab()); ++token) {
          Automaton::State to = vocabulary.bytes(token).empty() ? Automaton::kDead : state;
          for (const char c : vocabulary.bytes(token)) to = automaton->step(to, static_cast<std::uint8_t>(c));
          ASSERT_EQ(allows(kept, token), to != Automaton::kDead)
              << source.text << " behind " << text << ": " << vocabulary.bytes(token);
          if (to != Automaton::kDead) readable.push_back(token);
        }
        if (readable.empty()) break;
        const auto taken = vocabulary.bytes(readable[random() % readable.size()]);
        text += taken;
        for (const char c : taken) state = automaton->step(state, static_cast<std::uint8_t>(c));
      }
    }
  }
}

TEST(Automaton, StatesRecurHoweverLongTheTextGetsAndHoweverDeep) {
  const auto automaton = automaton_of({Kind::json_object, ""});
  (void)read(*automaton, R"({"key": "some text)");
  const std::size_t before = automaton->states();
  (void)read(*automaton, R"({"key": "some text some text some text", "another key": "some)");
  EXPECT_LE(automaton->states(), before + 16);
}

TEST(Automaton, DepthIsBoundedAndEndsInAWholeText) {
  AutomatonLimits limits;
  limits.frames = 40;
  const auto automaton = automaton_of({Kind::json_object, ""}, limits);
  std::string text = "{\"a\":";
  int depth = 0;
  while (automaton->step(read(*automaton, text), '[') != Automaton::kDead) {
    text += '[';
    ASSERT_LT(++depth, 41);
  }
  EXPECT_GT(depth, 4);
  text.append(static_cast<std::size_t>(depth), ']');
  text += '}';
  EXPECT_TRUE(matches(*automaton, text)) << text;
}

TEST(Automaton, AmbiguityCostsABoundedNumberOfPlaces) {
  const auto automaton = automaton_of(kSources[6]);
  std::string text(60, 'a');
  EXPECT_NE(read(*automaton, text + "-"), Automaton::kDead);
  EXPECT_LT(automaton->states(), 500u);
}

TEST(Automaton, SaysWhichByteMustFollow) {
  const auto automaton = automaton_of({Kind::choice, R"(["blue","black","日本"])"});
  EXPECT_EQ(automaton->only_byte(automaton->start()), -1);
  EXPECT_EQ(automaton->only_byte(read(*automaton, "b")), 'l');
  EXPECT_EQ(automaton->only_byte(read(*automaton, "bl")), -1);
  EXPECT_EQ(automaton->only_byte(read(*automaton, "blue")), -1) << "it is whole";
  EXPECT_EQ(automaton->only_byte(read(*automaton, "\xE6")), 0x97);
  EXPECT_TRUE(automaton->closed(read(*automaton, "blue")));
}

TEST(Automaton, ALongCountAllowsTheSameWhateverItHasReachedInTheMiddle) {
  const auto automaton =
      automaton_of({Kind::json_schema, R"({"type":"string","minLength":30,"maxLength":400})"});
  const auto mask_behind = [&](std::size_t characters) {
    std::string text = between('"', characters, 'x', '"');
    text.pop_back();
    const auto mask = automaton->mask(read(*automaton, text));
    return std::vector<std::uint64_t>(mask.begin(), mask.end());
  };
  EXPECT_EQ(mask_behind(40), mask_behind(300));
  EXPECT_EQ(mask_behind(3), mask_behind(9));
  EXPECT_NE(mask_behind(20), mask_behind(40)) << "a quote";
  EXPECT_NE(mask_behind(399), mask_behind(300)) << "only one more";
  EXPECT_FALSE(matches(*automaton, between('"', 29, 'x', '"')));
  EXPECT_TRUE(matches(*automaton, between('"', 400, 'x', '"')));
  EXPECT_FALSE(matches(*automaton, between('"', 401, 'x', '"')));
}

}  // namespace
}  // namespace troupe::grammar
