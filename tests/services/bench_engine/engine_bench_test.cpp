#include "services/bench/engine/engine_bench.hpp"

#include <gtest/gtest.h>

#include "tests/services/bench_engine/tiny.hpp"

namespace troupe::bench {
namespace {

EngineBenchOptions small() {
  EngineBenchOptions options;
  options.cpu.threads = 1;
  options.prefill_tokens = 96;
  options.streams = {1, 8};
  options.repeats = 1;
  options.noisy = true;
  return options;
}

TEST(EngineBench, GivesEveryRowWithSharesOfTheMachinesLimits) {
  const TinyModel tiny;
  double last = 0;
  const auto report = run_engine_bench(tiny.model(), small(), [&](double part) {
    EXPECT_GE(part, last);
    last = part;
  });
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_EQ(last, 1);
  ASSERT_EQ(report->rows.size(), 3u);
  EXPECT_EQ(report->rows[0].name, "prefill 96");
  EXPECT_EQ(report->rows[2].name, "decode 8");
  for (const EngineRow& row : report->rows) {
    ASSERT_EQ(row.kept.size(), 1u) << row.name;
    EXPECT_GT(row.kept[0].tokens_per_second, 0) << row.name;
    EXPECT_GT(row.kept[0].read_share, 0) << row.name;
    EXPECT_GT(row.kept[0].multiply_share, 0) << row.name;
    EXPECT_LT(row.kept[0].overhead, 1) << row.name;
  }
}

TEST(EngineBench, DecodesAroundTheContextThatWasAsked) {
  const TinyModel tiny;
  const auto report = run_engine_bench(tiny.model(), small(), [](double) {});
  ASSERT_TRUE(report) << to_string(report.error());
  EXPECT_NEAR(report->rows[1].context, 160, 2);
  EXPECT_NEAR(report->rows[2].context, 160, 4);
  // 64 steps of 8 streams and of one: products grow with the streams, weights read do not.
  EXPECT_EQ(report->rows[2].kept[0].ops.multiply_adds, 8 * report->rows[1].kept[0].ops.multiply_adds);
  EXPECT_EQ(report->rows[2].kept[0].ops.weight_bytes, report->rows[1].kept[0].ops.weight_bytes);
}

TEST(EngineBench, RefusesWhatTheModelCannotHold) {
  const TinyModel tiny;
  const auto refused = [&](auto change) {
    EngineBenchOptions options = small();
    change(options);
    const auto report = run_engine_bench(tiny.model(), options, [](double) {});
    return !report && report.error().code == Errc::invalid_argument;
  };
  EXPECT_TRUE(refused([](EngineBenchOptions& o) { o.prefill_tokens = 5000; }));
  EXPECT_TRUE(refused([](EngineBenchOptions& o) { o.context = 5000; }));
  EXPECT_TRUE(refused([](EngineBenchOptions& o) { o.streams = {}; }));
  EXPECT_TRUE(refused([](EngineBenchOptions& o) { o.streams = {0}; }));
  EXPECT_TRUE(refused([](EngineBenchOptions& o) { o.decode_steps = 1000; }));
}

}  // namespace
}  // namespace troupe::bench
