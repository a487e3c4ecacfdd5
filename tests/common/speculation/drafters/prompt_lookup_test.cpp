#include <gtest/gtest.h>

#include "tests/common/speculation/drafters/text.hpp"

namespace troupe::speculation {
namespace {

TEST(PromptLookup, CopiesWhatFollowedTheSameWords) {
  const auto drafter = make_prompt_lookup({.vocab = 1000});
  Reader reader(*drafter, "the red fox jumps over the lazy dog and sleeps .");
  EXPECT_EQ(tokens_of(reader.guess("so the lazy")), words("dog and sleeps ."));
  EXPECT_TRUE(reader.guess("cat").empty()) << "never seen together";
}

TEST(PromptLookup, TakesTheOccurrenceThatAgreesFurthestBack) {
  const auto drafter = make_prompt_lookup({.vocab = 1000});
  Reader reader(*drafter, "a b c x ; q b c y ;");
  EXPECT_EQ(tokens_of(reader.guess("a b c", 1)), words("x"));
  Reader later(*drafter, "a b c x ; q b c y ;", 2);
  EXPECT_EQ(tokens_of(later.guess("z b c", 1)), words("y")) << "of equals the latest";
}

TEST(PromptLookup, ALongerAgreementIsMoreConfident) {
  const auto drafter = make_prompt_lookup({.vocab = 1000});
  Reader shorter(*drafter, "k a b c d e f g h", 1), longer(*drafter, "k a b c d e f g h", 2);
  const float two = shorter.guess("z b c").nodes[0].confidence,
              four = longer.guess("a b c d").nodes[0].confidence;
  EXPECT_LT(two, four);
}

TEST(PromptLookup, ARepetitionGoesOnRepeating) {
  const auto drafter = make_prompt_lookup({.vocab = 1000});
  Reader reader(*drafter, "start");
  EXPECT_EQ(tokens_of(reader.guess("x y x y", 5)), words("x y x y x"));
}

TEST(PromptLookup, KnowsThePairThatWasJustWrittenOnlyOnceItIsBehind) {
  const auto drafter = make_prompt_lookup({.vocab = 1000});
  Reader reader(*drafter, "one");
  EXPECT_TRUE(reader.guess("two").empty()) << "the last pair found itself";
}

}  // namespace
}  // namespace troupe::speculation
