// A cluster of several releases: neighbours serve together, what is further apart is kept out until the older
// one is gone, and streams go on meanwhile.
#include <gtest/gtest.h>

#include "tests/support/sim_cluster.hpp"

namespace troupe::test {
namespace {

using namespace std::chrono_literals;

wire::Release of(std::uint16_t revision) {
  return {"0." + std::to_string(revision) + ".0", revision, static_cast<std::uint16_t>(revision - 1)};
}

/// Every request is answered as by an undisturbed cluster.
void expect_answers(SimCluster& sim, std::uint64_t first) {
  for (std::uint64_t i = first; i < first + 4; ++i) {
    const auto job = fake_job(i, 40, 20);
    const auto sink = sim.start(job);
    ASSERT_TRUE(sim.run_until([&] { return sink->over(); }));
    EXPECT_EQ(check_answer(job, *sink), "");
  }
}

bool joined(const SimCluster& sim, const std::string& name) {
  return sim.workers.at(name)->state->counters().joined;
}

TEST(Releases, ARollingUpgradeByOneReleaseServesAllTheWay) {
  SimCluster sim;
  sim.release = of(5);
  sim.add_router();
  sim.add_gateway();
  sim.add_worker(wire::Role::decode, "decode-0");
  sim.add_worker(wire::Role::decode, "decode-1");
  ASSERT_TRUE(sim.ready(2));
  expect_answers(sim, 1);
  sim.release = of(6);
  sim.kill_router();
  sim.add_router();
  ASSERT_TRUE(sim.ready(2));
  expect_answers(sim, 10);
  sim.leave("decode-0");
  sim.add_worker(wire::Role::decode, "decode-0");
  ASSERT_TRUE(sim.run_until([&] { return joined(sim, "decode-0"); }));
  ASSERT_TRUE(sim.ready(2));
  expect_answers(sim, 20);
  EXPECT_EQ(sim.router->releases().refusals(), 0u);
}

TEST(Releases, TwoReleasesAheadWaitsUntilTheOldOneIsGone) {
  SimCluster sim;
  sim.release = of(6);
  sim.add_router();
  sim.add_gateway();
  sim.release = of(5);
  sim.add_worker(wire::Role::decode, "decode-0");
  ASSERT_TRUE(sim.ready(1));
  sim.release = of(7);
  sim.add_worker(wire::Role::decode, "decode-1");
  sim.run_for(5s);
  EXPECT_FALSE(joined(sim, "decode-1")) << "decode-0 would not understand it";
  EXPECT_GT(sim.workers.at("decode-1")->state->counters().release_refusals, 0u);
  EXPECT_LE(sim.router->releases().refusals(), 12u) << "asked once a heartbeat";
  expect_answers(sim, 1);
  sim.leave("decode-0");
  ASSERT_TRUE(sim.run_until([&] { return joined(sim, "decode-1"); }));
  expect_answers(sim, 10);
}

TEST(Releases, AGatewayThatIsNoNeighbourTurnsToARouterThatIs) {
  SimCluster sim;
  sim.release = of(5);
  sim.add_router();
  sim.release = of(7);
  sim.add_spare_router();
  sim.add_gateway();
  sim.add_worker(wire::Role::decode, "decode-0");
  ASSERT_TRUE(sim.ready(1));
  expect_answers(sim, 1);
  EXPECT_TRUE(sim.router->view().nodes().empty());
  EXPECT_EQ(sim.spare->view().nodes().size(), 2u);
  EXPECT_GE(sim.gateway->counters().release_refusals, 1u);
}

}  // namespace
}  // namespace troupe::test
