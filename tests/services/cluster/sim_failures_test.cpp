// Workers that die, hang, leave and change their roles, and messages that are lost: every stream is the one an
// undisturbed cluster would give, and afterwards nothing is held anywhere.
#include "tests/services/cluster/sim_stage.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

TEST(SimCluster, ABeamSearchWhoseWorkerDiesStartsAnewAndEndsTheSame) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Stage s(seed, {}, 2);
    auto job = fake_job(seed, 100, 40, 2);
    job.beam.width = 4;
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty(); }));
    const std::string first = s.holder();
    s.sim.run_for(seed * 2ms);
    s.sim.kill(first);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(sink->scores, (std::map<std::uint32_t, double>{{0, -1.0}, {1, -2.0}}));
    s.expect_quiet();
  }
}

TEST(SimCluster, SuperposedDraftsWhoseWorkerDiesStartAnewAndEndTheSame) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Stage s(seed, {}, 2);
    auto job = fake_job(seed, 100, 20, 3);
    job.superposed = {3, 0.5f, 0.06f, 9};
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty(); }));
    s.sim.run_for(seed * 2ms);
    if (const std::string holder = s.holder(); !holder.empty()) s.sim.kill(holder);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(sink->scores, (std::map<std::uint32_t, double>{{0, -1.0}, {1, -2.0}, {2, -3.0}}));
    s.expect_quiet();
  }
}

/// One hypothesis came, another did not: the search is made again from the prompt, for what is missing.
TEST(SimCluster, WhatIsMissingOfABeamSearchIsSearchedForAgain) {
  SimFaults faults;
  faults.lose = 0.2;
  faults.repeat = faults.overtake = 0.1;
  for (std::uint64_t seed = 1; seed <= 10; ++seed) {
    Stage s(seed, faults, 2);
    auto job = fake_job(seed, 60, 5000, 3);  // more tokens than a message holds
    job.beam.width = 3;
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty() && sink->answers.size() == 1; }) || sink->over());
    if (const std::string holder = s.holder(); !holder.empty()) s.sim.kill(holder);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(sink->scores.size(), 3u);
    s.expect_quiet();
  }
}

TEST(SimCluster, AWorkersDeathMidStreamIsNotSeenInTheStream) {
  Stage s(9, {}, 2);
  const auto job = fake_job(9, 100, 60, 2);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() == 20; }));
  const std::string victim = s.sim.workers["decode-0"]->state->active() != 0 ? "decode-0" : "decode-1";
  s.sim.kill(victim);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 1u);
  s.expect_quiet();
}

TEST(SimCluster, ARequestThatTwoWorkersDiedWithIsNotTriedOnAThird) {
  Stage s(12, {}, 3);
  const auto poison = fake_job(12, 100, 400);
  const auto sink = s.sim.start(poison);
  for (const std::size_t tokens : {10U, 20U}) {
    ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= tokens; }));
    ASSERT_FALSE(sink->over());
    s.sim.kill(s.holder());
  }
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  ASSERT_TRUE(sink->error.has_value());
  EXPECT_EQ(sink->error->code, Errc::request_quarantined);
  EXPECT_EQ(retry_class(sink->error->code), Retry::never);
  for (const auto& [name, worker] : s.sim.workers)
    EXPECT_EQ(worker->state->counters().requests, worker->alive ? 0U : 1U) << name;
  EXPECT_EQ(s.sim.gateway->counters().quarantined, 1U);
  EXPECT_EQ(s.holder(), "");
  // The worker that is left takes others.
  const auto job = fake_job(13, 100, 20);
  const auto other = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return other->over(); }));
  EXPECT_EQ(check_answer(job, *other), "");
  s.expect_quiet();
}

TEST(SimCluster, AWorkerThatLeavesIsNoDeath) {
  Stage s(14, {}, 3);
  const auto job = fake_job(14, 100, 400);
  const auto sink = s.sim.start(job);
  for (const std::size_t tokens : {10U, 20U}) {
    ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= tokens; }));
    s.sim.leave(s.holder());
  }
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().quarantined, 0U);
}

TEST(SimCluster, AHungEngineIsFoundByItsProgressAndItsStreamMoves) {
  SimCluster sim(10);
  router::RouterOptions options;
  options.hang_limit = 5s;
  sim.add_router(options);
  sim.add_gateway();
  sim.add_worker(wire::Role::decode, "decode-0");
  sim.add_worker(wire::Role::decode, "decode-1");
  ASSERT_TRUE(sim.ready(2));
  const auto job = fake_job(10, 50, 60);
  const auto sink = sim.start(job);
  ASSERT_TRUE(sim.run_until([&] { return sink->answers[0].size() == 10; }));
  const std::string victim = sim.workers["decode-0"]->state->active() != 0 ? "decode-0" : "decode-1";
  sim.workers[victim]->frozen = true;  // its actor still answers
  ASSERT_TRUE(sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(sim.router->counters().hangs, 1u);
  EXPECT_EQ(sim.models[0].ready_workers, 1u);
  sim.workers[victim]->frozen = false;
  EXPECT_TRUE(sim.ready(2)) << "a worker that moves again is ready again";
}

TEST(SimCluster, APrefillWorkersDeathFallsBackToTheDecodeWorker) {
  Stage s(11, {}, 1, 1);
  const auto job = fake_job(11, 5000, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return s.sim.frames_delivered >= 2; }));
  s.sim.kill("prefill-0");
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.workers["decode-0"]->state->counters().prefill_fallbacks, 1u);
  EXPECT_EQ(s.sim.gateway->counters().replays, 0u);
  s.expect_quiet();
}

TEST(SimCluster, APrefillThatSendsNothingIsGivenUpWhenItsLeaseEnds) {
  Stage s(12, {}, 1, 1);
  s.sim.workers["prefill-0"]->engine->set_mute(true);
  const auto job = fake_job(12, 1000, 10);
  const auto sink = s.sim.start(job);
  const TimePoint begin = s.sim.clock.now();
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_GE(s.sim.clock.now() - begin, 30s);
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.workers["decode-0"]->state->counters().leases_expired, 1u);
  s.sim.workers["prefill-0"]->engine->set_mute(false);
  s.expect_quiet();
}

TEST(SimCluster, LostRepeatedAndOvertakingMessagesChangeNoStream) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Stage s(seed, {0.03, 0.05, 0.05}, 2, 1);
    std::vector<gateway::GenerateJob> jobs;
    std::vector<std::shared_ptr<RecordingSink>> sinks;
    for (std::uint64_t i = 0; i < 12; ++i) {
      jobs.push_back(fake_job(seed * 100 + i, i % 3 == 0 ? 700 : 40, 25, i % 4 == 1 ? 3 : 1));
      sinks.push_back(s.sim.start(jobs.back()));
    }
    ASSERT_TRUE(s.sim.run_until(
        [&] { return std::all_of(sinks.begin(), sinks.end(), [](const auto& x) { return x->over(); }); },
        20min))
        << "seed " << seed;
    for (std::size_t i = 0; i < jobs.size(); ++i)
      EXPECT_EQ(check_answer(jobs[i], *sinks[i]), "") << "seed " << seed << " job " << i;
    EXPECT_GT(s.sim.lost, 0u);
    // RequestEnded may be lost; then leases free what it named, the router's after its longest.
    EXPECT_TRUE(s.sim.run_until([&] { return s.sim.leftovers().empty(); }, 2h))
        << "seed " << seed << s.sim.leftovers();
  }
}

TEST(SimCluster, DeathsAndCancelsAtRandomLeaveEveryOtherStreamWhole) {
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    Stage s(seed * 31, {}, 3, 2);
    std::mt19937_64 rng(seed);
    std::vector<gateway::GenerateJob> jobs;
    std::vector<std::shared_ptr<RecordingSink>> sinks;
    std::vector<bool> cancelled;
    std::vector<int> deaths(16, 0);  // that each could have been present at
    const auto kill = [&](const std::string& victim) {
      for (std::size_t i = 0; i < sinks.size(); ++i) deaths[i] += sinks[i]->over() ? 0 : 1;
      s.sim.kill(victim);
    };
    for (std::uint64_t i = 0; i < 16; ++i) {
      jobs.push_back(fake_job(seed * 100 + i, i % 2 == 0 ? 900 : 40, 30, i % 5 == 1 ? 2 : 1));
      sinks.push_back(s.sim.start(jobs.back()));
      cancelled.push_back(false);
      for (std::uint64_t k = rng() % 40; k != 0; --k) s.sim.step();
      if (i == 6) kill("decode-" + std::to_string(rng() % 3));
      if (i == 9) kill("prefill-" + std::to_string(rng() % 2));
      if (rng() % 5 == 0) {
        const std::size_t victim = rng() % jobs.size();
        cancelled[victim] = cancelled[victim] || !sinks[victim]->over();
        s.sim.cancel(jobs[victim].id);
      }
    }
    ASSERT_TRUE(s.sim.run_until([&] { return s.sim.gateway->in_flight() == 0; })) << "seed " << seed;
    for (std::size_t i = 0; i < jobs.size(); ++i) {
      if (cancelled[i]) continue;
      const bool refused = sinks[i]->error && sinks[i]->error->code == Errc::request_quarantined;
      EXPECT_TRUE(refused ? deaths[i] == 2 : check_answer(jobs[i], *sinks[i]).empty())
          << "seed " << seed << " job " << i << ": " << check_answer(jobs[i], *sinks[i]);
    }
    s.expect_quiet();
  }
}

TEST(SimCluster, AWorkerChangesItsRoleUnderLoadAndEveryStreamComesWhole) {
  SimCluster sim(5, {.lose = 0.01, .repeat = 0.01, .overtake = 0.01});
  router::RouterOptions options;
  options.planner.enabled = true;
  options.planner.dwell = 5s;
  options.planner.window = 1s;
  options.planner.drain_limit = 20s;
  sim.add_router(options);
  sim.add_gateway();
  FakeEngineOptions slow;
  slow.max_sequences = 2;  // the others wait
  sim.add_worker(wire::Role::decode, "decode-0", slow);
  for (const char* name : {"prefill-0", "prefill-1", "prefill-2"}) sim.add_worker(wire::Role::prefill, name, slow);
  ASSERT_TRUE(sim.ready(1));
  sim.run_for(3s);
  std::vector<std::pair<gateway::GenerateJob, std::shared_ptr<RecordingSink>>> streams;
  const auto start = [&](std::uint32_t count) {
    for (std::uint32_t i = 0; i < count; ++i) {
      const auto number = static_cast<std::uint64_t>(streams.size() + 1);
      const auto job = fake_job(number, 300 + i, 400);
      streams.emplace_back(job, sim.start(job));
    }
  };
  start(20);
  ASSERT_TRUE(sim.run_until([&] { return sim.workers.at("prefill-0")->state->counters().role_changes != 0; }, 60s));
  EXPECT_EQ(sim.router->counters().role_changes, 1u);
  ASSERT_TRUE(sim.ready(2)) << "it decodes now";
  start(10);
  ASSERT_TRUE(sim.run_until([&] { return std::ranges::all_of(streams, [](const auto& s) { return s.second->over(); }); }, 20min));
  for (const auto& [job, sink] : streams) EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
  std::uint64_t prefill = 0;
  for (const auto& [id, node] : sim.router->view().nodes()) prefill += node.identity.role == wire::Role::prefill ? 1 : 0;
  EXPECT_GE(prefill, 1u) << "one of each stays";
}

}  // namespace
}  // namespace troupe::test
