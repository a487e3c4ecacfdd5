#include "services/gateway/fields/fill_in.hpp"

#include <gtest/gtest.h>

#include <tuple>

#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

TEST(FillIn, MarksAreFoundByTheirSpellings) {
  EXPECT_FALSE(gateway::fill_in_tokens(**small_byte_level().make()));
  for (const auto& [prefix, suffix, middle] :
       {std::tuple("<fim_prefix>", "<fim_suffix>", "<fim_middle>"),
        std::tuple("<|fim_prefix|>", "<|fim_suffix|>", "<|fim_middle|>"),
        std::tuple("<\xEF\xBD\x9C"
                   "fim\xE2\x96\x81"
                   "begin\xEF\xBD\x9C>",
                   "<\xEF\xBD\x9C"
                   "fim\xE2\x96\x81"
                   "hole\xEF\xBD\x9C>",
                   "<\xEF\xBD\x9C"
                   "fim\xE2\x96\x81"
                   "end\xEF\xBD\x9C>")}) {
    SmallVocabulary vocabulary = small_byte_level();
    const TokenId first = vocabulary.add(prefix, TokenKind::control);
    vocabulary.add(suffix, TokenKind::control);
    EXPECT_FALSE(gateway::fill_in_tokens(**vocabulary.make())) << "two of three are none";
    vocabulary.add(middle, TokenKind::user_defined);
    const auto found = gateway::fill_in_tokens(**vocabulary.make());
    ASSERT_TRUE(found) << prefix;
    EXPECT_EQ(found->prefix, first);
    EXPECT_EQ(found->suffix, first + 1);
    EXPECT_EQ(found->middle, first + 2);
  }
}

TEST(FillIn, ThePromptAsksForTheMiddleBehindBothTexts) {
  const gateway::FillInTokens marks{100, 101, 102};
  const std::vector<TokenId> before{1, 5, 6}, after{7, 8};
  EXPECT_EQ(gateway::fill_in_prompt(marks, before, after, -1),
            (std::vector<TokenId>{100, 1, 5, 6, 101, 7, 8, 102}));
  EXPECT_EQ(gateway::fill_in_prompt(marks, before, after, 1),
            (std::vector<TokenId>{1, 100, 5, 6, 101, 7, 8, 102}));
}

}  // namespace
}  // namespace troupe::test
