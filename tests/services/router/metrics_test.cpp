#include "services/router/metrics.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "tests/services/router/router_rig.hpp"

namespace troupe::router {
namespace {

TEST(RouterMonitor, ShowsWhatTheStateCounted) {
  metrics::Registry registry;
  RouterMonitor monitor(registry);
  const auto state = std::move(*RouterState::create({}));
  actors::Outbox out;
  wire::Join join;
  join.node = {1, 1};
  join.name = "decode-0";
  join.control_address = "tcp://a";
  state->receive("tcp://a", wire::pack(join), TimePoint{std::chrono::hours(1)}, out);
  monitor.observe(*state);
  const std::string text = registry.serialize();
  EXPECT_NE(text.find("troupe_router_joins_total 1"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_router_ready_nodes{role=\"decode\"} 1"), std::string::npos) << text;
  EXPECT_NE(registry.serialize().find("troupe_router_joins_total 1"), std::string::npos)
      << "a second scrape adds nothing";
  EXPECT_NE(text.find("troupe_router_split_advantage 0"), std::string::npos) << "nothing was seen";
  const auto shown = nlohmann::json::parse(monitor.state_json());
  EXPECT_TRUE(shown.at("placements").empty());
  EXPECT_EQ(shown.at("arrangement").at("verdict"), "unknown");
}

TEST(RouterMonitor, ShowsHowWellFirstTokensWerePredicted) {
  metrics::Registry registry;
  RouterMonitor monitor(registry);
  Rig rig;
  rig.join(1, wire::Role::decode);
  rig.join(2, wire::Role::decode);
  rig.beat(1);
  rig.beat(2);
  // Costs are learnt: what comes in the time that earlier ones took is as predicted.
  for (std::uint64_t request = 1; request <= 50; ++request) {
    (void)rig.place(request, 100);
    rig.started(request, 10'000);
    rig.ended(request);
  }
  (void)rig.place(51, 100);
  (void)rig.place(51, 100, 2, {{1, 1}});
  rig.started(51, 40'000, 0, 2);
  monitor.observe(*rig.state);
  const std::string text = registry.serialize();
  const auto value = [&](const std::string& series) {
    const auto at = text.find(series + " ");
    return at == std::string::npos ? -1.0 : std::stod(text.substr(at + series.size() + 1));
  };
  EXPECT_GE(value("troupe_router_first_token_ratio_count{placed=\"first\"}"), 25) << text;
  EXPECT_EQ(value("troupe_router_first_token_ratio_count{placed=\"again\"}"), 1) << text;
  EXPECT_EQ(value("troupe_router_first_token_ratio_bucket{placed=\"again\",le=\"3.0\"}"), 0) << text;
  EXPECT_EQ(value("troupe_router_first_token_ratio_bucket{placed=\"again\",le=\"5.0\"}"), 1) << text;
}

}  // namespace
}  // namespace troupe::router
