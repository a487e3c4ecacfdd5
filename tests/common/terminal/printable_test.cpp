#include "common/terminal/printable.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Printable, DropsControlsAndKeepsText) {
  EXPECT_EQ(printable("a\tb\nc"), "a\tb\nc");
  EXPECT_EQ(printable("\x1b[31mred\x07\x7f\r"), "[31mred");
  EXPECT_EQ(printable("h\xC3\xA9llo \xE2\x82\xAC \xC2\xA0"), "h\xC3\xA9llo \xE2\x82\xAC \xC2\xA0");
  EXPECT_EQ(printable("x\xC2\x9B"
                      "31m"),
            "x31m");
}

TEST(Printable, KeepsACharacterCutBetweenPieces) {
  EXPECT_EQ(printable("\xE2\x82") + printable("\xAC"), "\xE2\x82\xAC");
}

}  // namespace
}  // namespace troupe
