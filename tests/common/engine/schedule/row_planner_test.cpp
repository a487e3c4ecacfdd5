#include "common/engine/schedule/row_planner.hpp"

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using Rows = std::vector<std::uint32_t>;

TEST(RowPlanner, DecodeRowsComeBeforeAnOlderPrompt) {
  const RowDemand demands[] = {{1000, false}, {1, true}, {1, true}};
  EXPECT_EQ(plan_rows(demands, {10, 512, 100}), (Rows{8, 1, 1}));
}

TEST(RowPlanner, PromptsFillWhatIsLeftInOrderInChunks) {
  const RowDemand demands[] = {{1, true}, {100, false}, {100, false}, {100, false}};
  EXPECT_EQ(plan_rows(demands, {101, 64, 512}), (Rows{1, 64, 36, 0}));
}

TEST(RowPlanner, NoStreamIsLeftOutForTheBudgetsSake) {
  const RowDemand demands[] = {{1, true}, {1, true}, {1, true}, {5, false}};
  EXPECT_EQ(plan_rows(demands, {2, 64, 100}), (Rows{1, 1, 1, 0}));
}

TEST(RowPlanner, NeverGivesMoreThanAStepHolds) {
  const RowDemand demands[] = {{1, true}, {1, true}, {1, true}, {5, false}};
  EXPECT_EQ(plan_rows(demands, {64, 64, 2}), (Rows{1, 1, 0, 0}));
}

TEST(RowPlanner, AnEmptyDemandGetsNothing) {
  const RowDemand demands[] = {{0, false}, {3, false}};
  EXPECT_EQ(plan_rows(demands, {8, 8, 8}), (Rows{0, 3}));
}

TEST(RowPlanner, DraftsGoBesideTheirStreamsBeforePromptsAllOrNone) {
  const RowDemand demands[] = {{1, true, 10, 4}, {1, true, 10, 0}, {1, true, 10, 3}, {100, false}};
  EXPECT_EQ(plan_rows(demands, {20, 64, 100}), (Rows{5, 1, 4, 10}));
  EXPECT_EQ(plan_rows(demands, {20, 64, 6}), (Rows{1, 1, 4, 0})) << "four do not fit beside the streams, three do";
  EXPECT_EQ(plan_rows(demands, {20, 64, 2}), (Rows{1, 1, 0, 0}));
}

TEST(RowPlanner, PrefillFirstMakesStreamsWaitForWholePrompts) {
  const RowDemand demands[] = {{1, true}, {100, false}, {100, false}};
  EXPECT_EQ(plan_rows(demands, {150, 16, 512, SchedulePolicy::prefill_first}), (Rows{0, 100, 50}));
  const RowDemand streams[] = {{1, true}, {1, true}, {0, false}};
  EXPECT_EQ(plan_rows(streams, {150, 16, 512, SchedulePolicy::prefill_first}), (Rows{1, 1, 0}));
}

}  // namespace
}  // namespace troupe::engine
