#pragma once
// A small simulated cluster that is ready, for tests of streams through it.
#include <gtest/gtest.h>

#include <string>

#include "tests/support/sim_cluster.hpp"

namespace troupe::test {

struct Stage {
  explicit Stage(std::uint64_t seed = 1, SimFaults faults = {}, int decoders = 1, int prefillers = 0)
      : sim(seed, faults) {
    using namespace std::chrono_literals;
    sim.add_router();
    sim.add_gateway();
    for (int i = 0; i < decoders; ++i) sim.add_worker(wire::Role::decode, "decode-" + std::to_string(i));
    for (int i = 0; i < prefillers; ++i) sim.add_worker(wire::Role::prefill, "prefill-" + std::to_string(i));
    EXPECT_TRUE(sim.ready(static_cast<std::size_t>(decoders)));
    sim.run_for(3s);  // prefill workers have joined too
  }
  void expect_quiet() {
    using namespace std::chrono_literals;
    EXPECT_TRUE(sim.run_until([&] { return sim.leftovers().empty(); }, 3min)) << sim.leftovers();
  }
  /// A worker that has something to do; empty: none.
  [[nodiscard]] std::string holder() const {
    for (const auto& [name, worker] : sim.workers)
      if (worker->alive && worker->state->active() != 0) return name;
    return {};
  }
  SimCluster sim;
};

}  // namespace troupe::test
