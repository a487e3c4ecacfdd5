#include "common/engine/schedule/step_time_model.hpp"

#include <random>

#include <gtest/gtest.h>

namespace troupe::engine {
namespace {

double machine(const StepLoad& load, double slower = 1) {
  return slower * (5e-3 + 4e-4 * static_cast<double>(load.rows) + 2e-7 * static_cast<double>(load.context));
}

StepLoad some_load(std::mt19937_64& random) {
  StepLoad load;
  const std::uint64_t decoding = random() % 16;
  for (std::uint64_t i = 0; i < decoding; ++i) {
    const StepLoad one = chunk_load(random() % 3000, 1);
    load.rows += one.rows, load.context += one.context;
  }
  const StepLoad chunk = chunk_load(random() % 4000, 1 + random() % 200);
  return {load.rows + chunk.rows, load.context + chunk.context};
}

TEST(StepTimeModel, AChunkAttendsToWhatIsBeforeItAndToItself) {
  EXPECT_EQ(chunk_load(0, 1).context, 1u);
  EXPECT_EQ(chunk_load(10, 3).context, 11u + 12 + 13);
}

TEST(StepTimeModel, LearnsTheMachine) {
  StepTimeModel model;
  std::mt19937_64 random(1);
  for (int i = 0; i < 300; ++i) {
    const StepLoad load = some_load(random);
    model.add(load, machine(load));
  }
  const auto c = model.coefficients();
  EXPECT_NEAR(c.fixed, 5e-3, 1e-5);
  EXPECT_NEAR(c.per_row, 4e-4, 1e-6);
  EXPECT_NEAR(c.per_context, 2e-7, 1e-9);
}

TEST(StepTimeModel, ThousandSmallStepsDoNotMakeItForgetTheLargeOnes) {
  StepTimeModel model;
  std::mt19937_64 random(2);
  for (int i = 0; i < 100; ++i) {
    const StepLoad load = some_load(random);
    model.add(load, machine(load));
  }
  for (std::uint64_t i = 0; i < 5000; ++i) model.add(chunk_load(500 + i % 8, 1), machine(chunk_load(500 + i % 8, 1)));
  const StepLoad large = chunk_load(1000, 150);
  EXPECT_NEAR(model.predict(large) / machine(large), 1.0, 0.02);
}

TEST(StepTimeModel, FollowsAMachineThatBecameSlower) {
  StepTimeModel model;
  std::mt19937_64 random(3);
  for (int i = 0; i < 200; ++i) {
    const StepLoad load = some_load(random);
    model.add(load, machine(load));
  }
  const StepLoad probe = chunk_load(1000, 100);
  for (int i = 0; i < 600; ++i) {
    const StepLoad load = some_load(random);
    model.add(load, machine(load, 3));
  }
  EXPECT_NEAR(model.predict(probe) / machine(probe), 3.0, 0.3);
}

TEST(StepTimeModel, OneStalledStepMovesItLittle) {
  StepTimeModel model;
  std::mt19937_64 random(4);
  for (int i = 0; i < 200; ++i) {
    const StepLoad load = some_load(random);
    model.add(load, machine(load));
  }
  const StepLoad probe = chunk_load(1000, 100);
  model.add(probe, machine(probe) * 1000);
  EXPECT_LT(model.predict(probe), machine(probe) * 1.9);
}

TEST(StepTimeModel, NeverHasANegativeCoefficient) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 200; ++round) {
    StepTimeModel model;
    const int samples = 1 + static_cast<int>(random() % 12);
    for (int i = 0; i < samples; ++i)
      model.add(some_load(random), 1e-4 * static_cast<double>(1 + random() % 1000));
    const auto c = model.coefficients();
    EXPECT_GE(c.fixed, 0);
    EXPECT_GE(c.per_row, 0);
    EXPECT_GE(c.per_context, 0);
    EXPECT_GT(c.fixed + c.per_row + c.per_context, 0);
  }
}

TEST(StepTimeModel, LearnsNothingFromAClockThatStandsStill) {
  StepTimeModel model;
  for (int i = 0; i < 10; ++i) model.add({8, 100}, 0.0), model.add({0, 0}, 1.0);
  EXPECT_EQ(model.samples(), 0u);
  EXPECT_FALSE(model.ready());
  EXPECT_EQ(model.predict({8, 100}), 0.0);
}

}  // namespace
}  // namespace troupe::engine
