#include "services/bench/plot.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace troupe::load {
namespace {

std::size_t count(const std::string& text, std::string_view what) {
  std::size_t found = 0;
  for (std::size_t at = text.find(what); at != std::string::npos; at = text.find(what, at + what.size()))
    ++found;
  return found;
}

Summary example() {
  Summary out;
  std::vector<double> values;
  for (int i = 1; i <= 5000; ++i) values.push_back(i * 0.7);
  out.first_token = Sample(values);
  out.gap = Sample({3, 3, 3});
  out.whole = Sample({1500});
  return out;
}

TEST(LogTicks, AreRoundFewAndInside) {
  EXPECT_EQ(log_ticks(0.9, 12), (std::vector<double>{1, 2, 5, 10}));
  EXPECT_EQ(log_ticks(1, 100'000).size(), 6u);
  for (const auto& [low, high] : {std::pair{1e-3, 1e9}, std::pair{15.0, 16.0}, std::pair{90.0, 110.0}}) {
    const auto ticks = log_ticks(low, high);
    EXPECT_LE(ticks.size(), 6u);
    for (const double tick : ticks) EXPECT_TRUE(tick >= low && tick <= high) << tick;
  }
  EXPECT_TRUE(log_ticks(0, 5).empty());
  EXPECT_TRUE(log_ticks(5, 1).empty());
}

TEST(Plot, HasATitleALegendAxesAndACurveForEverySeries) {
  const Summary one = example(), two = example();
  const std::string svg =
      distributions_svg({"the title", "what was sent"}, {{"ours", &one}, {"theirs <&>", &two}});
  EXPECT_TRUE(svg.starts_with("<svg "));
  EXPECT_TRUE(svg.ends_with("</svg>\n"));
  EXPECT_EQ(count(svg, "<path "), 6u);
  EXPECT_EQ(count(svg, ">the title</text>"), 1u);
  EXPECT_EQ(count(svg, "theirs &lt;&amp;&gt;"), 1u);
  EXPECT_EQ(count(svg, "log scale"), 3u);
  EXPECT_EQ(count(svg, ">50 %</text>"), 3u);
  EXPECT_EQ(count(svg, "p50 "), 6u);
  EXPECT_EQ(count(svg, "nan"), 0u);
  EXPECT_EQ(count(svg, "inf"), 0u);
  EXPECT_LT(svg.size(), 64'000u);  // a curve has a bounded number of points
}

TEST(Plot, NothingMeasuredIsDrawnAsNothing) {
  const Summary nothing;
  const std::string svg = distributions_svg({"t", ""}, {{"ours", &nothing}});
  EXPECT_EQ(count(svg, "<path "), 0u);
  EXPECT_EQ(count(svg, ">none</text>"), 3u);
}

TEST(XmlText, CannotLeaveItsElement) {
  EXPECT_EQ(xml_text("a<b>\"c\"&'\n\x01"), "a&lt;b&gt;&quot;c&quot;&amp;&#39;");
}

}  // namespace
}  // namespace troupe::load
