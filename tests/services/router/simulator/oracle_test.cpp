#include "services/router/simulator/oracle.hpp"

#include <gtest/gtest.h>

namespace troupe::router {
namespace {

using Blocks = std::vector<std::uint64_t>;
const Blocks kNone;

WorkerModel model() {
  WorkerSpec spec;
  spec.step = {1000, 10, 100, 0};
  return WorkerModel(spec);
}

TEST(Oracle, ForeseesExactlyWhatTheWorkerThenDoes) {
  WorkerModel worker = model();
  ASSERT_TRUE(worker.submit({1, 1, 3000, 4, &kNone, false}));
  ASSERT_TRUE(worker.submit({2, 1, 300, 200, &kNone, false}));
  const Sequence mine{3, 1, 900, 10, &kNone, false};
  const double foreseen = foreseen_first_token({&worker, {}, 0}, mine);
  ASSERT_TRUE(worker.submit(mine));
  double took = 0;
  for (bool come = false; !come;) {
    took += std::chrono::duration<double, std::micro>(*worker.begin_step()).count();
    for (const auto& token : worker.end_step().tokens) come |= token.request == 3;
  }
  EXPECT_NEAR(foreseen, took, 0.02 * took);
}

TEST(Oracle, KnowsWhichAnswersEndSoon) {
  WorkerModel ending = model(), staying = model();
  for (std::uint32_t id = 1; id <= 10; ++id) {
    ASSERT_TRUE(ending.submit({id, 1, 60, 2, &kNone, false}));
    ASSERT_TRUE(staying.submit({id, 1, 60, 900, &kNone, false}));
  }
  const Sequence mine{99, 1, 4000, 300, &kNone, false};
  EXPECT_LT(foreseen_first_token({&ending, {}, 0}, mine), foreseen_first_token({&staying, {}, 0}, mine));
  EXPECT_EQ(oracle_choice({{&staying, {}, 0}, {&ending, {}, 0}}, mine), 1u);
}

}  // namespace
}  // namespace troupe::router
