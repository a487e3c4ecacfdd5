#include "common/tokenizer/utf8.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Utf8, NamesTheOffsetOfTheFirstBadByte) {
  EXPECT_EQ(utf8::first_invalid(""), std::nullopt);
  EXPECT_EQ(utf8::first_invalid("plain ascii of more than eight bytes é 世 👍"), std::nullopt);
  EXPECT_EQ(utf8::first_invalid("abc\xFF"), 3U);
  EXPECT_EQ(utf8::first_invalid("123456789\xC3("), 9U);
  EXPECT_EQ(utf8::first_invalid("a\xC0\x80"), 1U) << "overlong";
  EXPECT_EQ(utf8::first_invalid("\xED\xA0\x80"), 0U) << "surrogate";
  EXPECT_EQ(utf8::first_invalid("\xF4\x90\x80\x80"), 0U) << "over U+10FFFF";
  EXPECT_EQ(utf8::first_invalid("ab\xE4\xB8"), 2U) << "cut off";
}

TEST(Utf8, EncodesAndDecodesEveryCodePoint) {
  for (char32_t code = 0; code <= 0x10FFFF; ++code) {
    if (code >= 0xD800 && code <= 0xDFFF) continue;
    std::string text;
    utf8::append(text, code);
    ASSERT_EQ(utf8::first_invalid(text), std::nullopt) << static_cast<std::uint32_t>(code);
    ASSERT_TRUE(utf8::decode_valid(text.data()) == code) << static_cast<std::uint32_t>(code);
    ASSERT_EQ(utf8::length_from_lead(text[0]), text.size());
  }
}

TEST(Utf8, DrainKeepsAnUnfinishedCharacterBack) {
  std::string pending = "a\xE4\xB8";
  std::string out;
  utf8::drain(pending, out);
  EXPECT_EQ(out, "a");
  pending += "\x96!";
  utf8::drain(pending, out);
  EXPECT_EQ(out, "a世!");
  EXPECT_TRUE(pending.empty());
}

TEST(Utf8, ReplacesEachIllFormedPartOnce) {
  const std::string r = "\xEF\xBF\xBD";
  EXPECT_EQ(utf8::with_replacements("ok"), "ok");
  EXPECT_EQ(utf8::with_replacements("\xFF\xFE"), r + r);
  EXPECT_EQ(utf8::with_replacements("a\xE4\xB8z"), "a" + r + "z") << "the longest part that could have begun";
  EXPECT_EQ(utf8::with_replacements("a\xF0\x9F\x91"), "a" + r) << "cut off at the end";
}

}  // namespace
}  // namespace troupe
