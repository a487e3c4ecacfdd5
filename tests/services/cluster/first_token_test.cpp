// The first token of a prompt that a prefill worker computes: it is with the client before its pages are with
// the decode worker, and the answer is an undisturbed cluster's whoever dies, hangs or is cancelled behind
// it.
#include "tests/services/cluster/sim_stage.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

worker::WorkerCounters counters(const SimCluster& sim, const std::string& name) {
  return sim.workers.at(name)->state->counters();
}

/// A stream whose first token is out while decode-0's engine stands still: no page came in, no step was made
/// there.
std::shared_ptr<RecordingSink> first_token_alone(Stage& s, const gateway::GenerateJob& job) {
  const auto sink = s.sim.start(job);
  SimCluster::Worker& decode = *s.sim.workers.at("decode-0");
  EXPECT_TRUE(s.sim.run_until([&] { return decode.table.size() != 0; })) << "its pages are asked for";
  decode.frozen = true;
  EXPECT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() == 1; }));
  return sink;
}

TEST(FirstToken, ItLeavesBeforeAPageIsTakenOrAStepMadeWhereTheStreamGoesOn) {
  Stage s(5, {}, 1, 1);
  const auto job = fake_job(5, 1000, 10);
  const auto sink = first_token_alone(s, job);
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->imported_tokens, 0u);
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->computed_tokens, 0u);
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->stats().generated_tokens, 0u);
  EXPECT_EQ(sink->answers[0], fake_answer(job.prompt, job.sampling.seed, 0, 1));
  EXPECT_FALSE(sink->over());
  s.sim.workers["decode-0"]->frozen = false;
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(counters(s.sim, "decode-0").first_tokens_taken, 1u);
  EXPECT_EQ(counters(s.sim, "decode-0").imports, 1u);
  EXPECT_EQ(counters(s.sim, "prefill-0").first_tokens_drawn, 1u);
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->computed_tokens, 8u) << "behind the last whole block";
  EXPECT_EQ(s.sim.gateway->counters().gaps, 0u);
  s.expect_quiet();
}

TEST(FirstToken, ThePrefillWorkersDeathBehindItCostsARecomputationOnly) {
  Stage s(6, {}, 1, 1);
  const auto job = fake_job(6, 1000, 20);
  const auto sink = first_token_alone(s, job);
  s.sim.kill("prefill-0");
  s.sim.workers["decode-0"]->frozen = false;
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 0u);
  s.expect_quiet();
}

TEST(FirstToken, PagesThatNeverComeBehindItCostARecomputationOnly) {
  Stage s(7, {}, 1, 1);
  s.sim.lose_frames = 1000000;
  const auto job = fake_job(7, 1000, 20);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() == 1; }));
  s.sim.run_for(1s);
  EXPECT_EQ(sink->answers[0].size(), 1u);
  s.sim.kill("prefill-0");
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(counters(s.sim, "decode-0").prefill_fallbacks, 1u);
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->computed_tokens, 1001u)
      << "the told token is of the prompt then";
  s.expect_quiet();
}

TEST(FirstToken, TheDecodeWorkersDeathBehindItIsAReplayFromThere) {
  Stage s(8, {}, 2, 1);
  const auto job = fake_job(8, 1000, 20);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() == 1; }));
  s.sim.kill(s.sim.workers["decode-0"]->state->active() != 0 ? "decode-0" : "decode-1");
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 1u);
  s.expect_quiet();
}

TEST(FirstToken, AnAnswerThatEndsWithItWaitsForNoPages) {
  for (const bool stops : {false, true}) {
    Stage s(9, {}, 1, 1);
    auto job = fake_job(9, 1000, stops ? 20 : 1);
    if (stops) job.stop_tokens = fake_answer(job.prompt, job.sampling.seed, 0, 1);
    const auto sink = first_token_alone(s, job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }))
        << "while the decode worker's engine stands still";
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(sink->finishes[0], stops ? FinishReason::stop : FinishReason::length);
    s.sim.workers["decode-0"]->frozen = false;
    s.expect_quiet();
    EXPECT_EQ(counters(s.sim, "decode-0").finished, 1u);
    EXPECT_EQ(counters(s.sim, "decode-0").cancelled, 0u);
  }
}

TEST(FirstToken, LostWithItsMessageItComesWithThePages) {
  Stage s(10, {}, 1, 1);
  bool dropped = false;
  s.sim.filter = [&](const std::string&, const std::string&, const wire::Envelope& message) {
    return message.type != wire::kPrefillDoneNumber || std::exchange(dropped, true);
  };
  const auto job = fake_job(10, 1000, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_TRUE(dropped);
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(counters(s.sim, "decode-0").first_tokens_taken, 1u);
  s.expect_quiet();
}

TEST(FirstToken, ManyChoicesAndSearchesAreDrawnByTheirOwnWorker) {
  for (const std::uint32_t width : {0u, 3u}) {
    Stage s(11, {}, 1, 1);
    auto job = fake_job(11, 1000, 10, 2);
    job.beam.width = width;
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(counters(s.sim, "decode-0").imports, 1u);
    EXPECT_EQ(counters(s.sim, "decode-0").first_tokens_taken, 0u);
    s.expect_quiet();
  }
}

TEST(FirstToken, ALongPromptByDataFramesComesWhole) {
  Stage s(12, {}, 1, 1);
  s.sim.filter = [](const std::string&, const std::string&, const wire::Envelope& message) {
    EXPECT_LE(message.payload.size(), wire::kMaxControlBytes) << wire::message_name(message.type);
    return true;
  };
  for (const std::uint32_t tokens : {11900u, 12100u, 20000u}) {
    const auto job = fake_job(tokens, tokens, 10);
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "") << tokens;
  }
  EXPECT_EQ(counters(s.sim, "decode-0").first_tokens_taken, 3u);
  s.expect_quiet();
}

/// A worker of the release before draws nothing and says nothing of it.
TEST(FirstToken, AnOlderPrefillWorkerSendsPagesAsBefore) {
  Stage s(13, {}, 1, 1);
  const auto older = [](wire::Envelope& message) {
    if (auto ask = wire::unpack<wire::PrefillRequest>(message)) {
      ask->order.clear();
      ask->prompt_tokens = 0;
      message = wire::pack(*ask, message.epoch);
    }
  };
  s.sim.change = older;
  const auto job = fake_job(13, 1000, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(counters(s.sim, "decode-0").imports, 1u);
  EXPECT_EQ(counters(s.sim, "decode-0").first_tokens_taken, 0u);
  s.expect_quiet();
}

TEST(FirstToken, DeathsAndAbortsAtAnyMomentChangeNoStream) {
  std::uint64_t taken = 0, aborted = 0;
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    SimFaults faults;
    if (seed % 2 == 0) faults = {0.02, 0.05, 0.05, 0.02, 0.05, 0.1};
    Stage s(seed, faults, 3, 2);
    std::mt19937_64 random(seed);
    std::vector<gateway::GenerateJob> jobs;
    std::vector<std::shared_ptr<RecordingSink>> sinks;
    for (std::uint64_t i = 0; i < 6; ++i) {
      jobs.push_back(fake_job(seed * 100 + i, 600 + 37 * static_cast<std::uint32_t>(i), i == 5 ? 1 : 30));
      sinks.push_back(s.sim.start(jobs.back()));
    }
    for (std::uint64_t steps = random() % 600; steps != 0; --steps) s.sim.step();
    const bool abort = !sinks[4]->over();
    if (abort) s.sim.cancel(jobs[4].id);
    s.sim.kill(seed % 3 == 0 ? "decode-" + std::to_string(random() % 3)
                             : "prefill-" + std::to_string(random() % 2));
    ASSERT_TRUE(s.sim.run_until(
        [&] {
          for (std::size_t i = 0; i < sinks.size(); ++i)
            if (!sinks[i]->over() && !(i == 4 && abort)) return false;
          return true;
        },
        20min))
        << "seed " << seed;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (i == 4 && abort) continue;
      EXPECT_EQ(check_answer(jobs[i], *sinks[i]), "") << "seed " << seed << " job " << i;
    }
    aborted += abort ? 1 : 0;
    for (const auto& [name, worker] : s.sim.workers) taken += worker->state->counters().first_tokens_taken;
    EXPECT_TRUE(s.sim.run_until([&] { return s.sim.leftovers().empty(); }, 2h))
        << "seed " << seed << s.sim.leftovers();
  }
  EXPECT_GT(taken, 40u);
  EXPECT_GT(aborted, 10u);
}

}  // namespace
}  // namespace troupe::test
