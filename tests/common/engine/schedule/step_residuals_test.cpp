#include "common/engine/schedule/step_residuals.hpp"

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

TEST(StepResiduals, LearnsEachSmallNumberOfRowsByItself) {
  StepResiduals residuals;
  for (int i = 0; i < 40; ++i) {
    residuals.add(8, 1.0, 0.9);
    residuals.add(9, 1.0, 1.6);
  }
  EXPECT_NEAR(residuals.ratio(8), 0.9, 0.01);
  EXPECT_NEAR(residuals.ratio(9), 1.6, 0.02);
  EXPECT_EQ(residuals.ratio(10), 1.0);
  EXPECT_EQ(residuals.ratio(0), 1.0);
}

TEST(StepResiduals, LargerNumbersShareAClass) {
  StepResiduals residuals;
  for (int i = 0; i < 40; ++i) residuals.add(40, 1.0, 2.0);
  EXPECT_NEAR(residuals.ratio(64), 2.0, 0.05);
  EXPECT_EQ(residuals.ratio(65), 1.0);
  EXPECT_EQ(residuals.ratio(32), 1.0);
  EXPECT_EQ(residuals.ratio(UINT64_MAX), 1.0);
}

TEST(StepResiduals, OneBadMomentFades) {
  StepResiduals residuals;
  residuals.add(9, 1.0, 1000.0);
  EXPECT_GT(residuals.ratio(9), 1.5);
  EXPECT_LE(residuals.ratio(9), 4.0) << "a sample counts as a bounded one";
  for (int i = 0; i < 2000; ++i) residuals.add(1, 1.0, 1.0);
  EXPECT_NEAR(residuals.ratio(9), 1.0, 0.02);
}

TEST(StepResiduals, LearnsNothingFromAClockThatStandsStill) {
  StepResiduals residuals;
  residuals.add(3, 1.0, 0.0);
  residuals.add(3, 0.0, 1.0);
  EXPECT_EQ(residuals.ratio(3), 1.0);
}

}  // namespace
}  // namespace troupe::engine
