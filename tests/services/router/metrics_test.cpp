#include "services/router/metrics.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

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

}  // namespace
}  // namespace troupe::router
