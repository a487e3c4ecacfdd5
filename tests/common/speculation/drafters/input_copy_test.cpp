#include <gtest/gtest.h>

#include "tests/common/speculation/drafters/text.hpp"

namespace troupe::speculation {
namespace {

const std::string kSource =
    "she go to school every day and she like it very much because friend are there too";

TEST(InputCopy, FollowsTheSourceAndTakesItUpAgainAfterAnEdit) {
  const auto drafter = make_input_copy({.vocab = 1000});
  Reader reader(*drafter, kSource);
  EXPECT_TRUE(reader.guess("she").empty()) << "stands there twice";
  EXPECT_TRUE(reader.guess("goes").empty()) << "stands nowhere";
  EXPECT_EQ(tokens_of(reader.guess("to", 8)), words("school every day and"));
  // All four were right, and the next token too: the draft doubles.
  EXPECT_EQ(tokens_of(reader.guess("school every day and she", 16)),
            words("like it very much because friend are there"));
  EXPECT_TRUE(reader.guess("likes").empty()) << "an edit";
  EXPECT_EQ(tokens_of(reader.guess("it", 16)), words("very much because friend")) << "short again";
}

TEST(InputCopy, TellsPlacesApartByUpToThreeTokens) {
  const auto drafter = make_input_copy({.vocab = 1000});
  Reader reader(*drafter, "x a b one ; y a b two ; z");
  EXPECT_TRUE(reader.guess("a").empty());
  EXPECT_TRUE(reader.guess("b").empty()) << "a b stands there twice";
  Reader third(*drafter, "x a b one ; y a b two ; z", 2);
  EXPECT_EQ(tokens_of(third.guess("y", 1)), words("a"));
}

TEST(InputCopy, NeverCopiesSeparatorsNorTheAnswer) {
  const auto separators = words("<end>");
  const auto drafter = make_input_copy({.vocab = 1000, .separators = separators});
  Reader reader(*drafter, "alpha beta gamma <end> delta");
  EXPECT_EQ(tokens_of(reader.guess("alpha", 8)), words("beta gamma"));
  Reader end(*drafter, "alpha beta gamma", 2);
  EXPECT_TRUE(end.guess("gamma", 8).empty()) << "the prompt is over";
}

TEST(InputCopy, AReferenceIsTheSourceFromTheFirstTokenOn) {
  const auto drafter = make_input_copy({.vocab = 1000});
  const std::vector<TokenId> reference = words("the cat sat on the mat and slept");
  std::vector<TokenId> text = words("write about a cat that sat");
  const auto prompt = static_cast<std::uint32_t>(text.size());
  const auto guess = [&](const std::string& answer) {
    for (const TokenId token : words(answer)) text.push_back(token);
    return drafter->propose({SequenceNumber{1}, "tenant", text, prompt, {}, reference}, {16, 16});
  };
  const DraftTree first = guess("");
  EXPECT_EQ(tokens_of(first), words("the cat sat on"));
  EXPECT_GT(first.nodes[0].confidence, 0.5f) << "a client's word counts before anything has agreed";
  EXPECT_EQ(tokens_of(guess("the cat sat on the")), words("mat and slept"));
  EXPECT_TRUE(tokens_of(guess("dog")).empty()) << "stands nowhere";
  EXPECT_EQ(tokens_of(guess("and")), words("slept")) << "and is taken up again";
  drafter->forget({1});
  EXPECT_EQ(tokens_of(guess("")), words("slept")) << "whoever sees it anew follows the same way";
}

TEST(InputCopy, AForkFollowsItsOwnWay) {
  const auto drafter = make_input_copy({.vocab = 1000});
  Reader one(*drafter, kSource, 1);
  (void)one.guess("to");
  drafter->fork({1}, {2});
  Reader two = one;
  two.sequence = {2};
  EXPECT_EQ(tokens_of(one.guess("school", 1)), words("every"));
  EXPECT_EQ(tokens_of(two.guess("friend", 1)), words("are"));
}

}  // namespace
}  // namespace troupe::speculation
