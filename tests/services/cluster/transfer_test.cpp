// Pages between workers: streams that leave a draining worker, prompts fetched from a peer's cache, and what
// happens to both when frames and messages are lost, repeated or late, or a worker dies on the way.
#include <gtest/gtest.h>

#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

struct Stage {
  explicit Stage(std::uint64_t seed = 1, SimFaults faults = {}, int decoders = 2, int prefillers = 0,
                 const std::string& policy = "least_loaded")
      : sim(seed, faults) {
    router::RouterOptions options;
    options.policy = policy;
    sim.add_router(options);
    sim.add_gateway();
    for (int i = 0; i < decoders; ++i) sim.add_worker(wire::Role::decode, "decode-" + std::to_string(i));
    for (int i = 0; i < prefillers; ++i) sim.add_worker(wire::Role::prefill, "prefill-" + std::to_string(i));
    EXPECT_TRUE(sim.ready(static_cast<std::size_t>(decoders)));
    sim.run_for(3s);
  }
  SimCluster::Worker& at(const std::string& name) { return *sim.workers.at(name); }
  [[nodiscard]] worker::WorkerCounters counters(const std::string& name) const {
    return sim.workers.at(name)->state->counters();
  }
  /// The worker that has something to do, and the other one.
  std::pair<std::string, std::string> holder() {
    return at("decode-0").state->active() != 0 ? std::pair{"decode-0", "decode-1"}
                                               : std::pair{"decode-1", "decode-0"};
  }
  void drain(const std::string& name) { sim.drain(name); }
  bool tokens(const RecordingSink& sink, std::size_t count) {
    return sim.run_until([&] { return sink.answers.contains(0) && sink.answers.at(0).size() >= count; });
  }
  void expect_quiet(Duration limit = 3min) {
    EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, limit)) << sim.leftovers();
  }
  /// A prompt that is cached on decode-0 alone; the next placement goes to decode-1.
  gateway::GenerateJob warm(std::uint64_t salt, std::uint32_t tokens) {
    const auto job = fake_job(salt, tokens, 5);
    const auto sink = sim.start(job);
    EXPECT_TRUE(sim.run_until([&] { return sink->over(); }));
    sim.run_for(2s);
    busy = sim.start(busy_job = fake_job(salt + 1000, 30, 100000));
    EXPECT_TRUE(sim.run_until([&] { return busy->started; }));
    EXPECT_NE(at("decode-0").state->active(), 0u);
    auto again = job;
    again.id = Hasher().text("again").number(salt).finish<RequestId>();
    return again;
  }
  SimCluster sim;
  gateway::GenerateJob busy_job;
  std::shared_ptr<RecordingSink> busy;
};

TEST(Handover, ADrainMovesStreamsByTheirPagesAndComputesNothingAgain) {
  Stage s;
  const auto job = fake_job(1, 700, 200);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 50));
  const auto [from, to] = s.holder();
  s.drain(from);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at(from).state->active() == 0; }));
  EXPECT_FALSE(sink->over()) << "it goes on elsewhere";
  EXPECT_EQ(s.sim.gateway->counters().handovers, 1u);
  EXPECT_EQ(s.counters(to).fetches, 1u);
  EXPECT_GE(s.counters(to).fetched_tokens, 736u);  // whole blocks of the prompt and 50 tokens
  EXPECT_LT(s.at(to).engine->computed_tokens, 2 * kBlockTokens)
      << "the end of the last block, and what came while it moved";
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 0u);
  EXPECT_EQ(s.sim.gateway->counters().gaps, 0u);
  s.expect_quiet();
}

TEST(Handover, EveryChoiceMovesWithItsOwnPages) {
  Stage s;
  const auto job = fake_job(2, 300, 200, 3);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 50));
  const auto [from, to] = s.holder();
  s.drain(from);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at(from).state->active() == 0; }));
  EXPECT_EQ(s.sim.gateway->counters().handovers, 1u);
  EXPECT_EQ(s.counters(to).fetches, 3u);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  s.expect_quiet();
}

TEST(Handover, ALongPromptsKeysComeInParts) {
  Stage s;
  const auto job = fake_job(3, 50000, 60);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 10));
  const auto [from, to] = s.holder();
  s.sim.filter = [](const std::string&, const std::string&, const wire::Envelope& message) {
    EXPECT_LE(message.payload.size(), wire::kMaxControlBytes) << wire::message_name(message.type);
    return true;
  };
  s.drain(from);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at(from).state->active() == 0; }));
  EXPECT_GE(s.counters(to).fetched_tokens, 50000u);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  s.expect_quiet();
}

TEST(Handover, WithoutAnotherWorkerAStreamStaysAndMovesWhenOneComes) {
  Stage s(4, {}, 1);
  const auto job = fake_job(4, 200, 1500);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 20));
  s.drain("decode-0");
  ASSERT_TRUE(s.tokens(*sink, 300));
  EXPECT_EQ(s.sim.gateway->counters().handovers, 0u);
  EXPECT_EQ(s.sim.gateway->counters().replays, 0u);
  s.sim.add_worker(wire::Role::decode, "decode-1");
  ASSERT_TRUE(s.sim.run_until([&] { return s.sim.gateway->counters().handovers == 1; }, 1min));
  EXPECT_FALSE(sink->over());
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  s.expect_quiet();
}

TEST(Handover, TheNewWorkersDeathOnTheWayEndsInAReplay) {
  Stage s(5, {}, 3);
  const auto job = fake_job(5, 3000, 300);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 20));
  std::string from;
  for (const auto& [name, worker] : s.sim.workers)
    if (worker->state->active() != 0) from = name;
  s.drain(from);
  std::string to;
  ASSERT_TRUE(s.sim.run_until([&] {
    for (const auto& [name, worker] : s.sim.workers)
      if (name != from && worker->table.size() != 0) to = name;
    return !to.empty();
  }));
  s.sim.kill(to);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 1u);
  s.expect_quiet();
}

TEST(Handover, TheOldWorkersDeathOnTheWayCostsARecomputationOnly) {
  Stage s(6);
  const auto job = fake_job(6, 3000, 300);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 20));
  const std::string from = s.holder().first, to = s.holder().second;
  s.drain(from);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at(to).table.size() != 0; }));
  s.sim.kill(from);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.counters(to).fetch_fallbacks, 1u);
  s.expect_quiet();
}

TEST(Handover, ASilentOldWorkerIsGivenUp) {
  Stage s(7);
  const auto job = fake_job(7, 500, 12000);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.tokens(*sink, 20));
  const std::string to = s.holder().second;
  s.sim.filter = [](const std::string&, const std::string&, const wire::Envelope& message) {
    return message.type != wire::kKvFetchNumber;
  };
  s.drain(s.holder().first);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.counters(to).fetch_fallbacks, 1u);
  EXPECT_GT(s.counters(to).sources_asked_again, 1u);
  s.expect_quiet();
}

TEST(Handover, DrainsUnderLostRepeatedAndOvertakingMessagesAndFramesChangeNoStream) {
  std::uint64_t handovers = 0, lost_frames = 0;
  for (std::uint64_t seed = 1; seed <= 12; ++seed) {
    SimFaults faults{0.02, 0.05, 0.05};
    faults.lose_frame = 0.05;
    faults.repeat_frame = 0.1;
    faults.overtake_frame = 0.2;
    Stage s(seed, faults, 3, 1);
    std::vector<gateway::GenerateJob> jobs;
    std::vector<std::shared_ptr<RecordingSink>> sinks;
    for (std::uint64_t i = 0; i < 9; ++i) {
      jobs.push_back(fake_job(seed * 100 + i, i % 3 == 0 ? 700 : 150, 120, i % 4 == 1 ? 3 : 1));
      sinks.push_back(s.sim.start(jobs.back()));
    }
    ASSERT_TRUE(s.tokens(*sinks[3], 5));
    s.drain("decode-" + std::to_string(seed % 3));
    ASSERT_TRUE(s.sim.run_until(
        [&] { return std::all_of(sinks.begin(), sinks.end(), [](const auto& x) { return x->over(); }); },
        20min))
        << "seed " << seed;
    for (std::size_t i = 0; i < jobs.size(); ++i)
      EXPECT_EQ(check_answer(jobs[i], *sinks[i]), "") << "seed " << seed << " job " << i;
    handovers += s.sim.gateway->counters().handovers;
    lost_frames += s.sim.frames_lost;
    s.expect_quiet(2h);
  }
  EXPECT_GT(handovers, 12u);
  EXPECT_GT(lost_frames, 12u);
}

TEST(PeerFetch, APromptThatAnotherWorkerHoldsIsFetchedAndNotComputed) {
  Stage s(11);
  const auto job = s.warm(11, 1000);
  const std::uint64_t before = s.at("decode-1").engine->computed_tokens;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.router->counters().placed_with_fetch, 1u);
  EXPECT_EQ(s.counters("decode-1").fetched_tokens, 992u);
  EXPECT_EQ(s.at("decode-1").engine->computed_tokens - before, 8u);
  EXPECT_EQ(sink->cached_tokens, 992u);
  EXPECT_EQ(s.counters("decode-0").exports, 1u);
  s.sim.cancel(s.busy_job.id);
  s.expect_quiet();
}

TEST(PeerFetch, WhatThePeerNoLongerHoldsIsComputed) {
  Stage s(12);
  const auto job = s.warm(12, 1000);
  s.at("decode-0")
      .engine->evict(job.tenant, job.prompt, 22);  // in the middle of a page; the router does not know yet
  const std::uint64_t before = s.at("decode-1").engine->computed_tokens;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.counters("decode-1").fetched_tokens, 352u);
  EXPECT_EQ(s.at("decode-1").engine->computed_tokens - before, 648u);
  EXPECT_EQ(s.counters("decode-1").fetch_fallbacks, 0u);
}

TEST(PeerFetch, APeerThatHoldsNothingAnyMoreCostsOneQuestion) {
  Stage s(13);
  const auto job = s.warm(13, 1000);
  s.at("decode-0").engine->evict(job.tenant, job.prompt, 0);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.counters("decode-1").fetches, 0u);
  EXPECT_EQ(s.counters("decode-1").fetch_fallbacks, 0u);
}

TEST(PeerFetch, AnotherTenantsPagesAreNotFound) {
  Stage s(14);
  auto job = s.warm(14, 1000);
  job.tenant = "somebody else";
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.counters("decode-0").exports, 0u);
  EXPECT_EQ(sink->cached_tokens, 0u);
}

TEST(PeerFetch, ALostQuestionOrAnswerIsAskedAgain) {
  for (const std::uint16_t victim : {wire::kKvFetchNumber, wire::kKvFetchedNumber}) {
    Stage s(15);
    const auto job = s.warm(15, 1000);
    bool dropped = false;
    s.sim.filter = [&](const std::string&, const std::string&, const wire::Envelope& message) {
      return message.type != victim || std::exchange(dropped, true);
    };
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_TRUE(dropped);
    EXPECT_EQ(check_answer(job, *sink), "");
    EXPECT_EQ(s.counters("decode-1").fetched_tokens, 992u);
    EXPECT_EQ(s.counters("decode-1").fetch_fallbacks, 0u);
    EXPECT_GE(s.counters("decode-1").sources_asked_again, 1u);
  }
}

TEST(PeerFetch, ALostFrameIsSentAgainAndNothingIsComputed) {
  Stage s(16);
  const auto job = s.warm(16, 3000);
  s.sim.lose_frames = 2;
  const std::uint64_t before = s.at("decode-1").engine->computed_tokens;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.frames_lost, 2u);
  EXPECT_EQ(s.at("decode-1").engine->computed_tokens - before, 8u);
  EXPECT_EQ(s.counters("decode-1").fetch_fallbacks, 0u);
}

TEST(PeerFetch, AFrameOfAnEndedReservationIsRefusedHoweverLate) {
  Stage s(17);
  const auto job = s.warm(17, 1000);
  s.sim.keep_frames = true;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return s.sim.frames_delivered >= 1; }));
  s.sim.cancel(job.id);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at("decode-1").table.size() == 0; }));
  auto again = job;
  again.id = Hasher().text("third").finish<RequestId>();
  const auto other = s.sim.start(again);
  ASSERT_TRUE(s.sim.run_until([&] { return s.at("decode-1").table.size() == 1; }));
  const std::uint64_t stale = s.at("decode-1").table.stale();
  const std::size_t late = s.sim.replay_kept_frames();
  ASSERT_GT(late, 0u);
  ASSERT_TRUE(s.sim.run_until([&] { return other->over(); }));
  EXPECT_EQ(check_answer(again, *other), "");
  EXPECT_GE(s.at("decode-1").table.stale() - stale, late);
}

TEST(PeerFetch, AbortsAtRandomStagesLeaveNothingAndNoLateFrameLands) {
  Stage s(18);
  const auto job = s.warm(18, 1000);
  std::mt19937_64 rng(18);
  s.sim.keep_frames = true;
  for (std::uint64_t i = 0; i < 300; ++i) {
    auto each = job;
    each.id = Hasher().text("abort").number(i).finish<RequestId>();
    s.at("decode-1").engine->evict(each.tenant, each.prompt, 0);
    s.at("decode-1").post(0, worker::ListBlocks{});  // the router hears of it
    s.sim.run_for(200ms);
    const auto sink = s.sim.start(each);
    for (std::uint64_t k = rng() % 100; k != 0; --k) s.sim.step();
    if (i % 7 == 0) (void)s.sim.replay_kept_frames();
    if (sink->over()) {
      EXPECT_EQ(check_answer(each, *sink), "");
    } else {
      s.sim.cancel(each.id);
    }
  }
  (void)s.sim.replay_kept_frames();
  EXPECT_GT(s.at("decode-1").table.stale(), 10u);
  s.sim.cancel(s.busy_job.id);
  s.expect_quiet();
}

}  // namespace
}  // namespace troupe::test
