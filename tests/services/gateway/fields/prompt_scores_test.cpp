#include "services/gateway/fields/prompt_scores.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

using nlohmann::json;

TEST(PromptScores, EachTokenHasItselfAndTheLikeliestOnes) {
  const gateway::AnswerFormat format(*small_byte_level().make(), {});
  const std::vector<TokenId> prompt{'a', 'b', 'c'};
  const std::vector<GeneratedToken> scores{{'a', 0.0f, {}},
                                           {'b', -0.5f, {{'x', -0.25f}, {'b', -0.5f}, {'y', -3.0f}}},
                                           {'c', -7.0f, {{'x', -0.125f}, {'z', -1.0f}, {'y', -2.0f}}}};
  const json two = json::parse(gateway::prompt_scores(prompt, scores, 2, format));
  const auto entry = [](double logprob, json rank, const char* text) {
    return json{{"logprob", logprob}, {"rank", std::move(rank)}, {"decoded_token", text}};
  };
  ASSERT_EQ(two.size(), 3u);
  EXPECT_TRUE(two[0].is_null()) << "nothing precedes it";
  EXPECT_EQ(two[1], (json{{"98", entry(-0.5, 2, "b")}, {"120", entry(-0.25, 1, "x")}}));
  EXPECT_EQ(
      two[2],
      (json{{"99", entry(-7, nullptr, "c")}, {"120", entry(-0.125, 1, "x")}, {"122", entry(-1, 2, "z")}}));
  const json none = json::parse(gateway::prompt_scores(prompt, scores, 0, format));
  EXPECT_EQ(none[1], (json{{"98", entry(-0.5, 2, "b")}}));
}

TEST(PromptScores, WhatHasNoScoreIsNull) {
  const gateway::AnswerFormat format(*small_byte_level().make(), {});
  const std::vector<TokenId> prompt{'a', 'b', 'c'};
  EXPECT_EQ(gateway::prompt_scores(prompt, {}, 1, format), "[null,null,null]");
  const std::vector<GeneratedToken> last{{'c', -1.0f, {}}};
  const json found = json::parse(gateway::prompt_scores(prompt, last, 1, format));
  EXPECT_TRUE(found[1].is_null());
  EXPECT_EQ(found[2]["99"]["logprob"], -1.0);
}

}  // namespace
}  // namespace troupe::test
