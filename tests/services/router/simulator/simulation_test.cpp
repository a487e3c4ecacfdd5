#include "services/router/simulator/simulation.hpp"

#include <gtest/gtest.h>

#include "common/base/log.hpp"
#include "services/router/policies/policy.hpp"
#include "services/router/simulator/report.hpp"

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

class Simulation : public ::testing::Test {
 protected:
  Simulation() {
    log::Options quiet;
    quiet.level = log::Level::off;
    log::configure(quiet);
    options_.workers.assign(4, WorkerSpec{});
  }
  ~Simulation() override { log::configure({}); }

  SimulationResult run() {
    auto result = simulate(trace_, options_);
    EXPECT_TRUE(result.has_value()) << (result ? "" : to_string(result.error()));
    return result ? std::move(*result) : SimulationResult{};
  }
  SimulationSummary summary(const char* policy) {
    options_.policy = policy;
    return summarize(trace_, options_, run(), objectives_);
  }
  static Trace small() {
    ChatTraceOptions chat;
    chat.sessions = 150;
    return chat_trace(chat);
  }
  Trace trace_ = small();
  SimulationOptions options_;
  Objectives objectives_;
};

TEST_F(Simulation, EveryPolicyFinishesEveryRequest) {
  for (const RouterPolicyEntry& entry : builtin_router_policies()) {
    options_.policy = entry.name;
    const SimulationResult result = run();
    for (const RequestOutcome& request : result.requests) {
      ASSERT_TRUE(request.finished) << entry.name;
      EXPECT_GT(request.first_token, Duration(0));
      EXPECT_LT(request.cached_tokens, request.prompt_tokens);
    }
  }
}

TEST_F(Simulation, StepsThatVaryMakeFirstTokensLater) {
  const auto late = [&](double noise) {
    options_.step_noise = noise;
    return summary("round_robin");
  };
  const SimulationSummary even = late(0), uneven = late(0.8);
  EXPECT_EQ(uneven.finished, even.finished);
  EXPECT_GT(uneven.first_p90, even.first_p90);
  EXPECT_GT(even.busy, 0.1);
  EXPECT_LT(even.busy, 1);
  EXPECT_GT(even.steps, trace_.requests.size());
}

TEST_F(Simulation, TheSameOptionsGiveTheSameResult) {
  options_.faults = {0.1, 0.1, 0.1};
  const SimulationResult once = run(), again = run();
  ASSERT_EQ(once.requests.size(), again.requests.size());
  for (std::size_t i = 0; i < once.requests.size(); ++i) {
    EXPECT_EQ(once.requests[i].first_token, again.requests[i].first_token);
    EXPECT_EQ(once.requests[i].between_tokens, again.requests[i].between_tokens);
  }
}

TEST_F(Simulation, UnknownPoliciesAndNoWorkersAreRefused) {
  options_.policy = "nonsense";
  EXPECT_EQ(simulate(trace_, options_).error().code, Errc::config_invalid);
  options_.policy = "random";
  options_.workers.clear();
  EXPECT_EQ(simulate(trace_, options_).error().code, Errc::config_invalid);
}

TEST_F(Simulation, LoadStretchesTheArrivals) {
  options_.load = 0.2;
  const double at_fifth = arrival_stretch(trace_, options_);
  options_.load = 0.8;
  EXPECT_NEAR(at_fifth / arrival_stretch(trace_, options_), 4, 1e-9);
  for (WorkerSpec& worker : options_.workers) worker.speed = 2;
  EXPECT_NEAR(at_fifth / arrival_stretch(trace_, options_), 8, 1e-9);
}

TEST_F(Simulation, PredictedTtftHitsMoreAndIsSoonerThanBlindPolicies) {
  options_.load = 0.7;
  const SimulationSummary ours = summary("predicted_ttft"), blind = summary("least_loaded"),
                          drawn = summary("random");
  EXPECT_GT(ours.hit_ratio, blind.hit_ratio + 0.1);
  EXPECT_LT(ours.first_p90, blind.first_p90);
  EXPECT_LT(ours.first_p90, drawn.first_p90);
  EXPECT_GE(ours.good, blind.good);
}

TEST_F(Simulation, ItsPredictionsComeTrue) {
  options_.load = 0.5;
  EXPECT_LT(summary("predicted_ttft").prediction_error, 0.35);
}

TEST_F(Simulation, FasterWorkersGetMore) {
  options_.load = 0.7;
  options_.workers[0].speed = options_.workers[1].speed = 0.3;
  const SimulationSummary ours = summary("predicted_ttft"), turns = summary("round_robin");
  EXPECT_LT(ours.first_p90, turns.first_p90);
}

TEST_F(Simulation, ADeadWorkersStreamsGoOnElsewhereAndItComesBack) {
  options_.deaths = {{5s, 0, 10s}, {8s, 1, 10s}};
  const SimulationResult result = run();
  std::uint32_t replays = 0;
  for (const RequestOutcome& request : result.requests) {
    EXPECT_TRUE(request.finished);
    replays += request.replays;
  }
  EXPECT_GT(replays, 0u);
}

TEST_F(Simulation, WhenEveryWorkerIsAwayRequestsWaitAndNoneIsLost) {
  for (std::size_t i = 0; i < options_.workers.size(); ++i) options_.deaths.push_back({5s, i, 6s});
  for (const RequestOutcome& request : run().requests) EXPECT_TRUE(request.finished);
}

TEST_F(Simulation, LostDoubledAndOvertakenEventsCostFewHits) {
  const double lossless = summary("predicted_ttft").hit_ratio;
  options_.faults = {0.1, 0.1, 0.1};
  const SimulationSummary lossy = summary("predicted_ttft");
  EXPECT_GT(lossy.snapshots, 0u);
  EXPECT_EQ(lossy.finished, lossy.requests);
  EXPECT_GT(lossy.hit_ratio, lossless - 0.02);
}

TEST_F(Simulation, SeveralRoutersDoNotHerd) {
  options_.load = 0.7;
  const SimulationSummary one = summary("predicted_ttft");
  options_.routers = 4;
  const SimulationSummary four = summary("predicted_ttft");
  EXPECT_EQ(four.finished, four.requests);
  EXPECT_LT(four.first_p90, 2 * one.first_p90 + 0.1);
}

TEST_F(Simulation, PrefillWorkersAreUsed) {
  options_.workers[0].role = options_.workers[1].role = wire::Role::prefill;
  const SimulationResult result = run();
  EXPECT_GT(result.disaggregated, 0u);
  for (const RequestOutcome& request : result.requests) EXPECT_TRUE(request.finished);
}

TEST_F(Simulation, TheObjectiveShedsWhatWouldBeLate) {
  options_.load = 4;
  objectives_.first_token = 1s;
  const SimulationSummary all = summary("predicted_ttft");
  EXPECT_EQ(all.refused, 0u);
  options_.first_token_slo = objectives_.first_token;
  const SimulationSummary shed = summary("predicted_ttft");
  EXPECT_GT(shed.refused, 0u);
  EXPECT_LT(shed.first_p90, all.first_p90 / 2);
  EXPECT_GT(shed.good, all.good + all.good / 2);
}

TEST_F(Simulation, AnInterruptEndsIt) {
  options_.stop = [] { return true; };
  EXPECT_TRUE(run().interrupted);
}

TEST_F(Simulation, FetchesWhereThatIsPredictedToBeSooner) {
  options_.load = 0.7;
  options_.min_fetch_tokens = 1u << 30;
  const SimulationSummary never = summary("predicted_ttft");
  EXPECT_EQ(never.fetches, 0u);
  options_.min_fetch_tokens = 256;
  const SimulationSummary fast = summary("predicted_ttft");
  EXPECT_GT(fast.fetches, fast.requests / 20);
  EXPECT_EQ(fast.finished, fast.requests);
  EXPECT_GT(fast.hit_ratio, never.hit_ratio);
  EXPECT_LT(fast.first_p50, never.first_p50);
  options_.transfer_token_us = 20000;  // computing takes 80
  EXPECT_EQ(summary("predicted_ttft").fetches, 0u);
}

TEST_F(Simulation, RoutersThatThinkTheirLinesFastLearnThatTheyAreNot) {
  options_.load = 0.7;
  options_.transfer_token_us = 2000;
  options_.assumed_transfer_token_us = 2;
  const SimulationSummary learning = summary("predicted_ttft");
  EXPECT_GT(learning.fetches, 0u);
  EXPECT_LT(learning.fetches, learning.requests / 5);
  EXPECT_EQ(learning.finished, learning.requests);
}

TEST_F(Simulation, ASourcesDeathOnTheWayLosesNothing) {
  options_.load = 0.7;
  options_.transfer_token_us = 20;
  for (int i = 0; i < 12; ++i)
    options_.deaths.push_back({std::chrono::seconds(3 + 2 * i), static_cast<std::size_t>(i % 4), 1s});
  const SimulationResult result = run();
  EXPECT_GT(result.fetches, 0u);
  for (const RequestOutcome& request : result.requests) EXPECT_TRUE(request.finished);
}

TEST_F(Simulation, BaselinesFetchOnlyWhenAsked) {
  EXPECT_EQ(summary("least_loaded").fetches, 0u);
  options_.baselines_fetch = true;
  EXPECT_GT(summary("least_loaded").fetches, 0u);
}

}  // namespace
}  // namespace troupe::router
