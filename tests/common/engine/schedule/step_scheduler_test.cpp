// Streams beside long prompts in virtual time: a step costs what a formula says.
#include "common/engine/schedule/step_scheduler.hpp"

#include <algorithm>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

Duration cost(const StepLoad& load) {
  return Duration(static_cast<std::int64_t>(1e9 * (8e-3 + 5e-4 * static_cast<double>(load.rows) + 1e-7 * static_cast<double>(load.context))));
}

struct Outcome {
  Duration largest_gap{0}, time{0};
  std::uint64_t tokens = 0;               // prompt and answer tokens
  std::uint32_t steps_without_a_stream = 0;
};

/// Eight endless streams, and a prompt of 4,096 tokens every `every`.
Outcome simulate(const RowLimits& limits, Duration slo, Duration every, Duration until) {
  StepScheduler scheduler(limits, slo);
  std::vector<RowDemand> demands(8, {1, true, 200});
  std::vector<Duration> last(8, Duration::zero());
  Outcome outcome;
  Duration next_prompt = every / 2;
  while (outcome.time < until) {
    for (; next_prompt <= outcome.time; next_prompt += every) demands.push_back({4096, false, 0});
    const auto [rows, budget] = scheduler.plan(demands);
    const StepLoad load = load_of(demands, rows);
    EXPECT_LE(load.rows, std::max(budget, 8u));
    outcome.time += cost(load);
    scheduler.finished(load, 8, cost(load));
    outcome.tokens += load.rows;
    outcome.steps_without_a_stream += std::none_of(rows.begin(), rows.begin() + 8, [](auto r) { return r > 0; });
    for (std::size_t i = 0; i < demands.size(); ++i) {
      demands[i].before += rows[i];
      if (!demands[i].decoding) {
        demands[i].remaining -= rows[i];
      } else if (rows[i] > 0) {
        if (demands[i].before > 1000) demands[i].before = 200;  // another answer begins
        outcome.largest_gap = std::max(outcome.largest_gap, outcome.time - last[i]);
        last[i] = outcome.time;
      }
    }
    std::erase_if(demands, [](const RowDemand& demand) { return demand.remaining == 0; });
  }
  return outcome;
}

TEST(StepScheduler, AFixedBudgetIsTheBudgetOfEveryStep) {
  const StepScheduler scheduler({64, 512, 512}, Duration::zero());
  const RowDemand demands[] = {{1, true, 10}, {1000, false, 0}};
  EXPECT_EQ(scheduler.plan(demands).budget, 64u);
}

TEST(StepScheduler, HybridBatchesKeepTheGapAndTheThroughput) {
  const auto baseline = simulate({512, 512, 512, SchedulePolicy::prefill_first}, Duration::zero(), seconds(10), seconds(120));
  const auto hybrid = simulate({512, 512, 512}, milliseconds(60), seconds(10), seconds(120));
  EXPECT_GT(baseline.steps_without_a_stream, 0u);
  EXPECT_EQ(hybrid.steps_without_a_stream, 0u);
  EXPECT_LE(hybrid.largest_gap * 8, baseline.largest_gap);
  const auto rate = [](const Outcome& o) { return static_cast<double>(o.tokens) / std::chrono::duration<double>(o.time).count(); };
  EXPECT_GE(rate(hybrid), 0.95 * rate(baseline));
}

TEST(StepScheduler, TheChosenBudgetMeetsTheSlo) {
  for (const auto slo : {milliseconds(25), milliseconds(40), milliseconds(80), milliseconds(200)}) {
    const auto outcome = simulate({512, 512, 512}, slo, seconds(10), seconds(60));
    EXPECT_LE(outcome.largest_gap, slo + slo / 10) << slo.count();
    EXPECT_GE(outcome.largest_gap, slo / 2) << "the budget stays far below what the SLO allows: " << slo.count();
  }
}

TEST(StepScheduler, AnImpossibleSloStarvesNoPrompt) {
  StepScheduler scheduler({512, 512, 512}, milliseconds(1));
  for (std::uint64_t rows = 1; rows <= 64; rows *= 2) scheduler.finished({rows, rows}, 1, cost({rows, rows}));
  const RowDemand demands[] = {{1, true, 10}, {1, true, 10}, {1000, false, 0}};
  EXPECT_GE(scheduler.plan(demands).rows[2], StepScheduler::kLeastPromptRows);
}

TEST(StepScheduler, WithoutStreamsThereIsNobodyToKeepWaiting) {
  const StepScheduler scheduler({512, 256, 512}, milliseconds(1));
  const RowDemand demands[] = {{1000, false, 0}, {1000, false, 0}};
  EXPECT_EQ(scheduler.plan(demands).rows, (std::vector<std::uint32_t>{256, 256}));
}

TEST(StepScheduler, BeforeAnythingIsMeasuredABudgetIsSmall) {
  const StepScheduler scheduler({512, 512, 512}, seconds(10));
  const RowDemand demands[] = {{1, true, 10}, {1000, false, 0}};
  EXPECT_EQ(scheduler.plan(demands).rows[1], StepScheduler::kStartPromptRows);
}

TEST(StepScheduler, WhatPromptsAloneCostMakesNoFirstLeap) {
  StepScheduler scheduler({512, 512, 512}, seconds(10));
  for (int i = 0; i < 10; ++i) scheduler.finished({512, 512 * 32}, 0, milliseconds(400));
  const RowDemand demands[] = {{1, true, 10}, {1000, false, 0}};
  EXPECT_LE(scheduler.plan(demands).rows[1], StepScheduler::kStartPromptRows + StepScheduler::kTile);
}

TEST(StepScheduler, ABudgetGrowsAtMostTwofoldBeyondWhatWasMeasured) {
  StepScheduler scheduler({4096, 4096, 4096}, seconds(10));
  for (int i = 0; i < 10; ++i) scheduler.finished({40, 4000}, 1, milliseconds(30));
  const RowDemand demands[] = {{1, true, 10}, {4000, false, 0}};
  EXPECT_EQ(scheduler.plan(demands).budget, 80u);
}

}  // namespace
}  // namespace troupe::engine
