#include "common/engine/row_planner.hpp"

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Rows = std::vector<std::uint32_t>;

TEST(RowPlanner, DecodeRowsComeBeforeAnOlderPrompt) {
  const RowDemand demands[] = {{1000, false}, {1, true}, {1, true}};
  EXPECT_EQ(plan_rows(demands, 10, 512), (Rows{8, 1, 1}));
}

TEST(RowPlanner, PromptsFillWhatIsLeftOldestFirstInChunks) {
  const RowDemand demands[] = {{1, true}, {100, false}, {100, false}, {100, false}};
  EXPECT_EQ(plan_rows(demands, 101, 64), (Rows{1, 64, 36, 0}));
}

TEST(RowPlanner, NeverGivesMoreThanTheBudget) {
  const RowDemand demands[] = {{1, true}, {1, true}, {1, true}, {5, false}};
  EXPECT_EQ(plan_rows(demands, 2, 64), (Rows{1, 1, 0, 0}));
}

TEST(RowPlanner, AnEmptyDemandGetsNothing) {
  const RowDemand demands[] = {{0, false}, {3, false}};
  EXPECT_EQ(plan_rows(demands, 8, 8), (Rows{0, 3}));
}

}  // namespace
}  // namespace troupe::engine
