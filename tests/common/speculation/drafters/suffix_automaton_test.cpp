#include "common/speculation/suffix_automaton.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tests/common/speculation/drafters/text.hpp"

namespace troupe::speculation {
namespace {

std::string numbered(const char* word, std::uint64_t number) {
  return std::string(word).append(std::to_string(number));
}

// Against the definition: the longest end of the context that is a substring of the text.
TEST(SuffixAutomaton, FindsTheLongestMatchWhileTheTextGrows) {
  std::mt19937_64 random(1);
  for (const int letters : {2, 3, 8}) {
    SuffixAutomaton automaton;
    std::vector<TokenId> text, context;
    SuffixAutomaton::Match match;
    for (int i = 0; i < 400; ++i) {
      // The context is another text; sometimes the text takes a token in between, which splits states under
      // the match.
      context.push_back(static_cast<TokenId>(random() % static_cast<std::uint64_t>(letters)));
      const std::uint32_t length_before = match.length;
      match = automaton.step(match, context.back());
      std::uint32_t longest = 0;
      for (std::uint32_t length = 1; length <= std::min<std::size_t>(context.size(), length_before + 1);
           ++length)
        if (std::search(text.begin(), text.end(), context.end() - length, context.end()) != text.end())
          longest = length;
      ASSERT_EQ(match.length, longest) << "step " << i;
      const auto begin = text.begin() + (match.length > 0 ? match.end + 1 - match.length : 0);
      ASSERT_TRUE(std::equal(context.end() - match.length, context.end(), begin));
      if (random() % 3 != 0) {
        text.push_back(static_cast<TokenId>(random() % static_cast<std::uint64_t>(letters)));
        automaton.append(text.back());
      }
    }
    EXPECT_EQ(automaton.size(), text.size());
  }
}

TEST(Suffixes, CopiesWhatFollowedTheLongestMatch) {
  const auto drafter = make_suffix_automaton({.vocab = 1000});
  Reader reader(*drafter, "a b c d e ; q c d f ;");
  EXPECT_EQ(tokens_of(reader.guess("z b c d", 2)), words("e ;"));
  EXPECT_TRUE(reader.guess("new").empty());
}

TEST(Suffixes, FindsWhatTheTenantWasAnsweredBeforeAndNobodyElse) {
  const auto drafter = make_suffix_automaton({.vocab = 1000});
  Reader first(*drafter, "question one", 1, "a");
  first.say("the answer is forty two .");
  first.finish(6);
  Reader again(*drafter, "question one", 2, "a"), stranger(*drafter, "question one", 3, "b");
  EXPECT_EQ(tokens_of(again.guess("the answer", 8)), words("is forty two ."))
      << "and not beyond the end of that answer";
  EXPECT_TRUE(stranger.guess("the answer", 8).empty());
}

TEST(Suffixes, TheStoreForgetsTheOldestHalf) {
  const auto drafter = make_suffix_automaton({.vocab = 100000, .store_tokens = 40});
  const auto answer = [&](std::uint64_t number, const std::string& text) {
    Reader reader(*drafter, "p", number);
    reader.say(text);
    reader.finish(1);
    drafter->forget({number});
  };
  answer(1, "first one two three");
  for (std::uint64_t i = 0; i < 20; ++i)
    answer(10 + i, numbered("w", i) + numbered(" v", i) + " u t s");
  Reader reader(*drafter, "p", 99);
  EXPECT_TRUE(reader.guess("first one").empty());
  Reader recent(*drafter, "p", 100);
  EXPECT_FALSE(recent.guess("w19 v19").empty());
}

}  // namespace
}  // namespace troupe::speculation
