#include "services/router/simulator/report.hpp"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

namespace troupe::router {
namespace {

using namespace std::chrono_literals;

SimulationSummary two_of_four() {
  Trace trace;
  trace.name = "t<";
  SimulationResult result;
  result.requests = {{0s, 1s, 50ms, 50ms, 1000, 10, 500, 0, false, true},
                     {1s, 2s, 50ms, 50ms, 1000, 10, 0, 1, false, true},
                     {2s, 9s, 50ms, 50ms, 2000, 10, 0, 0, false, true},  // a late first token
                     {4s, {}, {}, {}, 500, 10, 0, 0, true, false}};    // refused
  SimulationOptions options;
  return summarize(trace, options, result, {});
}

TEST(SimulationReport, CountsWhatIsGoodAndWhatWasCached) {
  const SimulationSummary s = two_of_four();
  EXPECT_EQ(s.finished, 3u);
  EXPECT_EQ(s.refused, 1u);
  EXPECT_EQ(s.good, 2u);
  EXPECT_EQ(s.replays, 1u);
  EXPECT_DOUBLE_EQ(s.hit_ratio, 500.0 / 4000);
  EXPECT_DOUBLE_EQ(s.first_p50, 2);
  EXPECT_DOUBLE_EQ(s.first_p99, 9);
  EXPECT_DOUBLE_EQ(s.goodput, 0.5) << "two in four seconds of arrivals";
}

TEST(SimulationReport, ShowsItAsTableBarsJsonAndCurves) {
  const std::vector<SimulationSummary> all = {two_of_four()};
  EXPECT_NE(table_text(all).find("12.5 %"), std::string::npos) << table_text(all);
  EXPECT_NE(bars_text(all).find("0.50/s"), std::string::npos);
  const auto json = nlohmann::json::parse(summaries_json(all));
  EXPECT_EQ(json.at(0).at("good"), 2);
  const std::string svg = first_tokens_svg("a & b", all);
  EXPECT_NE(svg.find("a &amp; b"), std::string::npos);
  EXPECT_NE(svg.find("<polyline"), std::string::npos);
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
}

}  // namespace
}  // namespace troupe::router
