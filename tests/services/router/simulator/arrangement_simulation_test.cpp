// The planner's closed form against simulated clusters of both arrangements: what it holds for better is.
#include <algorithm>
#include <cmath>
#include <random>

#include <gtest/gtest.h>

#include "common/base/log.hpp"
#include "services/router/planner/arrangement.hpp"
#include "services/router/simulator/simulation.hpp"

namespace troupe::router {
namespace {

constexpr std::size_t kRequests = 2000;

struct Mix {
  Traffic traffic;
  std::uint32_t workers = 4;
  StepModel step;
  [[nodiscard]] StepCosts costs() const { return {step.base, step.prompt_token, step.row, 2, 512}; }
};

/// Requests of the mix by Poisson arrivals; no two prompts share a block.
Trace trace_of(const Mix& mix) {
  std::mt19937_64 random(11);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 0.5) * 0x1p-53; };
  const double rate = mix.traffic.short_prompts + mix.traffic.long_prompts;
  Trace trace;
  double at = 0;
  std::uint64_t block = 1;
  for (std::size_t i = 0; i < kRequests; ++i) {
    at -= std::log(uniform()) / rate;
    const bool is_long = uniform() * rate < mix.traffic.long_prompts;
    TraceRequest request;
    request.arrives = std::chrono::nanoseconds(static_cast<std::int64_t>(at * 1e9));
    request.prompt_tokens =
        static_cast<std::uint32_t>(is_long ? mix.traffic.long_tokens : mix.traffic.short_tokens);
    request.output_tokens = static_cast<std::uint32_t>(mix.traffic.answer_tokens);
    for (std::uint32_t token = 0; token < request.prompt_tokens; token += trace.block_tokens)
      request.blocks.push_back(block++);
    trace.requests.push_back(std::move(request));
  }
  return trace;
}

/// Means over requests, in microseconds.
struct Measured {
  double longest_wait = 0, short_first = 0, long_first = 0;
  std::uint64_t disaggregated = 0;
};

Measured run(const Mix& mix, const Trace& trace, std::uint32_t prefill) {
  SimulationOptions options;
  options.workers.assign(mix.workers, WorkerSpec{});
  for (WorkerSpec& worker : options.workers) worker.step = mix.step;
  for (std::uint32_t i = 0; i < prefill; ++i) options.workers[i].role = wire::Role::prefill;
  options.load = 1;
  options.load = arrival_stretch(trace, options);  // the trace's own times: a stretch of 1
  const auto result = simulate(trace, options);
  Measured out;
  if (!result) {
    ADD_FAILURE() << to_string(result.error());
    return out;
  }
  out.disaggregated = result->disaggregated;
  double shorts = 0, longs = 0;
  for (const RequestOutcome& request : result->requests) {
    EXPECT_TRUE(request.finished);
    const auto us = [](Duration time) { return std::chrono::duration<double, std::micro>(time).count(); };
    const bool is_long = request.prompt_tokens > 256;
    (is_long ? longs : shorts) += 1;
    (is_long ? out.long_first : out.short_first) += us(request.first_token);
    out.longest_wait += us(request.longest_between) / static_cast<double>(result->requests.size());
  }
  out.short_first /= std::max(1.0, shorts);
  out.long_first /= std::max(1.0, longs);
  return out;
}

class ArrangementSimulation : public ::testing::Test {
 protected:
  ArrangementSimulation() {
    log::Options quiet;
    quiet.level = log::Level::off;
    log::configure(quiet);
  }
  ~ArrangementSimulation() override { log::configure({}); }

  /// (predicted, simulated) advantage of the split.
  static std::pair<double, double> advantages(const Mix& mix) {
    const Comparison predicted = compare(mix.traffic, mix.costs(), mix.workers);
    const Trace trace = trace_of(mix);
    const Measured hybrid = run(mix, trace, 0), split = run(mix, trace, predicted.prefill);
    EXPECT_EQ(hybrid.disaggregated, 0u);
    EXPECT_GT(split.disaggregated, 0u);
    const double cost =
        std::max(split.short_first / hybrid.short_first, split.long_first / hybrid.long_first);
    return {predicted.advantage, hybrid.longest_wait / split.longest_wait / cost};
  }
};

TEST_F(ArrangementSimulation, LongPromptsBesideStreamsAreBetterApart) {
  const auto [predicted, simulated] = advantages({{6, 1, 100, 4000, 150}, 4, {8000, 80, 30, 0}});
  EXPECT_GT(predicted, 1.2);
  EXPECT_GT(simulated, 1.2);
}

TEST_F(ArrangementSimulation, WhereAnswersAreTheWorkHybridsAreBetter) {
  const auto [predicted, simulated] = advantages({{3, 0.05, 100, 1000, 400}, 2, {8000, 80, 500, 0}});
  EXPECT_LT(predicted, 1 / 1.2);
  EXPECT_LT(simulated, 1 / 1.2);
}

}  // namespace
}  // namespace troupe::router
