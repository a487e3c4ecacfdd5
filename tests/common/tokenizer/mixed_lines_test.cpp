// 10,000 lines of mixed scripts, emoji, digits, space, code and controls against the ids of Hugging Face's
// `tokenizers` (tests/golden/make_tokenizer_lines.py made lines and digests).
#include <gtest/gtest.h>

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <span>
#include <sstream>
#include <vector>

#include "tests/common/tokenizer/files.hpp"

namespace troupe::test {
namespace {

constexpr std::size_t kLines = 10'000;

/// FNV-1a, 64 bit, over the ids as 4 little-endian bytes each, as 16 hex digits.
std::string digest(std::span<const TokenId> ids) {
  std::uint64_t value = 0xCBF29CE484222325ULL;
  for (const TokenId id : ids) {
    for (unsigned shift = 0; shift < 32; shift += 8)
      value = (value ^ (static_cast<std::uint32_t>(id) >> shift & 0xFFU)) * 0x100000001B3ULL;
  }
  return fmt::format("{:016x}", value);
}

std::vector<std::string> read_rows(const std::string& path) {
  std::istringstream in(read_whole(path));
  std::vector<std::string> rows;
  for (std::string row; std::getline(in, row);) rows.push_back(row);
  return rows;
}

void check_lines(const Tokenizer& tokenizer, const std::string& vocabulary, SpecialTokens special) {
  const auto lines = read_rows("tests/golden/tokenizer_lines.txt");
  const auto digests = read_rows("tests/golden/tokenizer_lines." + vocabulary + ".digests");
  ASSERT_EQ(lines.size(), kLines);
  ASSERT_EQ(digests.size(), kLines);
  std::size_t wrong = 0;
  for (std::size_t i = 0; i < kLines; ++i) {
    const std::string text = nlohmann::json::parse(lines[i]).get<std::string>();
    const auto ids = tokenizer.encode(text, special, false);
    ASSERT_TRUE(ids.has_value()) << to_string(ids.error());
    if (digest(*ids) == digests[i]) continue;
    if (++wrong <= 5)
      ADD_FAILURE() << "line " << i + 1 << ": " << lines[i] << " gave " << testing::PrintToString(*ids);
  }
  EXPECT_EQ(wrong, 0U);
}

void check_lines(const std::filesystem::path& model, const std::string& vocabulary,
                 SpecialTokens special = SpecialTokens::parse) {
  if (!std::filesystem::exists(model))
    GTEST_SKIP() << model << " is absent (TROUPE_MODELS and TROUPE_PEER_SOURCE name its folder)";
  const auto tokenizer = load_tokenizer(model);
  ASSERT_NE(tokenizer, nullptr);
  check_lines(*tokenizer, vocabulary, special);
}

TEST(MixedLines, EqualHuggingFaceOnSmolLm2) {
  check_lines(models() / "SmolLM2-135M-Instruct.Q4_1.gguf", "smollm2");
}

TEST(MixedLines, EqualHuggingFaceOnGemma3) {
  check_lines(models() / "gemma-3-270m.Q4_K_M.gguf", "gemma3");
}

TEST(MixedLines, EqualSentencePieceOnAUnigramVocabulary) {
  check_lines(peer_vocabularies() / "ggml-vocab-nomic-bert-moe.gguf", "nomic-bert-moe", SpecialTokens::as_text);
}

TEST(MixedLines, EqualHuggingFaceOnTheWordPiecesOfMiniLm) {
  const auto words = models() / "all-MiniLM-L6-v2/vocab.txt";
  if (!std::filesystem::exists(words)) GTEST_SKIP() << words << " is absent (TROUPE_MODELS names its folder)";
  const auto tokenizer = Tokenizer::from_word_list(words);
  ASSERT_TRUE(tokenizer.has_value()) << to_string(tokenizer.error());
  check_lines(**tokenizer, "minilm", SpecialTokens::parse);
}

}  // namespace
}  // namespace troupe::test
