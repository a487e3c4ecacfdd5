#include "common/base/hash.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Hasher, SeparatesFieldsByLength) {
  const auto key = [](std::string_view a, std::string_view b) { return Hasher().text(a).text(b).finish<BlockKey>(); };
  EXPECT_NE(key("ab", "c"), key("a", "bc"));
  EXPECT_EQ(key("ab", "c"), key("ab", "c"));
}

TEST(Hash, EqualsThePublishedXxh3VectorOfTheEmptyString) {
  const Hash128 h = xxh3_128({});
  EXPECT_EQ(h.high, 0x99aa06d3014798d8ULL);
  EXPECT_EQ(h.low, 0x6001c324468d497fULL);
}

}  // namespace
}  // namespace troupe
