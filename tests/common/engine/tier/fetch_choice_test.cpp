#include "common/engine/tier/fetch_choice.hpp"

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

/// A machine that takes 1 ms a step and 0.1 ms a row.
StepTimeModel measured() {
  StepTimeModel model;
  for (int round = 0; round < 4; ++round)
    for (const std::uint64_t rows : {8U, 64U, 256U})
      model.add({rows, 0}, 1e-3 + 1e-4 * static_cast<double>(rows));
  return model;
}

TEST(FetchChoice, ReadsWhatComesSoonerThanItIsComputed) {
  const StepTimeModel steps = measured();
  const double compute = prefill_seconds(0, 640, 128, steps);
  EXPECT_NEAR(compute, 5 * 1e-3 + 640 * 1e-4, 0.01 * compute) << "five steps of 128 rows";
  EXPECT_TRUE(choose_fetch(0.9 * compute, 0, 640, 128, steps).read);
  EXPECT_FALSE(choose_fetch(1.1 * compute, 0, 640, 128, steps).read);
}

TEST(FetchChoice, WaitsNoLongerThanComputingTakes) {
  const StepTimeModel steps = measured();
  const FetchChoice choice = choose_fetch(1e-3, 0, 640, 128, steps);
  EXPECT_NEAR(std::chrono::duration<double>(choice.patience).count(), prefill_seconds(0, 640, 128, steps),
              1e-6);
}

TEST(FetchChoice, ReadsBeforeAnythingIsMeasured) {
  const FetchChoice choice = choose_fetch(2, 0, 64, 512, StepTimeModel());
  EXPECT_TRUE(choice.read);
  EXPECT_EQ(choice.patience, kFirstPatience + std::chrono::seconds(8));
  EXPECT_EQ(choose_fetch(1000, 0, 64, 512, StepTimeModel()).patience, kMostPatience);
  EXPECT_FALSE(choose_fetch(0, 64, 0, 512, StepTimeModel()).read) << "nothing to read";
}

}  // namespace
}  // namespace troupe::engine
