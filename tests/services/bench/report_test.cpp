#include "services/bench/report.hpp"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace troupe::load {
namespace {

using namespace std::chrono_literals;

Summary example(const Objective& objective) {
  Record good;
  good.token_times = {20ms, 30ms};
  good.ended = 40ms;
  good.prompt_tokens = 8, good.cached_tokens = 4, good.output_tokens = 2, good.usage_seen = true;
  Record bad;
  bad.error = "http_503";
  return summarize({good, bad}, 2s, objective);
}

TEST(Report, SaysWhatWasMeasured) {
  Objective objective;
  objective.first_token_ms = 100;
  const std::string text = summary_text(example(objective), objective);
  for (const char* part : {"time to first token  20.0", "1 of 2 answered in 2.00 s", "1.0/s out, 4.0/s in",
                           "4 of the tokens in, 50.0 %", "50.0 % of the requests within", "http_503: 1"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
  EXPECT_EQ(summary_text(example({}), {}).find("goodput"), std::string::npos);
}

TEST(Report, JsonHoldsTheSameFigures) {
  Objective objective;
  objective.gap_ms = 5;
  const auto json = nlohmann::json::parse(summary_json(example(objective), objective));
  EXPECT_EQ(json["time_to_first_token_ms"]["p50"], 20);
  EXPECT_EQ(json["between_tokens_ms"]["count"], 1);
  EXPECT_EQ(json["errors"]["http_503"], 1);
  EXPECT_EQ(json["objective"]["met"], 0);
}

TEST(Report, HistogramDrawsTheFullestBinLongest) {
  const std::string text = histogram_text("gaps", Sample({1, 1, 1, 1, 100}), 2);
  EXPECT_NE(text.find("|" + std::string(40, '#') + "     4"), std::string::npos) << text;
  EXPECT_NE(text.find("|" + std::string(10, '#') + std::string(30, ' ') + "     1"), std::string::npos)
      << text;
  EXPECT_EQ(histogram_text("none", Sample(), 5), "");
}

}  // namespace
}  // namespace troupe::load
