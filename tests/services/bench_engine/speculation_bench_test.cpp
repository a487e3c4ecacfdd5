#include "services/bench/engine/speculation_bench.hpp"

#include <gtest/gtest.h>

#include "tests/services/bench_engine/tiny.hpp"

namespace troupe::bench {
namespace {

SpeculationBenchOptions small() {
  SpeculationBenchOptions options;
  options.cpu.threads = 1;
  options.drafters = {"auto", "prompt-lookup"};
  options.streams = {1, 3};
  options.answer_tokens = 24;
  options.repeats = 2;
  return options;
}

TEST(SpeculationBench, GivesARowForEachWorkloadDrafterAndNumberOfStreams) {
  const TinyModel tiny;
  const std::vector<DraftWorkload> workloads = {{"a", {{1, 2, 3, 4, 1, 2, 3}, {9, 8, 7}}, 0, {}},
                                                {"b", {{5, 6, 5, 6, 5}}, 1, {}}};
  double last = 0;
  const auto report =
      run_speculation_bench(tiny.model(), workloads, small(), [&](double part) { last = part; });
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(last, 1);
  ASSERT_EQ(report->rows.size(), 8u);
  for (const SpeculationRow& row : report->rows) {
    EXPECT_EQ(row.ratios.size(), 2u);
    EXPECT_TRUE(row.equal) << row.workload << ", " << row.drafter;
    EXPECT_GE(row.tokens_per_step, 1.0);
    EXPECT_GT(row.plain_rate, 0);
  }
  EXPECT_EQ(report->rows[0].workload, "a");
  EXPECT_EQ(report->rows[0].streams, 1u);
  EXPECT_EQ(report->rows[7].drafter, "prompt-lookup");
  EXPECT_EQ(report->rows[7].streams, 3u);
}

TEST(SpeculationBench, AModelThatDraftsForItselfIsAlwaysRight) {
  const TinyModel tiny;
  const std::vector<DraftWorkload> workloads = {{"a", {{1, 2, 3, 4, 1, 2, 3}, {9, 8, 7}}, 0, {}}};
  SpeculationBenchOptions options = small();
  options.drafters = {"draft-service"};
  options.always = true;
  options.draft_model = tiny.model();
  const auto report = run_speculation_bench(tiny.model(), workloads, options, [](double) {});
  ASSERT_TRUE(report) << to_string(report.error());
  for (const SpeculationRow& row : report->rows) {
    EXPECT_TRUE(row.equal);
    EXPECT_GT(row.accepted_share, 0.6) << row.streams;  // runners-up ride along, and are wrong
    EXPECT_GT(row.tokens_per_step, 2.0) << row.streams;
  }
}

TEST(SpeculationBench, RefusesWhatItCannotMeasure) {
  const TinyModel tiny;
  const std::vector<DraftWorkload> workloads = {{"a", {{1, 2, 3}}, 0, {}}}, empty = {{"a", {}, 0, {}}};
  SpeculationBenchOptions options = small();
  options.drafters = {"oracle"};
  EXPECT_EQ(run_speculation_bench(tiny.model(), workloads, options, [](double) {}).error().code,
            Errc::invalid_argument);
  EXPECT_EQ(run_speculation_bench(tiny.model(), empty, small(), [](double) {}).error().code,
            Errc::invalid_argument);
  options = small();
  options.streams = {0};
  EXPECT_EQ(run_speculation_bench(tiny.model(), workloads, options, [](double) {}).error().code,
            Errc::invalid_argument);
}

TEST(SpeculationBench, HasTextsOfEveryKind) {
  ASSERT_EQ(draft_texts().size(), 5u);
  for (const DraftTexts& texts : draft_texts()) EXPECT_GE(texts.texts.size(), 3u) << texts.name;
}

}  // namespace
}  // namespace troupe::bench
