#include "services/router/planner/explain.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::router {
namespace {

TEST(PlannerExplained, SaysWhatItComparedAndWhatItRestsOn) {
  Planner::View view;
  view.verdict = Arrangement::split;
  view.workers = 4;
  view.traffic = {6, 1, 100, 4000, 150};
  view.costs = {8000, 80, 30, 2, 512};
  view.comparison = compare(view.traffic, view.costs, view.workers);
  const auto json = nlohmann::json::parse(to_json(view));
  EXPECT_EQ(json.at("verdict"), "split");
  EXPECT_EQ(json.at("traffic").at("long_prompts_per_s"), 1);
  EXPECT_EQ(json.at("costs_us").at("prompt_token"), 80);
  const auto& predicted = json.at("predicted");
  EXPECT_NEAR(predicted.at("split_advantage"), view.comparison->advantage, 0.001);
  EXPECT_EQ(predicted.at("split").at("prefill_workers"), view.comparison->prefill);
  EXPECT_GT(predicted.at("hybrid").at("between_tokens_tail_us"),
            predicted.at("split").at("between_tokens_tail_us"));
}

TEST(PlannerExplained, BeforeEnoughWasSeenThereIsNoPrediction) {
  const auto json = nlohmann::json::parse(to_json(Planner::View{}));
  EXPECT_EQ(json.at("verdict"), "unknown");
  EXPECT_TRUE(json.at("predicted").is_null());
}

TEST(PlannerExplained, OneWorkerHasNoSplit) {
  Planner::View view;
  view.comparison = compare({1, 1, 100, 1000, 10}, {}, 1);
  EXPECT_FALSE(nlohmann::json::parse(to_json(view)).at("predicted").contains("split"));
}

}  // namespace
}  // namespace troupe::router
