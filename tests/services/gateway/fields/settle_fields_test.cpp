#include "services/gateway/fields/settle_fields.hpp"

#include <gtest/gtest.h>

#include <algorithm>

#include "common/sampling/sampler.hpp"
#include "tests/services/gateway/edge_fixture.hpp"

namespace troupe::test {
namespace {

using gateway::bad_word_tokens;

TEST(BadWords, AreThoseTokensAndThoseBehindASpace) {
  const auto tokenizer = small_tokenizer();  // has "he", "hello", " w" and " wo"
  const auto tokens_of = [&](const std::string& text) {
    return *tokenizer->encode(text, SpecialTokens::as_text, false);
  };
  const auto found = bad_word_tokens({"w", "hello", "  xy"}, *tokenizer);
  ASSERT_TRUE(found);
  ASSERT_EQ(tokens_of(" w").size(), 1u);
  EXPECT_EQ(*found, (std::vector<std::vector<TokenId>>{
                        tokens_of("w"), tokens_of(" w"),        // as many tokens, another first one
                        tokens_of("hello"), tokens_of("xy")}))  // " hello" is one token more
      << "the rest of a longer spelling is caught by the word itself";
  EXPECT_FALSE(bad_word_tokens({"a", " "}, *tokenizer));
}

TEST(Breakers, AreTokensThatHoldThemAndRunsThatCompleteThem) {
  const auto tokenizer = small_tokenizer();
  DryParams dry;
  gateway::find_breakers({"\n"}, *tokenizer, dry);
  const auto newline = static_cast<TokenId>('\n');
  EXPECT_EQ(dry.breakers.front(), newline);
  EXPECT_EQ(dry.breakers.size(), 2u) << "and two of them as one token";
  EXPECT_TRUE(dry.breaker_runs.empty());

  gateway::find_breakers({"ello"}, *tokenizer, dry);
  const auto holds = [&](TokenId token) {
    return tokenizer->token_bytes(token).find("ello") != std::string::npos;
  };
  EXPECT_EQ(dry.breakers.size(), 1u) << "hello";
  EXPECT_TRUE(std::ranges::all_of(dry.breakers, holds));
  for (const auto& run : dry.breaker_runs) {
    std::string text;
    for (const TokenId token : run) text += tokenizer->token_bytes(token);
    EXPECT_NE(text.find("ello"), std::string::npos) << text;
    EXPECT_GE(run.size(), 2u);
  }
  EXPECT_GE(dry.breaker_runs.size(), 3u) << "behind e, he and hell";
  SamplingParams params;
  params.dry = dry;
  EXPECT_TRUE(validate(params, static_cast<std::uint32_t>(tokenizer->vocab_size()))) << "they come in order";
}

TEST(SettleFields, APredictionBecomesTokensAndIsCutWhereItIsLong) {
  const auto tokenizer = small_tokenizer();
  gateway::GenerateRequest request;
  request.prediction = "hello<|im_end|>";
  ASSERT_TRUE(gateway::settle_fields(request, *tokenizer));
  EXPECT_EQ(*tokenizer->decode(request.reference), "hello<|im_end|>")
      << "what looks like a control token is text";
  request.prediction.assign(20000, 'x');
  ASSERT_TRUE(gateway::settle_fields(request, *tokenizer));
  EXPECT_EQ(request.reference.size(), 4096u);
}

TEST(SettleFields, BreakersAreLookedForOnlyWhereTheyMatter) {
  const auto tokenizer = small_tokenizer();
  gateway::GenerateRequest request;
  request.dry_breakers = {"\n"};
  ASSERT_TRUE(gateway::settle_fields(request, *tokenizer));
  EXPECT_TRUE(request.sampling.dry.breakers.empty());
  request.sampling.dry.multiplier = 0.8f;
  ASSERT_TRUE(gateway::settle_fields(request, *tokenizer));
  EXPECT_EQ(request.sampling.dry.breakers.size(), 2u);
}

}  // namespace
}  // namespace troupe::test
