#include "common/terminal/table.hpp"

#include <gtest/gtest.h>

namespace troupe {
namespace {

TEST(Table, AlignsColumnsWithoutTrailingSpaces) {
  Table table({"A", "LONG"});
  table.add({"xyz", ""});
  table.add({"", "q"});
  EXPECT_EQ(table.text(), "A    LONG\nxyz\n     q\n");
}

TEST(Table, EndsTheProcessOnARowOfAnotherLength) {
  Table table({"A", "B"});
  EXPECT_DEATH(table.add({"x"}), "as many cells");
}

}  // namespace
}  // namespace troupe
