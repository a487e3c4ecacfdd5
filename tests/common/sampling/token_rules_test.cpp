#include "common/sampling/token_rules.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace troupe {
namespace {

constexpr std::uint32_t kVocab = 70;

/// What is left of a vocabulary of which everything was allowed.
std::vector<TokenId> left(const TokenRules& rules, const std::vector<TokenId>& stop_tokens,
                          const std::vector<TokenId>& answer) {
  std::vector<std::uint64_t> allowed{~std::uint64_t{0}, 0x3F};
  apply_rules(rules, stop_tokens, answer, allowed);
  std::vector<TokenId> out;
  for (std::uint32_t t = 0; t < 128; ++t)
    if ((allowed[t / 64] >> (t % 64) & 1) != 0) out.push_back(static_cast<TokenId>(t));
  return out;
}

bool has(const std::vector<TokenId>& tokens, TokenId token) {
  return std::find(tokens.begin(), tokens.end(), token) != tokens.end();
}

TEST(TokenRules, NothingIsForbiddenWithoutThem) {
  EXPECT_FALSE(TokenRules{}.any());
  EXPECT_EQ(left({}, {3}, {1, 2}).size(), kVocab);
}

TEST(TokenRules, StopTokensWaitForTheLeastLength) {
  const TokenRules rules{.min_tokens = 2, .allowed = {}, .bad_words = {}};
  EXPECT_FALSE(has(left(rules, {3, 69}, {}), 3));
  EXPECT_FALSE(has(left(rules, {3, 69}, {5}), 69));
  EXPECT_EQ(left(rules, {3, 69}, {5}).size(), kVocab - 2);
  EXPECT_EQ(left(rules, {3, 69}, {5, 5}).size(), kVocab);
  EXPECT_EQ(left(rules, {3, 1000}, {}).size(), kVocab - 1) << "a stop token outside the vocabulary is no matter";
}

TEST(TokenRules, OnlyWhatIsAllowedIsLeftAndNeverMoreThanWas) {
  const TokenRules rules{.min_tokens = 1, .allowed = {3, 64, 69, 100}, .bad_words = {}};
  EXPECT_EQ(left(rules, {64}, {1}), (std::vector<TokenId>{3, 64, 69}));
  EXPECT_EQ(left(rules, {64}, {}), (std::vector<TokenId>{3, 69}));
}

TEST(TokenRules, ABadWordIsCutOffBeforeItsLastToken) {
  const TokenRules rules{.min_tokens = 0, .allowed = {}, .bad_words = {{9}, {7, 8}, {7, 7, 6}}};
  EXPECT_EQ(left(rules, {}, {}).size(), kVocab - 1) << "of one token, always";
  EXPECT_FALSE(has(left(rules, {}, {}), 9));
  EXPECT_FALSE(has(left(rules, {}, {7}), 8));
  EXPECT_TRUE(has(left(rules, {}, {7, 1}), 8));
  EXPECT_TRUE(has(left(rules, {}, {7}), 6));
  EXPECT_FALSE(has(left(rules, {}, {7, 7}), 6));
  EXPECT_FALSE(has(left(rules, {}, {7, 7}), 8)) << "of two words at once";
}

TEST(TokenRules, TokensOutsideTheVocabularyAreRefusedByName) {
  EXPECT_TRUE(validate(TokenRules{1, {0, 69}, {{69}}}, kVocab));
  const auto allowed = validate(TokenRules{0, {70}, {}}, kVocab);
  ASSERT_FALSE(allowed);
  EXPECT_EQ(allowed.error().detail, "allowed_token_ids names token 70, the vocabulary has 70");
  EXPECT_EQ(validate(TokenRules{0, {}, {{1, -1}}}, kVocab).error().detail, "bad_words names token -1, the vocabulary has 70");
  EXPECT_FALSE(validate(TokenRules{0, {}, {{}}}, kVocab));
}

}  // namespace
}  // namespace troupe
