// BERT's WordPiece on a vocabulary small enough to read; mixed_lines_test has a real one.
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

#include "common/tokenizer/tokenizer.hpp"

namespace troupe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kWords =
    "[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\nplay\n##ing\n##er\nthe\ncafe\n,\n!\n##s\n\xE4\xB8\xAD\nthecafe\n";

std::shared_ptr<const Tokenizer> tokenizer_of(std::string_view words) {
  const fs::path path = fs::temp_directory_path() / ("troupe-words-" + std::to_string(::getpid()) + ".txt");
  std::ofstream(path, std::ios::binary) << words;
  auto made = Tokenizer::from_word_list(path);
  fs::remove(path);
  EXPECT_TRUE(made.has_value()) << (made ? "" : to_string(made.error()));
  return made ? *made : nullptr;
}

Errc refusal(std::string_view words) {
  const fs::path path = fs::temp_directory_path() / ("troupe-words-" + std::to_string(::getpid()) + ".txt");
  std::ofstream(path, std::ios::binary) << words;
  const auto made = Tokenizer::from_word_list(path);
  fs::remove(path);
  return made ? Errc::internal : made.error().code;
}

using Ids = std::vector<TokenId>;

Ids encode(const Tokenizer& tokenizer, std::string_view text, bool whole = false,
           SpecialTokens special = SpecialTokens::as_text) {
  const auto ids = tokenizer.encode(text, special, whole);
  EXPECT_TRUE(ids.has_value());
  return ids ? *ids : Ids();
}

TEST(WordPiece, WordsAreCutIntoTheLongestPieces) {
  const auto tokenizer = tokenizer_of(kWords);
  EXPECT_EQ(encode(*tokenizer, "play playing players"), (Ids{5, 5, 6, 5, 7, 12}));
  EXPECT_EQ(encode(*tokenizer, "thecafe the cafe"), (Ids{14, 8, 9})) << "the longest, not the first";
  EXPECT_EQ(encode(*tokenizer, "playful"), (Ids{1})) << "what cannot be cut is one unknown word";
  EXPECT_EQ(encode(*tokenizer, "ing"), (Ids{1})) << "a piece that goes on begins no word";
  EXPECT_EQ(encode(*tokenizer, std::string(101, 's')), (Ids{1}));
  EXPECT_EQ(encode(*tokenizer, ""), Ids());
  EXPECT_EQ(encode(*tokenizer, " \t\n"), Ids());
}

TEST(WordPiece, CaseAccentsControlsAndSpaceMeanNothing) {
  const auto tokenizer = tokenizer_of(kWords);
  EXPECT_EQ(encode(*tokenizer, "The CAF\xC3\x89"), (Ids{8, 9}));
  EXPECT_EQ(encode(*tokenizer, "cafe\xCC\x81"), (Ids{9})) << "an accent of its own";
  EXPECT_EQ(encode(*tokenizer, "the\f" "cafe"), (Ids{14})) << "a form feed is a control here";
  EXPECT_EQ(encode(*tokenizer,
                   "the\xC2\xA0\xE2\x80\x83"
                   "cafe"),
            (Ids{8, 9}))
      << "spaces of Unicode";
  EXPECT_EQ(encode(*tokenizer, std::string("th\0e ca\x7F"
                                           "fe",
                                           10)),
            (Ids{8, 9}));
  EXPECT_EQ(encode(*tokenizer, "play\xE2\x80\x8Bing"), (Ids{5, 6})) << "a space without width is a format";
}

TEST(WordPiece, PunctuationAndIdeographsAreWords) {
  const auto tokenizer = tokenizer_of(kWords);
  EXPECT_EQ(encode(*tokenizer, "the,cafe!!"), (Ids{8, 10, 9, 11, 11}));
  EXPECT_EQ(encode(*tokenizer, "the\xE4\xB8\xAD\xE4\xB8\xAD"), (Ids{8, 13, 13}));
  EXPECT_EQ(encode(*tokenizer, "the$"), (Ids{8, 1}));
}

TEST(WordPiece, ATextStandsBetweenItsMarks) {
  const auto tokenizer = tokenizer_of(kWords);
  EXPECT_EQ(encode(*tokenizer, "the cafe", true), (Ids{2, 8, 9, 3}));
  EXPECT_EQ(encode(*tokenizer, "[SEP]", true), (Ids{2, 1, 1, 1, 3})) << "spelled by a stranger it is text";
  EXPECT_EQ(encode(*tokenizer, "the[SEP]cafe", false, SpecialTokens::parse), (Ids{8, 3, 9}));
  EXPECT_EQ(tokenizer->vocab_size(), 15u);
  const auto back = tokenizer->decode(Ids{2, 8, 5, 6, 3});
  ASSERT_TRUE(back.has_value());
  EXPECT_EQ(*back, "the playing");
}

TEST(WordPiece, AVocabularyWithCapitalsKeepsThem) {
  const auto tokenizer = tokenizer_of("[UNK]\n[CLS]\n[SEP]\nthe\nThe\ncaf\xC3\xA9\n");
  EXPECT_EQ(encode(*tokenizer, "The the caf\xC3\xA9 cafe"), (Ids{4, 3, 5, 0}));
}

TEST(WordPiece, BrokenListsAreRefused) {
  EXPECT_EQ(refusal(""), Errc::file_malformed);
  EXPECT_EQ(refusal("a\nb\n"), Errc::file_malformed) << "no token for what is unknown";
  EXPECT_EQ(refusal("[UNK]\n\xFF\n"), Errc::file_malformed);
  const auto missing = Tokenizer::from_word_list("/nonexistent/vocab.txt");
  ASSERT_FALSE(missing.has_value());
  EXPECT_EQ(missing.error().code, Errc::file_not_found);
  EXPECT_NE(tokenizer_of("[UNK]\r\n[CLS]\r\n[SEP]\r\na"), nullptr) << "lines of another system";
}

}  // namespace
}  // namespace troupe
