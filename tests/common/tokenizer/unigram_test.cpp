#include <gtest/gtest.h>

#include <cstring>

#include "common/tokenizer/charsmap.hpp"
#include "tests/common/tokenizer/small_vocabularies.hpp"

namespace troupe::test {
namespace {

using Ids = std::vector<TokenId>;

const std::string kMark = "\xE2\x96\x81";

/// 0 <unk>, 1 <s>, 2 </s>, then pieces with scores.
SmallVocabulary small_unigram() {
  SmallVocabulary v;
  v.spec.model = "t5";
  v.spec.unknown = v.add("<unk>", TokenKind::unknown);
  v.spec.bos = v.add("<s>", TokenKind::control);
  v.spec.eos = v.add("</s>", TokenKind::control);
  return v;
}

TEST(Unigram, TakesTheCutWithTheGreatestSumNotTheLongestFirst) {
  auto v = small_unigram();
  const TokenId ab = v.add("ab", TokenKind::normal, -5),
                a = v.add(std::string(kMark).append("a"), TokenKind::normal, -1),
                bc = v.add("bc", TokenKind::normal, -1),
                aab = v.add(std::string(kMark).append("ab"), TokenKind::normal, -2),
                c = v.add("c", TokenKind::normal, -3);
  const auto tokenizer = v.make().value();
  EXPECT_EQ(tokenizer->encode("abc", SpecialTokens::as_text, false).value(), (Ids{a, bc}));
  EXPECT_EQ(tokenizer->encode("ab", SpecialTokens::as_text, false).value(), Ids{aab});
  EXPECT_EQ(tokenizer->encode("abab", SpecialTokens::as_text, false).value(), (Ids{aab, ab}));
  EXPECT_EQ(tokenizer->encode("  ab   c ", SpecialTokens::as_text, false).value().front(), aab)
      << "spaces at the ends go";
  EXPECT_EQ(tokenizer->decode(Ids{aab, c}).value(), "abc");
}

TEST(Unigram, WhatNoTokenCoversIsOneUnknownOrItsBytes) {
  auto v = small_unigram();
  const TokenId mark = v.add(kMark, TokenKind::normal, -2), x = v.add("x", TokenKind::normal, -1);
  EXPECT_EQ(v.make().value()->encode("\xC3\xA9\xC3\xA8x", SpecialTokens::as_text, false).value(),
            (Ids{mark, v.spec.unknown, x}));
  TokenId first_byte = 0;
  for (unsigned byte = 0; byte < 256; ++byte) {
    char text[8];
    std::snprintf(text, sizeof text, "<0x%02X>", byte);
    const TokenId id = v.add(text, TokenKind::byte);
    if (byte == 0) first_byte = id;
  }
  EXPECT_EQ(v.make().value()->encode("\xC3\xA9x", SpecialTokens::as_text, false).value(),
            (Ids{mark, first_byte + 0xC3, first_byte + 0xA9, x}));
}

TEST(Unigram, RefusesScoresAndTablesThatCannotBe) {
  auto v = small_unigram();
  v.add("a", TokenKind::normal, -1);
  v.spec.charsmap.assign(1, '\x01');
  EXPECT_EQ(v.make().error().code, Errc::file_malformed);
  v.spec.charsmap = std::string("\x10\0\0\0abcd", 8);
  EXPECT_EQ(v.make().error().code, Errc::file_malformed);
  v.spec.charsmap.clear();
  v.spec.scores.pop_back();
  EXPECT_EQ(v.make().error().code, Errc::file_malformed);
}

TEST(CharsMap, AnyTableIsWalkedWithinItsBounds) {
  std::uint64_t state = 7;
  const auto next = [&state] { return state = state * 6364136223846793005ULL + 1442695040888963407ULL; };
  for (int round = 0; round < 2000; ++round) {
    std::string blob(4, '\0');
    const std::uint32_t units = 1 + static_cast<std::uint32_t>(next() >> 33) % 600;
    const std::uint32_t bytes = units * 4;
    std::memcpy(blob.data(), &bytes, 4);
    for (std::uint32_t i = 0; i < units; ++i) {
      // Labels that fit their place, so that walks go deep.
      const auto unit = static_cast<std::uint32_t>((next() >> 40 & 0xFFFFFFU) << 8 | (i & 0xFFU));
      blob.append(reinterpret_cast<const char*>(&unit), 4);
    }
    blob.append("ab");
    const auto map = CharsMap::read(blob);
    ASSERT_TRUE(map.has_value());
    std::string text;
    for (int i = 0; i < 40; ++i) text += static_cast<char>(next() >> 35);
    for (std::size_t at = 0; at < text.size(); ++at) {
      const auto match = map->longest(std::string_view(text).substr(at));
      if (match) {
        EXPECT_LE(match->replacement.size(), 2U);
      }
    }
  }
}

}  // namespace
}  // namespace troupe::test
