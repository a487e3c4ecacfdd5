#pragma once
// Writes collected families in either format (part of the prometheus-cpp wall: include it from this folder
// only). A bucket's bound reads the same in both, so that a series keeps its name whichever format a scraper
// takes.
#include <optional>
#include <string>
#include <vector>

#include <prometheus/metric_family.h>

#include "common/metrics/format.hpp"

namespace troupe::metrics {

/// An observation and the trace it belongs to.
struct Exemplar {
  std::string trace_id;  ///< 32 hex digits
  double value = 0;
  double time = 0;  ///< seconds since 1970
};

/// The last exemplar of each bucket, +Inf's last.
using Exemplars = std::vector<std::optional<Exemplar>>;

/// Builds one exposition, family by family.
class ExpositionWriter {
 public:
  explicit ExpositionWriter(Format format) : format_(format) {}

  /// `name` is declared: a counter's ends in _total.
  void begin_family(const std::string& name, const std::string& help, prometheus::MetricType type);
  /// `exemplars` may be null or shorter than the buckets.
  void add(const std::string& name, prometheus::MetricType type, const prometheus::ClientMetric& metric,
           const Exemplars* exemplars);
  [[nodiscard]] std::string finish() &&;

 private:
  using Labels = std::vector<prometheus::ClientMetric::Label>;
  void sample(const std::string& name, std::string_view suffix, const Labels& labels, std::string_view bound,
              double value);
  void histogram(const std::string& name, const prometheus::ClientMetric& metric, const Exemplars* exemplars);
  void exemplar(const Exemplar& exemplar);

  const Format format_;
  std::string out_;
};

}  // namespace troupe::metrics
