#include "common/grammar/char_set.hpp"

#include <gtest/gtest.h>

#include <random>

#include "common/grammar/text_reader.hpp"

namespace troupe::grammar {
namespace {

TEST(CharSet, JoinsWhatTouchesAndLeavesOutSurrogates) {
  CharSet set{{'a', 'c'}, {'x', 'z'}};
  set.add('d', 'f');
  ASSERT_EQ(set.ranges().size(), 2u);
  EXPECT_EQ(set.ranges()[0], (CharRange{'a', 'f'}));
  set.add('b', 'y');
  ASSERT_EQ(set.ranges().size(), 1u);
  EXPECT_EQ(set.ranges()[0], (CharRange{'a', 'z'}));
  const CharSet all = CharSet::all();
  for (const CharRange& range : all.ranges()) {
    EXPECT_FALSE(range.first <= 0xDFFF && range.last >= 0xD800);
  }
  EXPECT_TRUE(CharSet({{0xD800, 0xDFFF}}).empty());
}

TEST(CharSet, ComplementAndIntersectionAgreeWithMembership) {
  std::mt19937 random(3);
  for (int round = 0; round < 50; ++round) {
    CharSet a, b;
    for (int i = 0; i < 6; ++i) {
      const auto x = static_cast<char32_t>(random() % 300), y = static_cast<char32_t>(random() % 300);
      a.add(x, static_cast<char32_t>(x + random() % 20));
      b.add(y, static_cast<char32_t>(y + random() % 20));
    }
    const CharSet not_a = a.complement(), both = a.within(b), rest = a.without(b);
    for (char32_t c = 0; c < 340; ++c) {
      EXPECT_NE(a.contains(c), not_a.contains(c));
      EXPECT_EQ(both.contains(c), a.contains(c) && b.contains(c));
      EXPECT_EQ(rest.contains(c), a.contains(c) && !b.contains(c));
    }
  }
}

bool covers(const std::vector<ByteSequence>& sequences, const std::string& bytes) {
  for (const ByteSequence& sequence : sequences) {
    if (sequence.size() != bytes.size()) continue;
    bool all = true;
    for (std::size_t i = 0; i < bytes.size(); ++i) {
      const auto byte = static_cast<std::uint8_t>(bytes[i]);
      all = all && sequence[i].first <= byte && byte <= sequence[i].last;
    }
    if (all) return true;
  }
  return false;
}

TEST(CharSet, ItsBytesAreTheUtf8OfItsCharactersAndNothingElse) {
  const CharSet set{{'a', 'm'},       {0x7F, 0x81},      {0x3B1, 0x900},
                    {0xD000, 0xE123}, {0xFFFE, 0x10003}, {0x1F389, 0x1F389}};
  const auto sequences = utf8_sequences(set);
  for (char32_t c = 0; c <= 0x11000; ++c) {
    if (c >= 0xD800 && c <= 0xDFFF) continue;
    std::string bytes;
    append_utf8(bytes, c);
    ASSERT_EQ(covers(sequences, bytes), set.contains(c)) << static_cast<std::uint32_t>(c);
  }
  EXPECT_TRUE(covers(sequences, "\xF0\x9F\x8E\x89"));
  EXPECT_FALSE(covers(utf8_sequences(CharSet::all()), "\xED\xA0\x80")) << "a surrogate";
}

TEST(TextReader, ReadsWhatWasWrittenAndFindsWhatIsNotUtf8) {
  for (const char32_t c : {U'a', U'\u00e9', U'\u65e5', U'\U0001F389', U'\U0010FFFF'}) {
    std::string text;
    append_utf8(text, c);
    EXPECT_EQ(invalid_utf8_offset(text), std::nullopt);
    TextReader in(text);
    EXPECT_EQ(in.take_char(), c);
    EXPECT_TRUE(in.done());
  }
  for (const char* bad : {"ab\xFF", "ab\xC0\x80", "ab\xED\xA0\x80", "ab\xE6\x97", "ab\xF5\x80\x80\x80"})
    EXPECT_EQ(invalid_utf8_offset(bad), 2u) << bad;
}

}  // namespace
}  // namespace troupe::grammar
