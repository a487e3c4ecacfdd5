// Routers that die, hang, forget and take over: streams go on, new requests are placed.
#include "tests/services/cluster/sim_stage.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

TEST(SimCluster, ARouterThatForgotEverythingIsToldAgain) {
  Stage s(19, {}, 2, 1);
  const auto warm = fake_job(19, 200, 5);
  auto sink = s.sim.start(warm);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  const auto before = s.sim.router->prefixes().index().size();
  ASSERT_GT(before, 0u);
  s.sim.add_router();  // a new process on the old address
  const auto job = fake_job(20, 400, 20);
  sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  s.sim.run_for(3s);
  EXPECT_EQ(s.sim.router->view().nodes().size(), 4u);
  EXPECT_GE(s.sim.router->prefixes().index().size(), before);
}

/// The node that a placement's worker has in the simulation, by what its streams say.
std::size_t streams_on(const SimCluster& sim, const std::string& worker) {
  return static_cast<std::size_t>(sim.workers.at(worker)->state->counters().requests);
}

TEST(SimCluster, WithoutARouterNewRequestsArePlacedByTheLastViewEvenly) {
  Stage s(31, {}, 3);
  s.sim.kill_router();
  std::vector<std::pair<gateway::GenerateJob, std::shared_ptr<RecordingSink>>> running;
  for (std::uint64_t i = 0; i < 6; ++i) {
    running.emplace_back(fake_job(100 + i, 80, 300), nullptr);
    running.back().second = s.sim.start(running.back().first);
  }
  s.sim.run_for(200ms);
  for (const char* worker : {"decode-0", "decode-1", "decode-2"}) EXPECT_EQ(streams_on(s.sim, worker), 2u) << worker;
  for (const auto& [job, sink] : running) {
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
  }
  EXPECT_EQ(s.sim.gateway->counters().placed_by_view, 6u);
  EXPECT_EQ(s.sim.gateway->counters().routers_lost, 1u);
}

TEST(SimCluster, WithoutARouterAWorkersDeathIsStillSurvived) {
  Stage s(32, {}, 3);
  s.sim.kill_router();
  const auto job = fake_job(33, 100, 200);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->answers[0].size() >= 20; }));
  const std::string victim = s.holder();
  s.sim.kill(victim);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(check_answer(job, *sink), "");
  // The view remembers that nobody listens there.
  const std::size_t before = streams_on(s.sim, victim);
  for (std::uint64_t i = 0; i < 4; ++i) {
    const auto next = fake_job(50 + i, 40, 5);
    const auto other = s.sim.start(next);
    ASSERT_TRUE(s.sim.run_until([&] { return other->over(); }));
    EXPECT_EQ(check_answer(next, *other), "");
  }
  EXPECT_EQ(streams_on(s.sim, victim), before);
}

TEST(SimCluster, ANewRouterTakesOverWithoutOneRequestRefused) {
  Stage s(34, {}, 2);
  bool vanished = false;
  s.sim.filter = [&](const std::string&, const std::string& to, const wire::Envelope&) {
    vanished = vanished || (to == "tcp://gateway" && !s.sim.models.empty() && s.sim.models[0].ready_workers == 0);
    return true;
  };
  std::vector<std::pair<gateway::GenerateJob, std::shared_ptr<RecordingSink>>> all;
  const auto start = [&](std::uint64_t salt) {
    all.emplace_back(fake_job(salt, 60, 30), nullptr);
    all.back().second = s.sim.start(all.back().first);
  };
  for (std::uint64_t i = 0; i < 4; ++i) start(200 + i);
  s.sim.kill_router();
  for (std::uint64_t i = 0; i < 4; ++i) start(210 + i);
  s.sim.run_for(300ms);
  s.sim.add_router();  // it knows nobody
  for (std::uint64_t i = 0; i < 40; ++i) {
    start(300 + i);
    s.sim.run_for(50ms);
  }
  for (const auto& [job, sink] : all) {
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
  }
  EXPECT_FALSE(vanished) << "the models stay listed while the workers find the new router";
  EXPECT_EQ(s.sim.gateway->counters().failed, 0u);
  s.sim.run_for(5s);
  const auto placed = s.sim.gateway->counters().placed_by_view;
  const auto job = fake_job(999, 60, 10);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  EXPECT_EQ(s.sim.gateway->counters().placed_by_view, placed) << "the router places again";
  s.expect_quiet();
}

TEST(SimCluster, OfTwoRoutersTheOtherGoesOnAndKnowsTheBlocks) {
  SimCluster sim(35);
  sim.add_router();
  sim.add_spare_router();
  sim.add_gateway();
  for (int i = 0; i < 3; ++i) sim.add_worker(wire::Role::decode, "decode-" + std::to_string(i));
  ASSERT_TRUE(sim.ready(3));
  sim.run_for(3s);
  const auto first = fake_job(4, 200, 5);
  auto sink = sim.start(first);
  ASSERT_TRUE(sim.run_until([&] { return sink->over(); }));
  sim.run_for(2s);
  const auto job = fake_job(36, 60, 300);
  const auto stream = sim.start(job);
  ASSERT_TRUE(sim.run_until([&] { return stream->answers[0].size() >= 10; }));
  sim.kill_router();
  sim.run_for(2s);
  auto again = fake_job(4, 200, 5);
  again.id = RequestId{9, 9};
  sink = sim.start(again);
  ASSERT_TRUE(sim.run_until([&] { return sink->over() && stream->over(); }));
  EXPECT_EQ(check_answer(again, *sink), "");
  EXPECT_EQ(check_answer(job, *stream), "");
  EXPECT_EQ(sink->cached_tokens, 192u) << "the other router sent it where its prefix is";
  EXPECT_EQ(sim.spare->counters().placed_by_prefix, 1u);
  EXPECT_EQ(sim.gateway->counters().failed, 0u);
  EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
}

TEST(SimCluster, ARouterThatHangsIsLeftForItsUnansweredRequests) {
  Stage s(37, {}, 2);
  s.sim.filter = [](const std::string&, const std::string& to, const wire::Envelope&) { return to != "tcp://router"; };
  const auto job = fake_job(38, 60, 20);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }, 10s));
  EXPECT_EQ(check_answer(job, *sink), "");
  EXPECT_EQ(s.sim.gateway->counters().placed_by_view, 1u);
}

}  // namespace
}  // namespace troupe::test
