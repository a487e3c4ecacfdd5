// Both formats, byte for byte.
#include "common/metrics/exposition.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "common/metrics/registry.hpp"

namespace troupe::metrics {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";

TEST(Exposition, OpenMetricsTakesTheSuffixOffACountersFamilyAndEndsWithAMark) {
  Registry registry;
  registry
      .counter({"troupe_test_things_total", "Things.", Kind::counter, {{"kind", {"a\"b\\c\nd"}}}},
               {"a\"b\\c\nd"})
      .add(2);
  registry.gauge({"troupe_test_heat_ratio", "Heat: \"x\".", Kind::gauge}).set(1e300);
  EXPECT_EQ(registry.serialize(Format::openmetrics),
            "# HELP troupe_test_heat_ratio Heat: \\\"x\\\".\n"
            "# TYPE troupe_test_heat_ratio gauge\n"
            "troupe_test_heat_ratio 1e+300\n"
            "# HELP troupe_test_things Things.\n"
            "# TYPE troupe_test_things counter\n"
            "troupe_test_things_total{kind=\"a\\\"b\\\\c\\nd\"} 2\n"
            "# EOF\n");
}

TEST(Exposition, ShowsTheLastExemplarOfEachBucketInOpenMetricsOnly) {
  Registry registry;
  const Histogram wait =
      registry.histogram({"troupe_test_wait_seconds", "Waits.", Kind::histogram, {}, {0.25, 4}});
  wait.observe(0.125);
  wait.observe(0.25, kTrace);  // a bound belongs to its bucket
  wait.observe(100, std::string(32, 'a'));
  wait.observe(99, std::string(32, 'b'));
  const std::string text = registry.serialize(Format::openmetrics);
  EXPECT_NE(text.find("troupe_test_wait_seconds_bucket{le=\"0.25\"} 2 # {trace_id=\"" + std::string(kTrace) +
                      "\"} 0.25 "),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("troupe_test_wait_seconds_bucket{le=\"4.0\"} 2\n"), std::string::npos) << text;
  EXPECT_NE(text.find("troupe_test_wait_seconds_bucket{le=\"+Inf\"} 4 # {trace_id=\"" + std::string(32, 'b') +
                      "\"} 99 "),
            std::string::npos)
      << text;
  EXPECT_EQ(registry.serialize().find('#', registry.serialize().find("_bucket")), std::string::npos);
}

TEST(Exposition, CountsOfElsewhereAddUp) {
  Registry registry;
  const Histogram rows = registry.histogram({"troupe_test_rows_count", "Rows.", Kind::histogram, {}, {1, 8}});
  rows.observe(3);
  const double more[] = {2, 0, 1};
  rows.add_counts(more, 40);
  EXPECT_EQ(rows.count(), 4U);
  EXPECT_EQ(rows.sum(), 43);
  EXPECT_NE(registry.serialize().find("troupe_test_rows_count_bucket{le=\"8.0\"} 3\n"), std::string::npos);
}

TEST(Exposition, AClearedGaugeShowsNothingUntilItIsSet) {
  Registry registry;
  const Gauge gauge = registry.gauge({"troupe_test_heat_ratio", "Heat.", Kind::gauge});
  gauge.clear();
  EXPECT_EQ(registry.serialize(), "");
  gauge.set(1);
  EXPECT_NE(registry.serialize().find("troupe_test_heat_ratio 1\n"), std::string::npos);
  gauge.set(std::numeric_limits<double>::infinity());
  EXPECT_NE(registry.serialize().find("troupe_test_heat_ratio +Inf\n"), std::string::npos);
}

}  // namespace
}  // namespace troupe::metrics
