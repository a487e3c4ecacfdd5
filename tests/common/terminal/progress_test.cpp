#include "common/terminal/progress.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <sstream>

namespace troupe {
namespace {

TEST(ProgressBar, FillsWithThePercentage) {
  EXPECT_EQ(progress_bar(0, 100, 10), "[..........]   0 %");
  EXPECT_EQ(progress_bar(50, 100, 10), "[#####.....]  50 %");
  EXPECT_EQ(progress_bar(100, 100, 10), "[##########] 100 %");
  EXPECT_EQ(progress_bar(200, 100, 10), "[##########] 100 %");
  EXPECT_EQ(progress_bar(0, 0, 10), "[##########] 100 %");
  EXPECT_EQ(progress_bar(std::numeric_limits<std::uint64_t>::max() / 2,
                         std::numeric_limits<std::uint64_t>::max(), 10)
                .substr(0, 6),
            "[#####");
}

TEST(Progress, RedrawsOnATerminalOnlyWhenThePercentageChanges) {
  std::ostringstream out;
  Progress progress(out, "x", 1000, true);
  for (std::uint64_t i = 0; i < 20; ++i) progress.update(i);
  const std::string text = out.str();
  EXPECT_EQ(std::count(text.begin(), text.end(), '\r'), 2);  // 0 % and 1 %
}

TEST(Progress, PrintsOneLineElsewhere) {
  std::ostringstream out;
  Progress progress(out, "x", 10, false);
  progress.update(5);
  EXPECT_EQ(out.str(), "");
  progress.update(10);
  progress.finish();
  EXPECT_EQ(out.str(), "x [##############################] 100 %\n");
}

}  // namespace
}  // namespace troupe
