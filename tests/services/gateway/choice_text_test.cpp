#include "services/gateway/choice_text.hpp"

#include <gtest/gtest.h>

#include <random>

#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

using gateway::ChoiceText;
using gateway::TextDelta;

std::vector<GeneratedToken> tokens_of(const std::string& text) {
  std::vector<GeneratedToken> out;
  for (const char c : text) out.push_back({static_cast<TokenId>(static_cast<unsigned char>(c)), 0.0f, {}});
  return out;
}

struct Outcome {
  std::string text;
  std::vector<std::pair<TokenId, std::size_t>> tokens;
  std::uint64_t counted = 0;
  FinishReason reason = FinishReason::none;
  bool operator==(const Outcome&) const = default;
};

/// Feeds the tokens in pieces of at most `longest`.
Outcome run(const std::shared_ptr<const Tokenizer>& tokenizer, const ChoiceText::Options& options,
            const std::vector<GeneratedToken>& tokens, std::size_t longest, std::mt19937& random) {
  ChoiceText choice(tokenizer, options);
  Outcome out;
  for (std::size_t at = 0; at < tokens.size();) {
    const std::size_t size = std::min<std::size_t>(1 + random() % longest, tokens.size() - at);
    const bool last = at + size == tokens.size();
    const TextDelta delta =
        choice.push(std::span(tokens).subspan(at, size), last ? FinishReason::length : FinishReason::none);
    out.text += delta.text;
    for (const auto& placed : delta.tokens)
      out.tokens.emplace_back(placed.token.token, placed.characters_before);
    at += size;
  }
  out.counted = choice.completion_tokens();
  out.reason = choice.reason();
  return out;
}

TEST(ChoiceText, IsTheSameHoweverTokensArrive) {
  const auto tokenizer = *small_byte_level().make();
  const std::vector<std::string> words{"a", "b", "ab", "é", "😀", " ", "\xFF", "\xE2\x82"};
  std::mt19937 random(2);
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (std::size_t i = 0, n = 1 + random() % 12; i < n; ++i) text += words[random() % words.size()];
    ChoiceText::Options options;
    options.keep_tokens = true;
    if (random() % 2 == 0)
      options.stop = {words[random() % 6] + words[random() % 6], words[random() % 6] + "b"};
    const auto tokens = tokens_of(text);
    const Outcome whole = run(tokenizer, options, tokens, 1000, random);
    ASSERT_EQ(run(tokenizer, options, tokens, 1, random), whole) << text;
    ASSERT_EQ(run(tokenizer, options, tokens, 4, random), whole) << text;
    // Against the plain definition: decode everything, cut, count what was needed to complete the stop
    // string.
    std::vector<TokenId> ids;
    for (const auto& token : tokens) ids.push_back(token.token);
    StreamDecoder decoder(tokenizer);
    gateway::StopMatcher matcher(options.stop);
    std::string decoded;
    for (const TokenId id : ids) decoded += decoder.push(id);
    decoded += decoder.flush();
    std::string expected = matcher.push(decoded);
    expected += matcher.flush();
    ASSERT_EQ(whole.text, expected) << text;
    ASSERT_EQ(whole.reason, matcher.matched() ? FinishReason::stop : FinishReason::length);
    if (!matcher.matched()) {
      ASSERT_EQ(whole.tokens.size(), tokens.size());
    }
    ASSERT_LE(whole.tokens.size(), whole.counted);
  }
}

TEST(ChoiceText, TheEndTokenCountsButShowsNothing) {
  const auto tokenizer = *small_byte_level().make();
  ChoiceText::Options options;
  options.keep_tokens = true;
  options.end_tokens = {'.'};
  ChoiceText choice(tokenizer, options);
  const auto tokens = tokens_of("a.b.");
  const TextDelta delta = choice.push(tokens, FinishReason::stop);
  EXPECT_EQ(delta.text, "a.b");  // only the last one ended it
  EXPECT_EQ(delta.tokens.size(), 3u);
  EXPECT_EQ(choice.completion_tokens(), 4u);
  EXPECT_EQ(choice.reason(), FinishReason::stop);
}

TEST(ChoiceText, NothingFollowsTheEnd) {
  const auto tokenizer = *small_byte_level().make();
  ChoiceText::Options options;
  options.stop = {"b"};
  ChoiceText choice(tokenizer, options);
  EXPECT_EQ(choice.push(tokens_of("abc"), FinishReason::none).text, "a");
  EXPECT_EQ(choice.completion_tokens(), 2u);
  EXPECT_EQ(choice.push(tokens_of("def"), FinishReason::length).text, "");
  EXPECT_EQ(choice.completion_tokens(), 2u);
  EXPECT_EQ(choice.reason(), FinishReason::stop);
}

TEST(ChoiceText, AHalfCharacterAtTheEndIsReplacedOnce) {
  const auto tokenizer = *small_byte_level().make();
  ChoiceText choice(tokenizer, {});
  EXPECT_EQ(choice.push(tokens_of("a\xF0\x9F"), FinishReason::length).text, "a\xEF\xBF\xBD");
}

// The mark of a call may be a control token, which is no text otherwise.
TEST(ChoiceText, ControlTokensAmongTheMarksAreText) {
  const auto tokenizer = *small_byte_level().make();
  std::vector<GeneratedToken> tokens = tokens_of("a");
  tokens.push_back({tokenizer->bos(), -1.0f, {}});
  tokens.push_back(tokens.front());
  ChoiceText hidden(tokenizer, {});
  EXPECT_EQ(hidden.push(tokens, FinishReason::length).text, "aa");
  ChoiceText::Options options;
  options.shown = {tokenizer->bos()};
  ChoiceText shown(tokenizer, options);
  EXPECT_EQ(shown.push(tokens, FinishReason::length).text,
            "a" + std::string(tokenizer->token_text(tokenizer->bos())) + "a");
}

}  // namespace
}  // namespace troupe::test
