#include "common/tokenizer/pre_tokenizer.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace troupe {
namespace {

using Words = std::vector<std::string>;

Words words(std::string_view rule, const std::string& text) {
  const PreTokenizerRule* found = find_pre_tokenizer(rule);
  EXPECT_NE(found, nullptr) << rule;
  Words out;
  if (found == nullptr) return out;
  auto sink = [&](std::size_t begin, std::size_t end) { out.push_back(text.substr(begin, end - begin)); };
  for_each_word(found->stages, text.data(), 0, text.size(), sink);
  return out;
}

TEST(PreTokenizer, Gpt2LeavesTheLastSpaceToTheNextWord) {
  EXPECT_EQ(words("gpt-2", "I'm  here, 12x"), (Words{"I", "'m", " ", " here", ",", " 12", "x"}));
  EXPECT_EQ(words("gpt-2", "I'M"), (Words{"I", "'", "M"})) << "its contractions are lower case";
  EXPECT_EQ(words("gpt-2", "a \n\n b  "), (Words{"a", " \n\n", " b", "  "}));
}

TEST(PreTokenizer, SmolLmSplitsEveryDigit) {
  EXPECT_EQ(words("smollm", "in 1997!"), (Words{"in", " ", "1", "9", "9", "7", "!"}));
  EXPECT_EQ(words("smollm", "x²"), (Words{"x", "²"}));
}

TEST(PreTokenizer, Llama3TakesThreeDigitsAndContractionsOfAnyCase) {
  EXPECT_EQ(words("llama-bpe", "WE'LL pay 12345\n\n ok"),
            (Words{"WE", "'LL", " pay", " ", "123", "45", "\n\n", " ok"}));
  EXPECT_EQ(words("llama-bpe", "(x) ...\n"), (Words{"(x", ")", " ...\n"}));
}

TEST(PreTokenizer, Qwen2TakesOneDigitAndQwen35MarksWithLetters) {
  EXPECT_EQ(words("qwen2", "a 12"), (Words{"a", " ", "1", "2"}));
  EXPECT_EQ(words("qwen2", "e\u0301a"), (Words{"e", "\u0301a"}));
  EXPECT_EQ(words("qwen35", "e\u0301a"), (Words{"e\u0301a"}));
}

TEST(PreTokenizer, Gpt4oSplitsWhereCaseRises) {
  EXPECT_EQ(words("gpt-4o", "camelCase HTTPServer's"), (Words{"camel", "Case", " HTTPServer's"}));
  EXPECT_EQ(words("tekken", "ABc's"), (Words{"ABc", "'s"}));
}

TEST(PreTokenizer, DeepseekCutsTrailingSpaceAndAsianRuns) {
  EXPECT_EQ(words("deepseek-llm", "hi, 世界x  \n"), (Words{"hi", ",", " ", "世界", "x", "  ", "\n"}));
  EXPECT_EQ(words("deepseek-v3", "a1234 世界_x"), (Words{"a", "123", "4", " ", "世界", "_x"}));
}

TEST(PreTokenizer, FalconCutsDigitsByThreesAndPunctuationApart) {
  EXPECT_EQ(words("falcon", "12345 a<=b"), (Words{"123", "45", " a", "<=", "b"}));
}

TEST(PreTokenizer, EveryRuleCoversTheTextInOrder) {
  const std::string text =
      "It's 12 o'clock\u3000\t 世界 e\u0301 \x01\x7F HTTPServer /* x */\r\n\n  👍🏽 ﬁ ٣٤ǅ  ";
  for (const PreTokenizerRule& rule : pre_tokenizers()) {
    std::string joined;
    for (const std::string& word : words(rule.name, text)) {
      EXPECT_FALSE(word.empty()) << rule.name;
      joined += word;
    }
    EXPECT_EQ(joined, text) << rule.name;
  }
}

TEST(PreTokenizer, NamesAreUniqueAndListed) {
  for (const PreTokenizerRule& rule : pre_tokenizers()) {
    EXPECT_EQ(find_pre_tokenizer(rule.name), &rule) << rule.name << " stands twice in the table";
    EXPECT_THAT(known_pre_tokenizers(), testing::HasSubstr(std::string(rule.name)));
  }
  EXPECT_EQ(find_pre_tokenizer("no-such-rule"), nullptr);
}

}  // namespace
}  // namespace troupe
