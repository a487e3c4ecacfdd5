#include "common/engine/schedule/preemption.hpp"

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

/// A machine of 10 ms a step and 1 ms a row.
StepTimeModel slow_machine() {
  StepTimeModel model;
  for (std::uint64_t rows = 1; rows <= 256; rows *= 2)
    for (const std::uint64_t context : {rows, rows + 100'000}) model.add({rows, context}, 0.010 + 0.001 * static_cast<double>(rows));
  return model;
}

TEST(Preemption, RecomputingCostsEveryRowAndEveryFurtherStep) {
  const PreemptionCost cost(PreemptionPolicy::automatic);
  const StepTimeModel model = slow_machine();
  EXPECT_EQ(cost.recompute_seconds(0, 64, model), 0);
  EXPECT_NEAR(cost.recompute_seconds(64, 64, model), 0.010 + 0.064, 1e-3);
  EXPECT_NEAR(cost.recompute_seconds(65, 64, model), 0.020 + 0.065, 1e-3);
}

TEST(Preemption, TakesWhateverIsCheaper) {
  PreemptionCost cost(PreemptionPolicy::automatic);
  const StepTimeModel model = slow_machine();
  const std::uint64_t bytes = 10'000'000;
  for (int i = 0; i < 50; ++i) cost.copied(bytes, milliseconds(5));  // 2 GB/s: 10 ms there and back
  EXPECT_TRUE(cost.swaps(100, bytes, 64, model)) << "110 ms of steps";
  for (int i = 0; i < 50; ++i) cost.copied(bytes, seconds(1));
  EXPECT_NEAR(cost.swap_seconds(bytes), 2.0, 0.01);
  EXPECT_FALSE(cost.swaps(100, bytes, 64, model)) << "2 s of copies";
  EXPECT_TRUE(cost.swaps(4000, bytes, 64, model));
}

TEST(Preemption, OneStalledCopyMovesTheEstimateLittle) {
  PreemptionCost cost(PreemptionPolicy::automatic);
  for (int i = 0; i < 50; ++i) cost.copied(1'000'000, milliseconds(1));
  cost.copied(1'000'000, seconds(1000));
  EXPECT_LT(cost.swap_seconds(1'000'000), 3 * 0.002);
}

TEST(Preemption, APolicyDecidesAlone) {
  const StepTimeModel model = slow_machine(), nothing;
  EXPECT_TRUE(PreemptionCost(PreemptionPolicy::swap).swaps(1, 1'000'000'000'000, 64, nothing));
  EXPECT_FALSE(PreemptionCost(PreemptionPolicy::swap).swaps(0, 0, 64, model)) << "there is nothing to keep";
  EXPECT_FALSE(PreemptionCost(PreemptionPolicy::recompute).swaps(100000, 1, 64, model));
  EXPECT_FALSE(PreemptionCost(PreemptionPolicy::automatic).swaps(100000, 1, 64, nothing)) << "nothing is measured";
}

TEST(Preemption, TheStoreIsBoundedAndGetsItsMemoryBack) {
  SwapStore store(100);
  auto first = store.take(60);
  ASSERT_TRUE(first.has_value());
  EXPECT_EQ(first->bytes().size(), 60u);
  EXPECT_FALSE(store.take(41).has_value());
  EXPECT_FALSE(store.take(SIZE_MAX).has_value());
  auto second = store.take(40);
  ASSERT_TRUE(second.has_value());
  SwapStore::Buffer moved = std::move(*first);
  first.reset();
  EXPECT_EQ(store.used(), 100u);
  moved = std::move(*second);  // swaps: the old one goes with its holder
  second.reset();
  EXPECT_EQ(store.used(), 40u);
}

}  // namespace
}  // namespace troupe::engine
