#include "services/router/ttft_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "services/router/ttft_models.hpp"

namespace troupe::router {
namespace {

/// A worker whose truth is known, with 5 % of noise.
struct Truth {
  TtftCoefficients costs;
  std::mt19937_64 rng{7};
  TtftFeatures draw() {
    std::uniform_real_distribution<double> unit(0, 1);
    return {unit(rng) < 0.4 ? 0 : std::floor(6000 * unit(rng)), std::floor(20 + 4000 * unit(rng)),
            std::floor(30 * unit(rng))};
  }
  double take(const TtftFeatures& what) {
    return predicted_us(costs, what) * std::normal_distribution<double>(1, 0.05)(rng);
  }
  void teach(TtftModel& model, int lessons) {
    for (int i = 0; i < lessons; ++i) {
      const TtftFeatures what = draw();
      model.learn(what, take(what));
    }
  }
  /// Mean relative error of the model over fresh draws.
  double error(const TtftModel& model) {
    double sum = 0;
    for (int i = 0; i < 500; ++i) {
      const TtftFeatures what = draw();
      const double truth = predicted_us(costs, what);
      sum += std::abs(predicted_us(model.costs(), what) - truth) / truth;
    }
    return sum / 500;
  }
};

TEST(TtftModel, AColdModelIsUsable) {
  EXPECT_GT(predicted_us(TtftModel().costs(), {1000, 1000, 4}),
            predicted_us(TtftModel().costs(), {0, 1000, 4}));
  EXPECT_EQ(TtftModel().observations(), 0u);
}

TEST(TtftModel, LearnsWorkersAHundredTimesFasterAndSlowerThanThePrior) {
  for (const double times : {0.01, 1.0, 100.0}) {
    Truth truth{{3000 * times, 80 * times, 90 * times, 400 * times}};
    TtftModel model;
    truth.teach(model, 150);
    EXPECT_LT(truth.error(model), 0.05) << times;
  }
}

TEST(TtftModel, AFewLessonsAreEnoughToBeUseful) {
  Truth truth{{20000, 300, 300, 2000}};
  TtftModel model;
  const double before = truth.error(model);
  truth.teach(model, 12);
  EXPECT_LT(truth.error(model), 0.25);
  EXPECT_LT(truth.error(model), before / 2);
}

TEST(TtftModel, OutliersAreClipped) {
  Truth truth{{3000, 80, 90, 400}};
  TtftModel model;
  truth.teach(model, 100);
  for (int i = 0; i < 100; ++i) {  // one of five takes fifty times as long: a page fault storm, a pause
    const TtftFeatures what = truth.draw();
    model.learn(what, truth.take(what) * (i % 5 == 0 ? 50 : 1));
  }
  EXPECT_LT(truth.error(model), 0.5);
}

TEST(TtftModel, FollowsAWorkerThatChanges) {
  Truth truth{{3000, 80, 90, 400}};
  TtftModel model;
  truth.teach(model, 300);
  truth.costs = {9000, 240, 270, 1200};
  truth.teach(model, 150);
  EXPECT_LT(truth.error(model), 0.15);
}

TEST(TtftModel, StaysWithinPhysicalBoundsWhateverItIsTold) {
  std::mt19937_64 rng(1);
  TtftModel model;
  for (int i = 0; i < 3000; ++i) {
    const double took = i % 7 == 0 ? 0 : static_cast<double>(rng() % 100000000);
    model.learn({static_cast<double>(rng() % 10), static_cast<double>(rng() % 3), 0}, took);
    const TtftCoefficients c = model.costs();
    ASSERT_TRUE(std::isfinite(c.base + c.queued + c.token + c.row));
    ASSERT_GE(c.base, 0);
    ASSERT_GT(c.token, 0);
    ASSERT_GE(c.queued, 0.25 * c.token * 0.999);
    ASSERT_LE(c.queued, 2 * c.token * 1.001);
    ASSERT_GE(c.row, 0);
  }
  model.learn({0, 10, 0}, std::nan(""));
  EXPECT_EQ(model.observations(), 3000u);
}

TEST(TtftModel, OneKindOfRequestForHoursDoesNotMakeItForgetTheRest) {
  Truth truth{{3000, 80, 90, 400}};
  TtftModel model;
  truth.teach(model, 200);
  for (int i = 0; i < 5000; ++i) model.learn({0, 64, 2}, truth.take({0, 64, 2}));
  const TtftFeatures large{4000, 4000, 16};
  EXPECT_NEAR(predicted_us(model.costs(), large) / predicted_us(truth.costs, large), 1, 0.5);
}

/// Models of one worker, {1, 1}, that was taught this truth.
struct Taught {
  explicit Taught(const TtftCoefficients& costs) {
    Truth truth{costs};
    for (int i = 0; i < 200; ++i) {
      const TtftFeatures what = truth.draw();
      models.learn({1, 1}, model, false, what, truth.take(what), clock.now());
    }
  }
  double token(std::uint64_t node, bool prefill = false) const {
    return models.costs({node, node}, model, prefill, clock.now()).token;
  }
  ModelId model{1, 1};
  ManualClock clock;
  TtftModels models;
};

TEST(TtftModels, ANewWorkerIsPredictedLikeTheOthers) {
  Taught t({30000, 900, 900, 100});
  EXPECT_NEAR(t.token(2), 900, 200);
  EXPECT_NEAR(t.token(9, true), 900, 200) << "prefill workers too, until one has shown what it is";
  EXPECT_EQ(t.models.costs({2, 2}, {3, 3}, false, t.clock.now()).token, TtftCoefficients{}.token)
      << "another model";
  t.models.forget({1, 1});
  EXPECT_EQ(t.models.size(), 0u);
}

TEST(TtftModels, AWorkerThatShowedNothingForAMinuteMayProveItselfAgain) {
  Taught t({3000, 90, 90, 100});
  for (int i = 0; i < 20; ++i) t.models.learn({2, 2}, t.model, false, {0, 1000, 0}, 9e6, t.clock.now());
  for (int i = 0; i < 200; ++i) t.models.learn({1, 1}, t.model, false, {0, 1000, 0}, 93000, t.clock.now());
  EXPECT_GT(t.token(2), 3000);
  t.clock.advance(std::chrono::minutes(1));
  EXPECT_LT(t.token(2), 300);
  t.models.learn({2, 2}, t.model, false, {0, 1000, 0}, 9e6, t.clock.now());
  EXPECT_GT(t.token(2), 3000) << "and is remembered when it is slow still";
}

}  // namespace
}  // namespace troupe::router
