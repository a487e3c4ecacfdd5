// Texts that become vectors, through gateway, router and workers as plain state classes: each comes once and
// is the one of its text, whatever is lost on the way, and afterwards nothing is held anywhere.
#include <gtest/gtest.h>

#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

gateway::GenerateJob text(std::uint64_t salt, std::uint32_t tokens, Pooling pooling = Pooling::mean) {
  auto job = fake_job(salt, tokens, 1);
  job.pooling = pooling;
  return job;
}

struct Stage {
  explicit Stage(std::uint64_t seed = 1, SimFaults faults = {}, int decoders = 1, int prefillers = 0)
      : sim(seed, faults) {
    sim.add_router();
    sim.add_gateway();
    for (int i = 0; i < decoders; ++i) sim.add_worker(wire::Role::decode, "decode-" + std::to_string(i));
    for (int i = 0; i < prefillers; ++i) sim.add_worker(wire::Role::prefill, "prefill-" + std::to_string(i));
    EXPECT_TRUE(sim.ready(static_cast<std::size_t>(decoders)));
    sim.run_for(3s);  // prefill workers have joined too
  }
  void expect_vector(const gateway::GenerateJob& job, const RecordingSink& sink) {
    EXPECT_TRUE(sink.done) << (sink.error ? to_string(*sink.error) : "not over");
    EXPECT_EQ(sink.vector, fake_vector(job.prompt, job.pooling));
    EXPECT_TRUE(sink.answers.empty()) << "no token is drawn";
    EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
  }
  [[nodiscard]] std::string holder() const {
    for (const auto& [name, worker] : sim.workers)
      if (worker->alive && worker->state->active() != 0) return name;
    return {};
  }
  SimCluster sim;
};

TEST(Embedding, AVectorComesAndLeavesNothing) {
  Stage s;
  for (const Pooling pooling : {Pooling::mean, Pooling::last}) {
    const auto job = text(1, 40, pooling);
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    s.expect_vector(job, *sink);
  }
  EXPECT_EQ(s.sim.router->log().placements().size(), 2u);
}

TEST(Embedding, ALongTextTravelsByTheDataPlaneAndNoPrefillWorkerIsAsked) {
  Stage s(2, {}, 1, 1);
  const auto job = text(2, 20000);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  s.expect_vector(job, *sink);
  EXPECT_EQ(s.sim.gateway->counters().prompts_by_data, 1u);
  EXPECT_EQ(s.sim.workers["prefill-0"]->state->counters().prefills, 0u);
}

TEST(Embedding, AWorkerThatDiesIsReplacedByAnother) {
  for (std::uint64_t seed = 1; seed <= 5; ++seed) {
    Stage s(seed, {}, 2);
    const auto job = text(seed, 3000);
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty(); }));
    s.sim.kill(s.holder());
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    s.expect_vector(job, *sink);
    EXPECT_EQ(s.sim.gateway->counters().replays, 1u);
  }
}

TEST(Embedding, ADrainingWorkersTextsGoOn) {
  Stage s(3, {}, 2);
  const auto job = text(3, 3000);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty(); }));
  s.sim.drain(s.holder());
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  s.expect_vector(job, *sink);
}

TEST(Embedding, LostRepeatedAndOvertakingMessagesChangeNothing) {
  SimFaults faults;
  faults.lose = 0.2;
  faults.repeat = faults.overtake = 0.1;
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    Stage s(seed, faults, 2);
    const auto job = text(seed, 100);
    const auto sink = s.sim.start(job);
    ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
    s.expect_vector(job, *sink);
  }
}

TEST(Embedding, ACancelledTextLeavesNothing) {
  Stage s(4);
  const auto job = text(4, 3000);
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return !s.holder().empty(); }));
  s.sim.cancel(job.id);
  EXPECT_TRUE(s.sim.run_until([&] { return s.sim.leftovers().empty(); }, 3min)) << s.sim.leftovers();
  EXPECT_FALSE(sink->over());
}

TEST(Embedding, ADeadlineEndsIt) {
  Stage s(5);
  s.sim.workers["decode-0"]->frozen = true;
  auto job = text(5, 100);
  job.deadline = s.sim.clock.now() + 500ms;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(s.sim.run_until([&] { return sink->over(); }));
  ASSERT_TRUE(sink->error.has_value());
  EXPECT_EQ(sink->error->code, Errc::deadline_exceeded);
}

TEST(Embedding, AVectorOfSeveralChoicesIsRefused) {
  Stage s;
  auto job = text(6, 10);
  job.choices = 2;
  const auto sink = s.sim.start(job);
  ASSERT_TRUE(sink->error.has_value());
  EXPECT_EQ(sink->error->code, Errc::invalid_argument);
}

}  // namespace
}  // namespace troupe::test
