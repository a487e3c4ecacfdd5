// Gateway, router and workers together, as plain state classes: every stream is the one that its prompt and seed
// say, and afterwards nothing is held anywhere.
#include "tests/services/cluster/sim_stage.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

TEST(SimCluster, AStreamComesWholeAndLeavesNothing) {
  Stage s;
  const auto job = fake_job(1, 40, 20);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(sink->finishes.at(0), FinishReason::length);
  s.expect_quiet();
}

TEST(SimCluster, AStopTokenEndsAChoiceAndIsDelivered) {
  Stage s;
  auto job = fake_job(1, 40, 50);
  job.stop_tokens = {fake_answer(job.prompt, job.sampling.seed, 0, 50)[11]};
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(sink->answers.at(0).size(), 12u);
  EXPECT_EQ(sink->finishes.at(0), FinishReason::stop);
  s.expect_quiet();
}

TEST(SimCluster, ChoicesDifferAndAllFinish) {
  Stage s;
  const auto job = fake_job(2, 100, 15, 4);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_NE(sink->answers.at(0), sink->answers.at(1));
  s.expect_quiet();
}

TEST(SimCluster, ARepeatedPromptIsServedFromTheCacheAndGoesWhereItIs) {
  Stage s(3, {}, 3);
  const auto first = fake_job(4, 200, 5);
  auto sink = s.sim.start(first);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(sink->cached_tokens, 0u);
  s.sim.run_for(2s);
  auto second = fake_job(4, 200, 5);
  second.id = RequestId{9, 9};
  sink = s.sim.start(second);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(second, *sink), "");
  EXPECT_EQ(sink->cached_tokens, 192u);
  EXPECT_EQ(s.sim.router->counters().placed_by_prefix, 1u);
  s.expect_quiet();
}

TEST(SimCluster, TheRouterLearnsFromFirstTokens) {
  Stage s(3, {}, 2);
  for (std::uint64_t id = 1; id <= 6; ++id) {
    const auto sink = s.sim.start(fake_job(id, 200, 5));
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    s.sim.run_for(100ms);
  }
  EXPECT_GE(s.sim.router->costs().size(), 1u);
  const auto& placements = s.sim.router->log().placements();
  ASSERT_EQ(placements.size(), 6u);
  for (const auto& placement : placements) EXPECT_TRUE(placement.took_us.has_value());
  s.expect_quiet();
}

TEST(SimCluster, ALongPromptIsPrefilledElsewhereAndItsPagesArrive) {
  Stage s(5, {}, 1, 1);
  const auto job = fake_job(5, 1000, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->imported_tokens, 992u);  // 62 whole blocks of 16
  EXPECT_EQ(s.sim.workers["decode-0"]->state->counters().imports, 1u);
  EXPECT_EQ(s.sim.workers["prefill-0"]->state->counters().prefills, 1u);
  EXPECT_GT(s.sim.frames_delivered, 0u);
  EXPECT_EQ(sink->cached_tokens, 0u);
  s.expect_quiet();
}

TEST(SimCluster, ARequestsPriorityReachesEveryEngineThatWorksForIt) {
  Stage s(5, {}, 1, 1);
  auto job = fake_job(5, 1000, 10);
  job.priority = -7;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(s.sim.workers["decode-0"]->engine->priorities, std::vector<std::int32_t>{-7});
  EXPECT_EQ(s.sim.workers["prefill-0"]->engine->priorities, std::vector<std::int32_t>{-7});
}

TEST(SimCluster, AShortOrCachedPromptStaysOnTheDecodeWorker) {
  Stage s(6, {}, 1, 1);
  const auto job = fake_job(6, 200, 5);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(s.sim.frames_delivered, 0u);
  EXPECT_EQ(s.sim.router->counters().placed_with_prefill, 0u);
}

TEST(SimCluster, APromptTooLongForAControlMessageTravelsByFrames) {
  Stage s(7, {}, 1, 1);
  s.sim.filter = [](const std::string&, const std::string&, const wire::Envelope& message) {
    EXPECT_LE(message.payload.size(), wire::kMaxControlBytes) << wire::message_name(message.type);
    return true;
  };
  const auto job = fake_job(7, 50000, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().prompts_by_data, 1u);
  EXPECT_GT(s.sim.workers["decode-0"]->engine->imported_tokens, 49000u);
  s.expect_quiet();
}

TEST(SimCluster, AnEchoTooLongForOneMessageComesWhole) {
  Stage s(8);
  auto job = fake_job(8, 9000, 3);
  job.prompt_logprobs = true;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  ASSERT_EQ(sink->prompt_logprobs.size(), job.prompt.size());
  for (std::size_t i = 0; i < job.prompt.size(); ++i)
    ASSERT_EQ(sink->prompt_logprobs[i].token, job.prompt[i]);
  s.expect_quiet();
}

TEST(SimCluster, CancelAtEveryStageLeavesNothing) {
  for (int steps = 0; steps < 120; steps += 3) {
    Stage s(100 + static_cast<std::uint64_t>(steps), {}, 1, 1);
    const auto job = fake_job(13, steps % 2 == 0 ? 1500 : 30, 40, steps % 4 == 0 ? 3 : 1);
    const auto sink = s.sim.start(job);
    for (int i = 0; i < steps; ++i) s.sim.step();
    if (sink->over()) continue;
    s.sim.cancel(job.id);
    EXPECT_EQ(s.sim.gateway->in_flight(), 0u);
    s.expect_quiet();
    EXPECT_FALSE(sink->over()) << "a cancelled request's sink is not called";
  }
}

TEST(SimCluster, ADeadlineEndsAStreamWithItsError) {
  Stage s(14);
  auto job = fake_job(14, 50, 100000);
  job.deadline = s.sim.clock.now() + 3s;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  ASSERT_TRUE(sink->error.has_value());
  EXPECT_EQ(sink->error->code, Errc::deadline_exceeded);
  s.expect_quiet();
}

TEST(SimCluster, AFullClusterRefusesEarly) {
  SimCluster sim(15);
  sim.add_router();
  sim.add_gateway();
  FakeEngineOptions small;
  small.max_sequences = 2;
  small.queue = 2;
  sim.add_worker(wire::Role::decode, "decode-0", small);
  ASSERT_TRUE(sim.ready(1));
  sim.run_for(2s);  // a heartbeat has told its capacity
  std::vector<std::shared_ptr<RecordingSink>> sinks;
  for (std::uint64_t i = 0; i < 10; ++i) sinks.push_back(sim.start(fake_job(20 + i, 30, 50)));
  ASSERT_TRUE(sim.run_until(
      [&] { return std::all_of(sinks.begin(), sinks.end(), [](const auto& s) { return s->over(); }); }));
  std::size_t full = 0, done = 0;
  for (const auto& sink : sinks) {
    done += sink->done;
    full += sink->error && sink->error->code == Errc::queue_full;
  }
  EXPECT_EQ(done, 4u);
  EXPECT_EQ(full, 6u);
  EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); })) << sim.leftovers();
}

TEST(SimCluster, AnUnknownModelIsRefusedAtOnce) {
  Stage s(16);
  auto job = fake_job(16, 50, 10);
  job.model = "nobody";
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(sink->error.has_value());
  EXPECT_EQ(sink->error->code, Errc::model_not_found);
}

TEST(SimCluster, AWorkerMayJoinAndDrainWhileStreamsRun) {
  Stage s(17);
  const auto job = fake_job(17, 50, 80);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() == 5; }));
  s.sim.add_worker(wire::Role::decode, "decode-1");
  ASSERT_TRUE(s.sim.ready(2));
  s.sim.drain("decode-0");
  ASSERT_TRUE(s.sim.ready(1));
  const auto next = fake_job(18, 50, 5);
  const auto other = s.sim.start(next);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over() && other->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(check_answer(next, *other), "");
  EXPECT_EQ(s.sim.gateway->counters().replays, 0u);
  s.expect_quiet();
}

}  // namespace
}  // namespace troupe::test
