#include <gtest/gtest.h>

#include "tests/common/speculation/drafters/text.hpp"

namespace troupe::speculation {
namespace {

TEST(JumpForward, GuessesWhatTheFormLeadsTo) {
  const auto drafter = make_jump_forward({});
  Reader reader(*drafter, "an object please");
  const std::vector<TokenId> expected = words("{ name :");
  DraftContext context = reader.context();
  context.expected = expected;
  const DraftTree whole = drafter->propose(context, {8, 8});
  EXPECT_EQ(tokens_of(whole), expected);
  EXPECT_GT(whole.nodes[1].confidence, whole.nodes[2].confidence)
      << "the last one may be part of a longer token";
  EXPECT_EQ(tokens_of(drafter->propose(context, {2, 8})), words("{ name"));
  EXPECT_EQ(tokens_of(drafter->propose(context, {8, 1})), words("{"));
}

TEST(JumpForward, HasNothingToSayWithoutAForm) {
  const auto drafter = make_jump_forward({});
  Reader reader(*drafter, "an object please");
  EXPECT_TRUE(reader.guess("{ name").empty());
}

}  // namespace
}  // namespace troupe::speculation
