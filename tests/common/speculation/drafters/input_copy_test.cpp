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
