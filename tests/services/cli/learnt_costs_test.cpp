#include "services/cli/learnt_costs.hpp"

#include <gtest/gtest.h>

#include "services/router/planner/explain.hpp"
#include "tests/common/http/script_server.hpp"

namespace troupe::cli {
namespace {

/// As a process that hosts a router answers /state.
std::string state_with(const router::StepCosts& costs) {
  router::Planner::View view;
  view.workers = 2;
  view.costs = costs;
  return R"({"in_flight":0,"router":{"placements":[],"arrangement":)" + router::to_json(view) + "}}";
}

TEST(LearntCosts, AreReadFromARoutersState) {
  router::StepCosts costs;
  costs.base = 1234.5;
  costs.token = 42.25;
  costs.row = 7;
  const auto step = parse_learnt_costs(state_with(costs));
  ASSERT_TRUE(step) << to_string(step.error());
  EXPECT_DOUBLE_EQ(step->base, 1234.5);
  EXPECT_DOUBLE_EQ(step->prompt_token, 42.25);
  EXPECT_DOUBLE_EQ(step->row, 7);
  EXPECT_DOUBLE_EQ(step->kv_token, 0);
}

TEST(LearntCosts, PriorsAreNotTakenForLessons) {
  const auto step = parse_learnt_costs(state_with(router::StepCosts{}));
  ASSERT_FALSE(step);
  EXPECT_EQ(step.error().code, Errc::file_unsupported);
}

TEST(LearntCosts, AnythingElseIsNoState) {
  for (const char* text :
       {"", "[]", "{}", R"({"router":7})", R"({"router":{"arrangement":{"costs_us":{"step":"fast"}}}})"})
    EXPECT_EQ(parse_learnt_costs(text).error().code, Errc::file_malformed) << text;
}

TEST(LearntCosts, AreAskedForAtTheStatePage) {
  router::StepCosts costs;
  costs.base = 900;
  ScriptServer server({{{plain_answer(state_with(costs))}}, {{plain_answer("no", 404)}}});
  const auto step = fetch_learnt_costs(server.url());
  ASSERT_TRUE(step) << to_string(step.error());
  EXPECT_DOUBLE_EQ(step->base, 900);
  EXPECT_EQ(fetch_learnt_costs(server.url()).error().code, Errc::io_failed);
  EXPECT_TRUE(server.requests()[0].starts_with("GET /state HTTP/1.1\r\n"));
}

}  // namespace
}  // namespace troupe::cli
