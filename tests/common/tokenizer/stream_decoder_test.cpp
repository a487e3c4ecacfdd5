#include <gtest/gtest.h>

#include <random>

#include "common/tokenizer/utf8.hpp"
#include "tests/common/tokenizer/files.hpp"
#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

using TokenizerPtr = std::shared_ptr<const Tokenizer>;

std::string stream_all(const TokenizerPtr& tokenizer, const std::vector<TokenId>& ids, bool show_special) {
  StreamDecoder stream(tokenizer, show_special);
  std::string text;
  for (const TokenId id : ids) {
    const std::string part = stream.push(id);
    EXPECT_EQ(utf8::first_invalid(part), std::nullopt) << "a part split a character";
    text += part;
  }
  return text + stream.flush();
}

void check_random_sequences(const TokenizerPtr& tokenizer, const std::vector<TokenId>& favourites) {
  std::mt19937 random(11);
  for (int round = 0; round < 2000; ++round) {
    std::vector<TokenId> ids(random() % 40);
    for (TokenId& id : ids)
      id = random() % 2 == 0 ? favourites[random() % favourites.size()]
                             : static_cast<TokenId>(random() % tokenizer->vocab_size());
    const bool show = round % 2 == 0;
    ASSERT_EQ(stream_all(tokenizer, ids, show), tokenizer->decode(ids, show).value());
  }
}

std::vector<TokenId> tokens_of_one_byte(const Tokenizer& tokenizer) {
  std::vector<TokenId> ids;
  for (TokenId id = 0; static_cast<std::size_t>(id) < tokenizer.vocab_size(); ++id) {
    const std::string bytes = tokenizer.token_bytes(id);
    if (bytes.size() == 1 && static_cast<unsigned char>(bytes[0]) >= 0x80) ids.push_back(id);
  }
  return ids;
}

TEST(StreamDecoder, GivesACharacterOnceItIsWhole) {
  const TokenizerPtr tokenizer = small_sentence_piece().make().value();
  const auto ids = tokenizer->encode("\xE4\xB8\x96", SpecialTokens::as_text, false).value();
  ASSERT_EQ(ids.size(), 4U);
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(ids[0]), "") << "the space prefix is not of the text";
  EXPECT_EQ(stream.push(ids[1]), "");
  EXPECT_EQ(stream.push(ids[2]), "");
  EXPECT_EQ(stream.push(ids[3]), "\xE4\xB8\x96");
  EXPECT_EQ(stream.flush(), "");
}

TEST(StreamDecoder, ReplacesWhatCannotBecomeACharacter) {
  const TokenizerPtr tokenizer = small_sentence_piece().make().value();
  StreamDecoder stream(tokenizer);
  EXPECT_EQ(stream.push(3 + 0xE4), "");
  EXPECT_EQ(stream.push(3 + 'A'),
            "\xEF\xBF\xBD"
            "A");
  EXPECT_EQ(stream.push(3 + 0xC3), "");
  EXPECT_EQ(stream.flush(), "\xEF\xBF\xBD");
  EXPECT_EQ(stream.flush(), "");
}

TEST(StreamDecoder, KeepsTheSpaceInTheMiddleOfAText) {
  const TokenizerPtr tokenizer = small_sentence_piece().make().value();
  const auto ids = tokenizer->encode("hello", SpecialTokens::as_text, false).value();
  ASSERT_EQ(ids.size(), 1U);
  EXPECT_EQ(StreamDecoder(tokenizer).push(ids[0]), "hello");
  EXPECT_EQ(StreamDecoder(tokenizer, false, false).push(ids[0]), " hello");
}

TEST(StreamDecoder, EqualsDecodeOnRandomTokensOfSmallVocabularies) {
  for (const TokenizerPtr& tokenizer :
       {small_byte_level().make().value(), small_sentence_piece().make().value()})
    check_random_sequences(tokenizer, tokens_of_one_byte(*tokenizer));
}

TEST(StreamDecoder, EqualsDecodeOnRandomTokensOfSmolLm2) {
  const auto path = models() / "SmolLM2-135M-Instruct.Q4_1.gguf";
  if (!std::filesystem::exists(path)) GTEST_SKIP() << path << " is absent (TROUPE_MODELS names its folder)";
  const auto tokenizer = load_tokenizer(path);
  ASSERT_NE(tokenizer, nullptr);
  const auto bytes = tokens_of_one_byte(*tokenizer);
  ASSERT_GT(bytes.size(), 50U);
  check_random_sequences(tokenizer, bytes);
}

}  // namespace
}  // namespace troupe::test
